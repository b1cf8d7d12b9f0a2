//! The verbs that enter a node, for containers: by the names that `show` has for them.

use nix::sys::signal::Signal;
use serde_json::Value;

use super::{Runtime, address};
use crate::recorded::{served, start};
use crate::support::Sandbox;

/// Words are refused with this code, in one line that says all of `says`.
#[track_caller]
fn refused(sandbox: &Sandbox, words: &str, code: i32, says: &[&str]) {
    let ended = sandbox.shell(&format!("uswitch {words}"));
    let complaint = ended.complaint(code);
    assert!(says.iter().all(|said| complaint.contains(said)), "{words}: {complaint}");
}

fn two(sandbox: &Sandbox) -> (Runtime<'_>, [String; 2]) {
    let runtime = Runtime::new(sandbox, "lab", "10.92.0");
    let addresses = ["c1", "c2"].map(|name| {
        runtime.make(name);
        address(&runtime.add(name))
    });
    (runtime, addresses)
}

#[test]
fn containers_are_entered_by_their_names() {
    served(|sandbox, _| {
        let (runtime, [one, two]) = two(sandbox);
        let does = |words: &str| sandbox.shell(&format!("uswitch {words}")).ok().out;
        assert!(does("exec c1 -- ip -4 addr show eth0").contains(&one));
        let all = does("exec --all -- ip -4 -o addr show eth0");
        assert!(all.contains(&one) && all.contains(&two), "{all}");
        assert!(!all.contains("the-host"), "the host is no container: {all}");
        let shell = sandbox.shell("echo ip -4 addr show eth0 | SHELL=/bin/sh uswitch shell c2");
        assert!(shell.ok().out.contains(&two));
        assert!(does("ping -c 1 -W 5 c1 c2").contains(&format!("PING c2 ({two})")));
        assert!(does("ping -c 1 -W 5 c1 gateway").contains("10.92.0.1"));
        // The host is in the network too.
        assert!(does("ping -c 1 -W 5 c2").contains(&format!("PING c2 ({two})")));
        let matrix = does("ping --all");
        assert!(matrix.contains("c1") && !matrix.contains("0 of 0 reached"), "{matrix}");
        let said: Value = serde_json::from_str(&does("iperf c1 c2 -t 1 -j")).unwrap();
        assert_eq!(said["address"], *two, "{said}");
        assert!(said["sum"]["bytes"].as_u64().unwrap() > 1 << 20, "{said}");
        for words in ["exec c9 -- true", "shell c9", "ping c9 c1", "ping c1 c9", "iperf c1 c9"] {
            refused(sandbox, words, 2, &["no node c9", "c1, c2"]);
        }
        for name in ["c1", "c2"] {
            runtime.del(name);
        }
        refused(sandbox, "exec c1 -- true", 2, &["no node c1; it has none"]);
        runtime.unmake(&["c1", "c2"]);
    });
}

#[test]
fn what_is_no_longer_a_containers_is_not_entered() {
    served(|sandbox, server| {
        let (runtime, _) = two(sandbox);
        // Its name is another namespace's by now, as a number of a process may be another's.
        let mut held = sandbox.start_shell("exec ip netns exec c1 sh -c 'echo in; exec sleep 600'");
        held.wait_for("in");
        sandbox.tool("umount", &["/run/netns/c1"]);
        let why = ["c1 is a container of an engine with CNI", "`ip netns exec c1 …`"];
        refused(sandbox, "exec c1 -- true", 1, &why);
        sandbox.tool("mount", &["--bind", "/run/netns/c2", "/run/netns/c1"]);
        for words in ["exec c1 -- true", "shell c1", "iperf c2 c1"] {
            refused(sandbox, words, 1, &why);
        }
        refused(sandbox, "ping c1 c2", 2, &why);
        let kept = sandbox.shell("uswitch ping -c 1 -W 5 c2 c1").ok();
        assert!(kept.out.contains("1 received"), "{}", kept.out);
        sandbox.tool("umount", &["/run/netns/c1"]);
        // Whoever takes over knows where containers are.
        let killed = server.take().unwrap();
        killed.signal(Signal::SIGKILL);
        killed.ended();
        *server = Some(start(sandbox));
        sandbox.uswitch(&["exec", "c2", "--", "true"]).ok();
        for name in ["c1", "c2"] {
            runtime.del(name);
        }
        drop(held);
        runtime.unmake(&["c1", "c2"]);
    });
}
