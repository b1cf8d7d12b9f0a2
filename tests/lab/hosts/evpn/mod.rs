//! One network over several hosts that BGP tells of: namespaces as hosts, with Debian's GoBGP on each, and
//! FRR with the kernel's vxlan device as a host that is none of ours.

mod failures;
mod frr;
mod served;
mod speakers;

use std::collections::BTreeMap;

use nix::sys::signal::Signal;
use serde_json::Value;

use self::speakers::Speakers;
use super::{flood, mac, row};
use crate::door::until;
use crate::support::{Sandbox, rooted};

/// A test with so many hosts at one cable, where there are the programs.
fn bgp(count: usize, test: impl FnOnce(&mut Speakers<'_>) + Send) {
    let Some(programs) = speakers::programs() else { return };
    rooted(|sandbox: &Sandbox| test(&mut Speakers::new(sandbox, programs, count)));
}

/// The hardware address of whoever is added at 10.100.7.7.
const WEB: &str = "02:00:0a:64:07:07";
const AT_WEB: [&str; 4] = ["add", "web", "--address", "10.100.7.7"];

fn web(host: u8) -> (String, String) {
    (WEB.to_owned(), format!("10.9.0.{host}"))
}

#[test]
fn nodes_of_all_hosts_are_on_one_network() {
    bgp(2, |bgp| {
        [1, 2].iter().for_each(|host| bgp.start(*host));
        let [one, two] = [1, 2].map(|host| bgp.lab(host));
        for (lab, other) in [(&one, 2), (&two, 1)] {
            until("the other host's rows", || {
                (bgp.world.rows(lab) == [flood(other), row(other)]).then_some(())
            });
        }
        assert!(bgp.world.pings(1, "n1", "10.100.1.2"));
        // The switch has them too, set and not learned.
        let fdb = bgp.world.json(1, &["show", "fdb"]);
        let behind: Vec<_> =
            fdb.as_array().unwrap().iter().filter(|row| row["ifname"] == "vxlan100").collect();
        assert_eq!((behind.len(), &behind[0]["state"]), (1, &"static".into()), "{fdb:#}");
        let hosts = bgp.world.json(1, &["show", "hosts"]);
        assert_eq!((&hosts[0]["state"], &hosts[0]["vni"]), (&"joined".into(), &100.into()));
        assert_eq!(hosts[0]["registry"], serde_json::json!(["bgp://127.0.0.1:50051"]));
        assert_eq!(hosts[0]["speaks"], "apipb.GobgpApi of GoBGP 3, AS 65000, router 10.9.0.1");
        let host = |n: usize| (&hosts[0]["hosts"][n]["name"], &hosts[0]["hosts"][n]["nodes"]);
        let own = (&Value::from("10.9.0.1"), &serde_json::json!(["n1"]));
        let other = (&Value::from("10.9.0.2"), &serde_json::json!(["10.100.1.2"]));
        assert_eq!([host(0), host(1)], [own, other], "{hosts:#}");
        let tunnel = bgp.world.json(1, &["show", "tunnel"]);
        assert_eq!(tunnel[0]["remotes"], serde_json::json!(["10.9.0.2"]));

        who_is_known_is_answered_for(bgp);

        // A node that is added is known there, one that is removed is not.
        bgp.world.uswitch(1, &AT_WEB).ok();
        until("host 2 has web's row", || bgp.world.rows(&two).contains(&web(1)).then_some(()));
        assert!(bgp.world.pings(2, "n2", "10.100.7.7"));
        bgp.world.uswitch(1, &["remove", "web"]).ok();
        until("web's row is gone", || (bgp.world.rows(&two).len() == 2).then_some(()));

        // Who leaves takes back all it said, at once.
        two.signal(Signal::SIGTERM);
        assert_eq!(two.ended().code, Some(0));
        until("host 2 is gone", || bgp.world.rows(&one).is_empty().then_some(()));
        assert_eq!(bgp.said(2, 2), BTreeMap::new());
    });
}

fn who_is_known_is_answered_for(bgp: &Speakers<'_>) {
    let said = bgp.world.uswitch(1, &["explain", "n1", "10.100.1.2"]).ok().out;
    assert!(said.contains("sends it to 10.9.0.2, VNI 100"), "{said}");
    let known = bgp.world.json(1, &["neigh", "ls"]);
    assert!(
        known.as_array().unwrap().iter().any(|row| row["address"] == "10.100.1.2"),
        "{known:#}"
    );
    let args = ["-l", "-nn", "-i", "eth0", "udp", "port", "4789"];
    let mut heard = bgp.world.on(1, "tcpdump", &args);
    heard.wait_for_complaint("listening on");
    let mut trace = bgp.world.background(2, &["trace", "-j", "icmp"]);
    trace.wait_for_complaint("following frames");
    for (host, to) in [(1, "10.100.1.2"), (2, "10.100.1.1"), (1, "10.100.9.9")] {
        let node = format!("h{host}-n{host}");
        bgp.world.sandbox.tool("ip", &["-n", &node, "neigh", "flush", "all"]);
        assert_eq!(bgp.world.pings(host, &format!("n{host}"), to), to != "10.100.9.9");
    }
    until("the question for nobody", || heard.out().contains("who-has 10.100.9.9").then_some(()));
    let came = "takes it from 10.9.0.1, VNI 100";
    until("the walk on host 2", || trace.out().contains(came).then_some(()));
    trace.signal(Signal::SIGINT);
    trace.ended();
    heard.signal(Signal::SIGINT);
    let said = heard.ended().out;
    for known in ["who-has 10.100.1.1", "who-has 10.100.1.2"] {
        assert!(!said.contains(known), "{said}");
    }
}

#[test]
fn a_node_that_moves_is_where_it_came_last() {
    bgp(2, |bgp| {
        [1, 2].iter().for_each(|host| bgp.start(*host));
        let [one, two] = [1, 2].map(|host| bgp.lab(host));
        bgp.world.uswitch(1, &AT_WEB).ok();
        until("host 2 has web's row", || bgp.world.rows(&two).contains(&web(1)).then_some(()));
        assert_eq!(bgp.said(1, 1).get(WEB), Some(&0));

        let monitor = bgp.world.monitor(1);
        bgp.world.uswitch(2, &AT_WEB).ok();
        until("host 1 has its row", || bgp.world.rows(&one).contains(&web(2)).then_some(()));
        assert_eq!(bgp.said(2, 2).get(WEB), Some(&1));
        until("host 1 says nothing of it", || (!bgp.said(1, 1).contains_key(WEB)).then_some(()));
        let why = "02:00:0a:64:07:07 has moved to 10.9.0.2, by sequence number 1";
        until("it says so", || {
            (bgp.world.json(1, &["show", "hosts"])[0]["cut_off"]["web"] == why).then_some(())
        });
        until("it was told", || monitor.out().contains(why).then_some(()));
        assert!(bgp.world.pings(1, "n1", "10.100.7.7"));

        // It goes there: here it is again, by a number that nobody has heard.
        bgp.world.uswitch(2, &["remove", "web"]).ok();
        until("host 2 has web's row again", || {
            bgp.world.rows(&two).contains(&web(1)).then_some(())
        });
        assert_eq!(bgp.said(1, 1).get(WEB), Some(&2));
        until("it is not cut off", || {
            bgp.world.json(1, &["show", "hosts"])[0]["cut_off"].is_null().then_some(())
        });
        until("it answers", || bgp.world.pings(2, "n2", "10.100.7.7").then_some(()));
        monitor.signal(Signal::SIGINT);
        monitor.ended();

        // An address that has moved in another network, whose number GoBGP counts too.
        let [other, address] = ["02:00:0a:64:08:08", "10.100.8.8"];
        for (host, sees) in [(1, 2), (2, 1)] {
            let rd = format!("65000:{host}");
            bgp.gobgp(
                host,
                &format!(
                    "global rib add -a evpn macadv {other} 10.1.1.1 etag 0 label 7 rd {rd} rt 65000:7 \
                     encap vxlan"
                ),
            );
            until("the other speaker has it", || {
                let said = bgp.gobgp(sees, "global rib -a evpn");
                said.contains(&format!("[rd:{rd}][etag:0][mac:{other}]")).then_some(())
            });
        }
        bgp.world.uswitch(1, &["add", "high", "--address", address]).ok();
        until("host 2 has its row", || {
            bgp.world.rows(&two).contains(&(other.into(), "10.9.0.1".into())).then_some(())
        });
        assert!(bgp.said(1, 1)[other] > 0, "a number that the speaker has taken");
    });
}

#[test]
fn what_does_not_fit_is_one_line_and_joins_nothing() {
    bgp(2, |bgp| {
        bgp.start(2);
        let silent = bgp.run_speaker(1, "", "127.0.0.1:50052");
        let _two = bgp.lab(2);
        bgp.start(1);
        let path = "macadv 02:00:00:00:00:99 10.100.1.1 etag 0 label 100 rd 10.9.0.2:7 rt 65000:100 \
                    encap vxlan";
        bgp.gobgp(2, &format!("global rib add -a evpn {path}"));
        until("host 1's speaker has it", || {
            bgp.gobgp(1, "global rib -a evpn -j").contains("02:00:00:00:00:99").then_some(())
        });
        until("the other speaker answers", || {
            let ended =
                bgp.try_run(1, "bgp://127.0.0.1:50052/prod?vni=100", &["--vtep", "10.9.0.1"]);
            ended.err.contains("runs without BGP").then(|| assert_eq!(ended.code, Some(1)))
        });
        let before = bgp.world.sandbox.state();
        let own = &["--vtep", "10.9.0.1"][..];
        for (url, further, code, says) in [
            ("bgp://127.0.0.1/prod?vni=100", &[][..], 2, "say with --vtep ADDR"),
            ("bgp://127.0.0.1/prod?vni=100", &["--vtep", "10.9.0.7"], 2, "no address of this host"),
            ("bgp://127.0.0.1/prod?vni=100", &["--vtep", "127.0.0.1"], 2, "of this host alone"),
            ("bgp://127.0.0.1/a b?vni=100", own, 2, "is no name"),
            ("bgp://127.0.0.1/prod", own, 2, "?vni=N is missing"),
            ("bgp://127.0.0.1/prod?vni=100&rt=x", own, 2, "no route target"),
            ("bgp://127.0.0.1:1/prod?vni=100", own, 1, "gobgpd does not answer (127.0.0.1:1:"),
            (
                "bgp://127.0.0.1/prod?vni=100",
                &["--vtep", "10.9.0.1", "--host-name", "h1"],
                2,
                "--host-name is for etcd",
            ),
            (
                "bgp://127.0.0.1/prod?vni=100",
                own,
                1,
                "10.100.1.1 is 02:00:00:00:00:99's on host 10.9.0.2 in network prod",
            ),
        ] {
            let ended = bgp.try_run(1, url, further);
            assert!(ended.complaint(code).contains(says), "{url} {further:?}: {}", ended.err);
        }
        assert_eq!(bgp.world.sandbox.state(), before);
        assert_eq!(bgp.said(1, 1), BTreeMap::new());
        drop(silent);
    });
}
