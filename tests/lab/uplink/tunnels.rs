//! Tunnels without ports beside each other by one address: the host's own to one remote, a node's to
//! another.

use super::host::{Dump, end, eventually, lab, netns, on_a_watched_host, sh};
use super::{COMPLAINTS, only_the_closed_port_complained};
use crate::by_address::{End, Tunnel};
use crate::support::{Sandbox, both_ways};

/// The host's remote, and the nodes'.
const SERVER: &str = "8.8.8.8";
const CORE: &str = "198.51.100.2";

fn ping(sandbox: &Sandbox, from: &str, to: &str) {
    let args = "ping -n -c 3 -i 0.1 -W 5";
    let said = match from {
        "host" => sh(sandbox, &format!("{args} {to}")),
        node => sh(sandbox, &format!("ip netns exec {node} {args} {to}")),
    };
    assert!(said.contains(" 0% packet loss") && !said.contains("DUP"), "{from} {to}: {said}");
}

fn whole(ends: (&str, &str), at: &str) {
    let at = at.parse().unwrap();
    for (sent, received) in both_ways((&netns(ends.0), &netns(ends.1)), at, 1 << 20) {
        assert_eq!((sent.bytes, &sent), (1 << 20, &received), "{ends:?} {at}");
    }
}

#[test]
fn the_host_and_a_node_have_tunnels_by_one_address() {
    for fast_path in ["off", "on"] {
        on_a_watched_host(|sandbox| {
            let run = lab(sandbox, &["run", "--uplink", "auto", "--fast-path", fast_path]);
            let begin = |netns: &str, outer, inner| {
                let netns = (netns != "host").then_some(netns);
                Tunnel::begin(sandbox, "gre", &End { netns, outer, inner })
            };
            let mut tunnels = vec![
                begin("server", (SERVER, "192.0.2.2"), "172.31.0.2"),
                begin("host", ("192.0.2.2", SERVER), "172.31.0.1"),
                begin("core", (CORE, "192.0.2.2"), "172.31.1.2"),
                begin("net1", ("10.100.0.10", CORE), "172.31.1.1"),
            ];
            // Until then a remote may speak to somebody who is not there yet.
            ping(sandbox, "host", "172.31.0.2");
            ping(sandbox, "net1", "172.31.1.2");
            let dump = Dump::start(sandbox, COMPLAINTS);
            for _ in 0..2 {
                ping(sandbox, "host", "172.31.0.2");
                ping(sandbox, "net1", "172.31.1.2");
                ping(sandbox, "server", "172.31.0.1");
                ping(sandbox, "core", "172.31.1.1");
            }
            whole(("host", "server"), "172.31.0.2:7400");
            whole(("net1", "core"), "172.31.1.2:7401");
            whole(("server", "host"), "172.31.0.1:7402");
            whole(("core", "net1"), "172.31.1.1:7403");
            // The host's stack has said nothing about the node's.
            only_the_closed_port_complained(sandbox, dump);
            let foretold = |from: &str, to: &str| sandbox.uswitch(&["explain", from, to]);
            let said = foretold("net1", &format!("{CORE}/gre")).ok().out;
            assert!(said.contains("a running session"), "{said}");
            for (to, why) in [(CORE, "remote-taken"), (SERVER, "host-tunnel")] {
                if to == CORE || tunnels[1].is_kernels {
                    let said = foretold("net2", &format!("{to}/gre"));
                    assert!(said.code == Some(1) && said.out.contains(why), "{}", said.out);
                }
            }
            if tunnels[1].is_kernels {
                // The host's remote is its own.
                begin("net2", ("10.100.0.20", SERVER), "172.31.2.1");
                let refused = || sandbox.uswitch(&["show", "counters", "-j"]).ok().out;
                eventually("a node that is refused", || {
                    sh(sandbox, "ip netns exec net2 ping -n -c 1 -W 1 172.31.2.2 || true");
                    refused().contains("host-tunnel")
                });
                ping(sandbox, "host", "172.31.0.2");
            }
            tunnels.clear();
            end(run);
        });
    }
}
