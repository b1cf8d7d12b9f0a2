//! An etcd that asks who somebody is: its auth API, with tokens that it forgets.

use nix::sys::signal::Signal;
use serde_json::json;

use super::world::{World, etcd};
use super::{base64, mac};
use crate::door::until;
use crate::support::rooted;

/// A password that is to stand nowhere.
const WORD: &str = "geheim-4711";

/// What hosts need: to read and write below /uswitch.
fn keys() -> serde_json::Value {
    json!({"permType": "READWRITE", "key": base64("/uswitch"), "range_end": base64("/uswitci")})
}

/// Hosts 1 and 2, with an etcd on the first that knows root, `uswitch`, who may write below /uswitch, and
/// `guest`, who may nothing.
fn asking(test: impl FnOnce(&mut World<'_>) + Send) {
    let Some(program) = etcd() else { return };
    rooted(|sandbox| {
        let mut world = World::dark(sandbox, program, 2);
        world.start_alone(1, "http", &[]);
        world.member_answers(1);
        let ask = |call: &str, body: serde_json::Value| {
            assert!(world.ask(1, &format!("auth/{call}"), &body.to_string()).is_some(), "{call}");
        };
        ask("user/add", json!({"name": "root", "password": "x"}));
        ask("user/grant", json!({"user": "root", "role": "root"}));
        ask("role/add", json!({"name": "networks"}));
        ask("role/grant", json!({"name": "networks", "perm": keys()}));
        for user in ["uswitch", "guest"] {
            ask("user/add", json!({"name": user, "password": WORD}));
        }
        ask("user/grant", json!({"user": "uswitch", "role": "networks"}));
        ask("enable", json!({}));
        test(&mut world);
    });
}

#[test]
fn a_user_gets_in_and_in_again_when_etcd_has_forgotten_the_token() {
    asking(|world| {
        let both = format!("uswitch:{WORD}");
        let mut one = world.start_at(1, "etcd://10.9.0.1/prod?vni=100", &[("ETCDCTL_USER", &both)]);
        one.wait_for(crate::READY);
        let file = world.sandbox.dir.join("secret");
        std::fs::write(&file, format!("{WORD}\n")).unwrap();
        let query = format!("user=uswitch&password-file={}", file.display());
        let mut two = world.start_at(2, &format!("etcd://10.9.0.1/prod?{query}"), &[]);
        two.wait_for(crate::READY);
        until("host 2 reaches host 1", || world.pings(2, "n2", "10.100.1.1").then_some(()));
        one.wait_for_complaint("the password of uswitch goes to etcd as it is");

        // Tokens are in an etcd's memory: one that starts again knows none of them.
        world.signal_member(1, Signal::SIGKILL);
        until("it is told", || {
            (world.json(2, &["show", "hosts"])[0]["state"] == "alone").then_some(())
        });
        world.start_alone(1, "http", &[]);
        until("it is joined again", || {
            (world.json(2, &["show", "hosts"])[0]["state"] == "joined").then_some(())
        });
        until("a claim is made", || {
            let ended = world.uswitch(2, &["add", "late", "--address", "10.100.1.9"]);
            (ended.code == Some(0)).then_some(())
        });
        until("it is known on host 1", || {
            world.rows(&one).contains(&(mac(9), "10.9.0.2".into())).then_some(())
        });

        // The password stands nowhere that it was not put. Other tests have words like it on their lines.
        let processes = world.sandbox.tool("ps", &["axww"]);
        assert!(!processes.contains(WORD), "{processes}");
        let shown = [
            world.uswitch(2, &["show", "topology", "--file"]).ok().out,
            world.uswitch(2, &["show", "hosts", "-j"]).ok().out,
            world.sandbox.tool("sh", &["-c", "grep -rl geheim /run/uswitch || true"]),
        ];
        for text in shown {
            assert!(!text.contains("geheim"), "{text}");
        }
        for lab in [one, two] {
            lab.signal(Signal::SIGTERM);
            let ended = lab.ended();
            assert!(!(ended.out + &ended.err).contains("geheim"));
        }
    });
}

#[test]
fn who_is_not_let_in_is_told_why_and_no_password_is_said() {
    asking(|world| {
        let before = world.sandbox.state();
        let user = |text: &str| text.to_owned();
        for (url, said, code, says) in [
            ("etcd://10.9.0.1/prod", String::new(), 1, "it asks who this is: user=NAME"),
            (
                "etcd://10.9.0.1/prod",
                user("uswitch:geheim-wrong"),
                1,
                "user uswitch: authentication failed",
            ),
            (
                "etcd://10.9.0.1/prod",
                user("nobody:geheim-wrong"),
                1,
                "user nobody: authentication failed",
            ),
            ("etcd://10.9.0.1/prod", format!("guest:{WORD}"), 1, "permission denied (guest)"),
            ("etcd://10.9.0.1/prod", user("uswitch"), 2, "user uswitch has no password"),
            ("etcd://10.9.0.1/prod?password-file=/none", user("uswitch"), 2, "cannot be read"),
            ("etcd://uswitch:geheim-x@10.9.0.1/prod", String::new(), 2, "no URL"),
        ] {
            let ended = world.start_at(2, url, &[("ETCDCTL_USER", &said)]).ended();
            assert!(ended.complaint(code).contains(says), "{url} {said}: {}", ended.err);
            assert!(!ended.err.contains("geheim"), "{}", ended.err);
        }
        assert_eq!(world.sandbox.state(), before);
        // A file is no better place for one.
        let file = world.sandbox.dir.join("bad.yaml");
        let text = std::fs::read_to_string(world.sandbox.dir.join("n2.yaml")).unwrap();
        std::fs::write(&file, text + "join: etcd://uswitch:geheim-x@10.9.0.1/prod\n").unwrap();
        let ended = world.uswitch(2, &["run", file.to_str().unwrap()]);
        assert_eq!(ended.code, Some(2), "{}", ended.err);
        assert!(ended.err.contains("no URL") && !ended.err.contains("geheim"), "{}", ended.err);
    });
}

/// Leases are renewed for whoever has one: what is refused beside them is told once, and so is its end.
#[test]
fn an_etcd_that_refuses_a_host_and_renews_its_lease_is_told_once() {
    asking(|world| {
        let said = format!("uswitch:{WORD}");
        let mut one = world.start_at(1, "etcd://10.9.0.1/prod?vni=100", &[("ETCDCTL_USER", &said)]);
        one.wait_for(crate::READY);
        let root = json!({"name": "root", "password": "x"}).to_string();
        let token = world.ask(1, "auth/authenticate", &root).unwrap()["token"].clone();
        let token = format!("Authorization: {}", token.as_str().unwrap());
        let ask = |call: &str, body: serde_json::Value| {
            let by = ("http", &["-H", &token][..]);
            assert!(world.ask_by(1, by, (call, &body.to_string())).is_some(), "{call}");
        };
        let monitor = world.monitor(1);
        let count = |what: &str| monitor.out().matches(what).count();
        let range = json!({
            "role": "networks", "key": base64("/uswitch"), "range_end": base64("/uswitci"),
        });
        ask("auth/role/revoke", range.clone());
        // It has something to claim.
        let ended = world.uswitch(1, &["add", "late"]);
        assert_ne!(ended.code, Some(0), "{}", ended.out);
        let alone = || {
            let hosts = world.json(1, &["show", "hosts"]);
            hosts[0]["alone"].as_u64().filter(|seconds| *seconds >= 4).map(drop)
        };
        until("it is told for how long", alone);
        assert_eq!((count("registry_alone"), count("registry_back")), (1, 0), "{}", monitor.out());
        ask("auth/role/grant", json!({"name": "networks", "perm": keys()}));
        until("it is joined again", || {
            (world.json(1, &["show", "hosts"])[0]["state"] == "joined").then_some(())
        });
        until("that is told", || (count("registry_back") > 0).then_some(()));
        assert_eq!((count("registry_alone"), count("registry_back")), (1, 1), "{}", monitor.out());
        // One that is refused, and out of the network when it is not any more, is told so and not both.
        ask("auth/role/revoke", range);
        until("it is told again", || {
            world.uswitch(1, &["add", "late"]);
            world.json(1, &["show", "hosts"])[0]["alone"].as_u64().map(drop)
        });
        let other = json!({"vni": 7, "port": 4789, "subnets": [], "gateways": []}).to_string();
        ask("kv/put", json!({"key": base64("/uswitch/prod/config"), "value": base64(&other)}));
        ask("auth/role/grant", json!({"name": "networks", "perm": keys()}));
        until("it is out, and not alone", || {
            let hosts = world.json(1, &["show", "hosts"]);
            (hosts[0]["state"] == "out" && hosts[0]["alone"].is_null()).then_some(())
        });
    });
}
