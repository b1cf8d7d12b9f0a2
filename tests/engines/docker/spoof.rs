//! Containers that speak for others: their frames are dropped, counted and shown.

use super::{SLEEP, docker};
use crate::machine::eventually;

#[test]
fn a_container_speaks_for_itself_alone() {
    docker(|docker| {
        docker.sh("docker network create -d uswitch --ipv6 --subnet fd00:7::/64 --subnet 10.77.0.0/16 one");
        docker.sh(
            "docker network create -d uswitch --subnet 10.78.0.0/16 -o uswitch.spoof=allow free",
        );
        docker.sh(&format!("docker run -d --name good --network one {SLEEP}"));
        docker.sh(&format!("docker run -d --name bad --cap-add NET_ADMIN --network one {SLEEP}"));
        docker.reaches("bad", "good", true);
        docker.reaches("bad", "fd00:7::2", true);
        eventually("the container's name", || {
            docker.sh("uswitch show").contains("bad").then_some(())
        });
        let spoofed = || -> u64 {
            let ports: serde_json::Value =
                serde_json::from_str(&docker.sh("uswitch show ports -j")).unwrap();
            let all = ports.as_array().unwrap().iter();
            all.filter_map(|port| port["drops"]["spoofed"].as_u64()).sum()
        };
        assert_eq!(spoofed(), 0, "{}", docker.sh("uswitch show ports"));
        let refused = |what: &str, line: &str| {
            let before = spoofed();
            eventually(what, || {
                docker.machine.try_sh(&format!("docker exec bad {line}"));
                (spoofed() > before).then_some(())
            });
        };
        // Another's address in ARP, with a flow to the other laid already, and in packets.
        docker.sh("docker exec bad ip addr add 10.77.0.1/32 dev lo");
        refused("the gateway's address", "arping -c 2 -w 3 -I eth0 -s 10.77.0.1 10.77.0.2");
        let table = docker.sh("docker exec good ip neigh");
        let gateway = table.lines().find(|line| line.starts_with("10.77.0.1 "));
        let own = docker.sh("docker exec bad cat /sys/class/net/eth0/address");
        assert!(gateway.is_none_or(|line| !line.contains(own.trim())), "{table}");
        docker.sh("docker exec bad ip addr del 10.77.0.1/32 dev lo");
        docker.sh("docker exec bad ip addr add 10.77.0.99/16 dev eth0");
        refused("an address that is not its own", "ping -c 2 -W 2 -I 10.77.0.99 10.77.0.2");
        docker.sh("docker exec bad ip -6 addr add fd00:7::99/64 dev eth0");
        refused("one of IPv6", "ping -6 -c 2 -W 2 -I fd00:7::99 fd00:7::2");
        // Metrics have them by their reason, as `show` has.
        let metrics = docker.sh("uswitch metrics");
        let counted = metrics.lines().filter(|line| line.contains("reason=\"spoofed\""));
        let sum: f64 =
            counted.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
        assert!(sum >= 3.0, "{metrics}");
        docker.reaches("bad", "10.77.0.2", true);
        // What is dropped is told as it happens.
        let trace = docker.machine.start_sh("timeout 60 uswitch trace bad");
        eventually("a dropped packet in the trace", || {
            docker.machine.try_sh("docker exec bad ping -c 1 -W 1 -I 10.77.0.99 10.77.0.2");
            trace.out().contains("spoofed").then_some(())
        });
        drop(trace);
        // Another hardware address, the gateway's too.
        for mac in ["02:00:00:00:00:99", "02:00:0a:4d:00:01"] {
            docker.sh(&format!("docker exec bad ip link set eth0 address {mac}"));
            refused(mac, "ping -c 2 -W 2 10.77.0.2");
        }
        docker.sh(&format!("docker exec bad ip link set eth0 address {}", own.trim()));
        docker.reaches("bad", "10.77.0.2", true);
        // Where it is allowed.
        docker.sh(&format!("docker run -d --name one --network free {SLEEP}"));
        docker.sh(&format!("docker run -d --name two --cap-add NET_ADMIN --network free {SLEEP}"));
        docker.sh("docker exec two ip addr add 10.78.0.99/16 dev eth0");
        docker.sh("docker exec two ping -c 1 -W 3 -I 10.78.0.99 10.78.0.2");
        docker.reaches("one", "10.78.0.99", true);
        let wrong = docker.machine.try_sh("docker network create -d uswitch -o uswitch.spoof=x y");
        assert!(wrong.err.contains("allow, or deny"), "{}", wrong.err);
    });
}
