//! What does not pass the gateway: from container to container where they are kept apart, and IPv6.

use std::path::Path;

use serde_json::json;

use super::{Runtime, address};
use crate::machine::eventually;
use crate::recorded::served;
use crate::support::{As, Ended, Process, Sandbox};

/// What a command in a container says.
fn says(sandbox: &Sandbox, container: &str, line: &str) -> Ended {
    let mut command = sandbox.command(As::Root, Path::new("ip"));
    command.args(["netns", "exec", container]).args(line.split(' '));
    Process::start(command, line).ended()
}

/// Their own routes lead two containers to each other by way of the gateway.
#[test]
fn isolated_containers_do_not_meet_by_way_of_the_gateway() {
    served(|sandbox, _| {
        for isolated in [true, false] {
            let mut runtime = Runtime::new(sandbox, "lab", "10.92.0");
            runtime.conf["uswitch.isolate"] = json!(isolated);
            for name in ["c1", "c2"] {
                runtime.make(name);
            }
            let [one, two] = ["c1", "c2"].map(|name| address(&runtime.add(name)));
            for (name, to) in [("c1", &two), ("c2", &one)] {
                let to = format!("{to}/32");
                sandbox.tool("ip", &["-n", name, "route", "add", &to, "via", "10.92.0.1"]);
            }
            runtime.ping("c1", "10.92.0.1");
            let foretold = sandbox.uswitch(&["explain", "c1", &two]);
            if isolated {
                let said = says(sandbox, "c1", &format!("ping -c 2 -W 2 {two}"));
                assert_ne!(said.code, Some(0), "{}", said.out);
                assert!(said.out.contains("Packet filtered"), "{}", said.out);
                assert!(foretold.out.contains("isolated"), "{}", foretold.out);
                assert!(foretold.out.contains("it would not arrive"), "{}", foretold.out);
            } else {
                runtime.ping("c1", &two);
                assert!(foretold.out.contains("it would arrive"), "{}", foretold.out);
            }
            for name in ["c1", "c2"] {
                runtime.del(name);
            }
            runtime.nothing_is_left();
            runtime.unmake(&["c1", "c2"]);
        }
    });
}

#[test]
fn who_sends_ipv6_to_the_world_is_told_at_once() {
    served(|sandbox, _| {
        let mut runtime = Runtime::new(sandbox, "lab", "10.92.0");
        let whole = runtime.conf.as_object_mut().unwrap();
        whole.remove("ipam");
        let ips = ["10.92.0.10/24", "fd00:92::10/64"];
        whole.insert("runtimeConfig".into(), json!({"ips": ips}));
        runtime.make("c1");
        runtime.add("c1");
        let way = ["-6", "-n", "c1", "route", "add", "default", "via", "fd00:92::1"];
        sandbox.tool("ip", &way);
        eventually("the gateway's answer", || {
            let said = says(sandbox, "c1", "ping -c 1 -W 1 2001:db8::1");
            said.out.contains("unreachable: No route").then_some(())
        });
        // The host is reached.
        says(sandbox, "c1", "ping -c 1 -W 5 fd00:92::1").ok();
        runtime.del("c1");
        runtime.nothing_is_left();
        runtime.unmake(&["c1"]);
    });
}
