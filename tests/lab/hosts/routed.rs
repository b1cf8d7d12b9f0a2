//! Two networks over two hosts, routed to each other: each node leaves by its own host's gateway, and what that
//! has routed goes by the other network's tunnel.

use serde_json::Value;

use super::hosts;
use super::world::World;
use crate::READY;
use crate::door::until;

/// Node aN in lan, which etcd knows, and bN in other, whose tunnel names the other host.
fn write(world: &World<'_>, host: usize) {
    let there = 3 - host;
    let file = format!(
        "networks:\n  lan: {{subnet: 10.100.0.0/16, gateway: true, routed: [other]}}\n  \
         other: {{subnet: 10.50.0.0/16, gateway: true, routed: [lan]}}\nuplink: none\nnodes:\n  \
         a{host}: {{network: \"lan,10.100.1.{host}\"}}\n  b{host}: {{network: \"other,10.50.1.{host}\"}}\n\
         tunnels:\n- {{vni: 200, remotes: [10.9.0.{there}], local: 10.9.0.{host}, network: other}}\n"
    );
    std::fs::write(world.sandbox.dir.join(format!("n{host}.yaml")), file).unwrap();
}

/// A name is a node's in one network here, and another's in another network on another host.
#[test]
fn a_node_of_another_network_hides_no_node_of_another_host() {
    hosts(|world| {
        let _one = world.lab(1);
        let file = "networks:\n  lan: {subnet: 10.100.0.0/16, gateway: true}\n  \
                    other: {subnet: 10.50.0.0/16, gateway: true}\nuplink: none\nnodes:\n  \
                    n2: {network: \"lan,10.100.1.2\"}\n  web: {network: \"other,10.50.1.2\"}\n  \
                    w2: {network: \"other,10.50.1.3\"}\n";
        std::fs::write(world.sandbox.dir.join("n2.yaml"), file).unwrap();
        let mut two = world.start_at(2, &format!("{}&network=lan", world.url()), &[]);
        two.wait_for(READY);
        let add = ["add", "web", "--network", "lan,10.100.1.50"];
        world.uswitch(1, &add).ok();
        let asks = |node: &str| {
            let said = world.uswitch(2, &["exec", node, "--", "getent", "ahostsv4", "web"]).out;
            said.split_whitespace().next().unwrap_or_default().to_owned()
        };
        until("n2 is told of host 1's", || (asks("n2") == "10.100.1.50").then_some(()));
        assert_eq!(asks("w2"), "10.50.1.2");
        world.uswitch(2, &["ping", "n2", "web", "-c", "1"]).ok();
        let said = world.uswitch(2, &["explain", "n2", "web"]).ok().out;
        assert!(said.contains("10.100.1.50"), "{said}");
        // It is so when ours goes and comes, and the other's ends with it.
        world.uswitch(2, &["remove", "web"]).ok();
        assert_eq!(asks("n2"), "10.100.1.50");
        world.uswitch(2, &["add", "web", "--network", "other,10.50.1.2"]).ok();
        assert_eq!([asks("n2"), asks("w2")], ["10.100.1.50", "10.50.1.2"]);
        world.uswitch(1, &["remove", "web"]).ok();
        until("it has gone", || asks("n2").is_empty().then_some(()));
        assert_eq!(asks("w2"), "10.50.1.2");
    });
}

#[test]
fn networks_that_are_routed_to_each_other_meet_over_hosts() {
    hosts(|world| {
        let url = format!("{}&network=lan", world.url());
        let labs = [1, 2].map(|host| {
            write(world, host);
            let mut lab = world.start_at(host, &url, &[]);
            lab.wait_for(READY);
            lab
        });
        for (host, node, to) in [
            (1, "a1", "10.50.1.2"),
            (1, "b1", "10.100.1.2"),
            (2, "a2", "10.50.1.1"),
            (2, "b2", "10.100.1.1"),
        ] {
            until(&format!("{node} reaches {to}"), || world.pings(host, node, to).then_some(()));
        }
        // Whom etcd knows no gateway asks for; who is behind the other tunnel has been asked for.
        let known = world.json(1, &["show", "neigh"]);
        let knows = |address: &str| {
            known.as_array().unwrap().iter().any(|neighbour| neighbour["dst"] == address)
        };
        assert!(!knows("10.100.1.2") && knows("10.50.1.2"), "{known:#}");
        let said = world.uswitch(1, &["explain", "b1", "10.100.1.2"]).ok().out;
        assert!(said.contains("10.100.1.2 is at 02:00:0a:64:01:02"), "{said}");
        assert!(said.contains("sends it to h2, 10.9.0.2, VNI 100"), "{said}");
        for host in [1, 2] {
            let counters = world.json(host, &["show", "counters"]);
            let drops = &counters["switch"]["drops"];
            assert_eq!(
                drops.get("own-source").and_then(Value::as_u64).unwrap_or(0),
                0,
                "{counters:#}"
            );
        }
        drop(labs);
    });
}
