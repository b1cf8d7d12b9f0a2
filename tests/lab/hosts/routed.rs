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
