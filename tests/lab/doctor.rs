//! `doctor`: what the machine allows is found by trying it, and nothing of the trial stays.

use std::path::Path;

use serde_json::Value;

use crate::support::{As, Process, Sandbox, rooted, rootless};

fn found(sandbox: &Sandbox) -> Value {
    let before = sandbox.state();
    let said = sandbox.uswitch(&["doctor", "-j"]).ok().out;
    assert_eq!(sandbox.state(), before);
    serde_json::from_str(&said).unwrap()
}

fn standing<'a>(findings: &'a Value, what: &str) -> &'a str {
    let all = findings.as_array().unwrap();
    let one = all.iter().find(|one| one["what"] == what);
    one.unwrap_or_else(|| panic!("{what}: {findings:#}"))["standing"].as_str().unwrap()
}

#[test]
fn root_may_have_what_a_lab_can_use() {
    rooted(|sandbox| {
        let findings = found(sandbox);
        for what in ["privilege", "namespaces", "links", "packets"] {
            assert_eq!(standing(&findings, what), "yes", "{what}: {findings:#}");
        }
        // The sandbox's namespace leads nowhere.
        assert_eq!(standing(&findings, "uplink"), "without");
        sandbox.tool("ip", &["link", "add", "up0", "type", "veth", "peer", "name", "up1"]);
        sandbox.tool("ip", &["addr", "add", "192.0.2.1/24", "dev", "up0"]);
        sandbox.tool("ip", &["link", "set", "up0", "up"]);
        sandbox.tool("ip", &["route", "add", "default", "via", "192.0.2.2"]);
        let said = sandbox.uswitch(&["doctor"]).ok().out;
        assert!(said.contains("`--uplink auto` shares up0"), "{said}");
        assert!(said.trim_end().lines().last().unwrap().starts_with("Labs can be built here"));
    });
}

#[test]
fn an_ordinary_user_is_told_what_root_could_have() {
    rootless(|sandbox| {
        let findings = found(sandbox);
        for what in ["namespaces", "links", "packets"] {
            assert_eq!(standing(&findings, what), "yes", "{what}: {findings:#}");
        }
        for what in ["privilege", "fast path", "uplink"] {
            assert_eq!(standing(&findings, what), "without", "{what}: {findings:#}");
        }
        let said = sandbox.uswitch(&["doctor"]).ok().out;
        assert!(said.contains("To have what is missing:"), "{said}");
    });
}

#[test]
fn where_namespaces_are_forbidden_it_says_how_to_allow_them() {
    rootless(|sandbox| {
        // A user namespace in which no further one may be made, entered without any capability.
        let script = "echo 0 > /proc/sys/user/max_user_namespaces && \
             exec setpriv --inh-caps=-all --ambient-caps=-all --bounding-set=-all -- \"$0\" doctor";
        let binary = sandbox.uswitch_command(&[]).get_args().last().unwrap().to_owned();
        let mut command = sandbox.command(As::User, Path::new("unshare"));
        command
            .args(["--user", "--map-current-user", "--keep-caps", "sh", "-c", script])
            .arg(binary);
        let forbidden = Process::start(command, "doctor without user namespaces").ended();
        assert_eq!(forbidden.code, Some(1), "{}", forbidden.out);
        let out = forbidden.out;
        assert!(out.contains("raise user.max_user_namespaces above 0"), "{out}");
        assert!(out.contains("Labs cannot be built here."), "{out}");
    });
}
