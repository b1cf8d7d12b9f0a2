//! Hosts whose ends are of IPv6, and one of IPv4 that comes by.

use super::{hosts, mac};
use crate::door::until;

#[test]
fn hosts_of_ipv6_are_one_network_and_one_of_ipv4_is_refused() {
    hosts(|world| {
        for host in 1..=3 {
            let (netns, address) = (format!("host{host}"), format!("fd09::{host}/64"));
            world
                .sandbox
                .tool("ip", &["-n", &netns, "addr", "add", &address, "dev", "eth0", "nodad"]);
        }
        let start = |host: usize| {
            let vtep = format!("fd09::{host}");
            let mut run = world.start_with(host, &vtep);
            run.wait_for(crate::READY);
            run
        };
        let [one, two] = [1, 2].map(start);
        until("host 1 reaches host 2", || world.pings(1, "n1", "10.100.1.2").then_some(()));
        let zero = "00:00:00:00:00:00".to_owned();
        let rows = [(zero, "fd09::2".to_owned()), (mac(2), "fd09::2".into())];
        assert_eq!(world.rows(&one), rows);
        assert_eq!(world.json(1, &["network", "ls"])[0]["mtu"], 1430);
        let hosts = world.json(1, &["show", "hosts"]);
        assert_eq!(hosts[0]["hosts"][1]["vtep"], "fd09::2");
        let said = world.uswitch(1, &["explain", "n1", "n2"]).ok().out;
        assert!(said.contains("sends it to h2, fd09::2, VNI 100"), "{said}");
        until("the way passes", || {
            (world.uswitch(1, &["tunnel", "check"]).code == Some(0)).then_some(())
        });
        // A host of the other family is another network's.
        let before = world.sandbox.state();
        let ended = world.start(3).ended();
        let says = "network prod has ends of IPv6, here IPv4";
        assert!(ended.complaint(2).contains(says), "{}", ended.err);
        assert_eq!(world.sandbox.state(), before);
        drop(two);
    });
}
