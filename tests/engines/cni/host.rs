//! The host's interface of a network, which somebody harms.

use std::time::Duration;

use super::Runtime;
use crate::machine::eventually;
use crate::recorded::served;

/// Whatever somebody does to the host's interface of a network, it is as it was, and said once each; who
/// goes on doing it has its way for a while.
#[test]
fn the_hosts_interface_stays_as_it_was_made() {
    served(|sandbox, serve| {
        let runtime = Runtime::new(sandbox, "lab", "10.92.0");
        runtime.make("c1");
        runtime.make("c2");
        runtime.add("c1");
        let has = || {
            let line = sandbox.tool("ip", &["-o", "-4", "addr", "show", "up", "to", "10.92.0.1"]);
            line.split_whitespace().nth(1).map(str::to_owned)
        };
        let name = has().expect("the host's interface");
        let serve = serve.as_mut().unwrap();
        for (harm, said) in [
            (format!("addr flush dev {name}"), "had lost 10.92.0.1/24; it has it again"),
            (format!("link set {name} down"), "was set down; it is up again"),
            (format!("link set {name} netns c2"), "was deleted or moved away; it is made again"),
        ] {
            sandbox.tool("ip", &harm.split(' ').collect::<Vec<_>>());
            serve.wait_for_complaint(said);
            eventually(&harm, || has().filter(|own| *own == name));
            runtime.ping("c1", "10.92.0.1");
        }
        assert!(!sandbox.tool("ip", &["-n", "c2", "link"]).contains(&name));
        for _ in 0..40 {
            sandbox.tool("ip", &["link", "set", &name, "down"]);
            std::thread::sleep(Duration::from_millis(20));
        }
        serve.wait_for_complaint("it is left as it is for 5 s");
        assert_eq!(has(), None);
        eventually("its turn", || has().filter(|own| *own == name));
        runtime.ping("c1", "10.92.0.1");
        runtime.del("c1");
        runtime.nothing_is_left();
        runtime.unmake(&["c1", "c2"]);
    });
}

#[test]
fn an_interface_that_is_deleted_again_and_again_comes_back_later() {
    served(|sandbox, serve| {
        let runtime = Runtime::new(sandbox, "lab", "10.92.0");
        runtime.make("c1");
        runtime.add("c1");
        let has = || {
            let line = sandbox.tool("ip", &["-o", "-4", "addr", "show", "up", "to", "10.92.0.1"]);
            line.split_whitespace().nth(1).map(str::to_owned)
        };
        for _ in 0..11 {
            let name = eventually("the host's interface", has);
            sandbox.tool("ip", &["link", "del", &name]);
        }
        let serve = serve.as_mut().unwrap();
        serve.wait_for_complaint("it is left as it is for 5 s");
        assert_eq!(has(), None);
        // The gateway answers meanwhile, and the network goes on.
        runtime.ping("c1", "10.92.0.1");
        let name = eventually("the host's interface", has);
        serve.wait_for_complaint(&format!("{name} was deleted or moved away; it is made again"));
        sandbox.tool("ping", &["-c", "1", "-W", "5", "10.92.0.10"]);
        // It is in its place when the network goes.
        runtime.del("c1");
        runtime.nothing_is_left();
        runtime.unmake(&["c1"]);
    });
}

/// The network goes with its last container, in the very moment its interface is made again.
#[test]
fn a_network_goes_while_its_interface_is_made_again() {
    served(|sandbox, _| {
        let runtime = Runtime::new(sandbox, "lab", "10.92.0");
        runtime.make("c1");
        for _ in 0..12 {
            runtime.add("c1");
            let line = sandbox.tool("ip", &["-o", "-4", "addr", "show", "to", "10.92.0.1"]);
            let name = line.split_whitespace().nth(1).expect("the host's interface").to_owned();
            std::thread::scope(|scope| {
                // It may be gone already.
                scope.spawn(|| {
                    drop(sandbox.tool("sh", &["-c", &format!("ip link del {name} || :")]))
                });
                runtime.del("c1");
            });
            runtime.nothing_is_left();
        }
        runtime.unmake(&["c1"]);
    });
}
