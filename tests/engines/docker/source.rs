//! Whose address a container sees at its published ports: the client's own, where that is outside.

use std::net::UdpSocket;

use super::{Docker, SLEEP, docker};
use crate::machine::eventually;

/// A container that says who asks, at /cgi-bin/who.
const WHO: &str = "box sh -c 'trap exit TERM; httpd -f -p 80 & wait'";
const WORLD: &str = "198.51.100.1";
const GATEWAY: &str = "10.77.0.1";

/// Waits until a container's web server says that this is who asks.
#[track_caller]
fn is_seen(docker: &Docker<'_>, from: &str, at: &str, as_whom: &str) {
    let line = format!("{from} get {at} /cgi-bin/who");
    let mut said = String::new();
    eventually(&format!("{line}: {as_whom}"), || {
        said = docker.machine.try_sh(&line).out;
        said.trim().trim_end_matches(']').ends_with(&format!(":{as_whom}")).then_some(())
    });
}

/// What a server hears of a client that asks it by a published port, and that the answer arrives.
fn asker(docker: &Docker<'_>, from: &str, to: &str, server: &UdpSocket) -> String {
    let client = docker.machine.datagrams(from, "0.0.0.0:0");
    client.connect(to).unwrap();
    let mut buffer = [0; 64];
    client.send(b"who").unwrap();
    let (_, asker) = server.recv_from(&mut buffer).unwrap();
    server.send_to(b"you", asker).unwrap();
    assert_eq!(client.recv(&mut buffer).unwrap(), 3, "{from} to {to}");
    asker.ip().to_string()
}

#[test]
fn a_client_outside_is_seen_by_its_own_address() {
    docker(|docker| {
        docker.sh("docker network create -d uswitch --subnet 10.77.0.0/16 one");
        let ports = "-p 80:80 -p 8080:80 -p 198.51.100.2:8081:80 -p 25000:80 -p 8053:53/udp \
                     -p 0.0.0.0:8082:80";
        docker.sh(&format!("docker run -d --name web --network one {ports} {WHO}"));
        let world = "ip netns exec world";
        let everywhere = |docker: &Docker<'_>| {
            for port in [80, 8080, 8081, 8082, 25_000] {
                is_seen(docker, world, &format!("198.51.100.2 {port}"), WORLD);
                is_seen(docker, "", &format!("198.51.100.2 {port}"), GATEWAY);
            }
            is_seen(docker, "", "127.0.0.1 8080", GATEWAY);
            let key = docker.sh("docker inspect -f '{{.NetworkSettings.SandboxKey}}' web");
            let inside = key.trim().replace("/var/run/", "/run/");
            let server = docker.machine.datagrams(&inside, "0.0.0.0:53");
            for (from, to, seen) in [
                ("/run/netns/world", "198.51.100.2:8053", WORLD),
                ("/proc/1/ns/net", "198.51.100.2:8053", GATEWAY),
                ("/proc/1/ns/net", "127.0.0.1:8053", GATEWAY),
            ] {
                assert_eq!(asker(docker, from, to, &server), seen, "{from} to {to}");
            }
        };
        everywhere(docker);
        // More than fits into a segment, and by more than one fragment.
        docker.sh("docker exec web sh -c 'dd if=/dev/zero of=/big bs=1024 count=3000'");
        let got = docker.sh(&format!("{world} get 198.51.100.2 8080 /big | wc -c"));
        assert_eq!(got.trim(), "3072000");
        // Another has the port still, and what it is refused for costs the first nothing.
        let taken = docker.machine.try_sh(&format!("docker run --network one -p 8080:80 {WHO}"));
        assert!(taken.err.contains("port is already allocated"), "{}", taken.err);
        let taken = docker.machine.try_sh("timeout 2 busybox nc -l -p 8080");
        assert_ne!(taken.code, Some(124), "the host's port is held: {}", taken.err);
        docker.kill();
        docker.serve();
        everywhere(docker);
        docker.sh("docker restart -t 1 web");
        everywhere(docker);
        // Withdrawn, the port is the host's, for the same client too.
        docker.sh("docker rm -f web");
        let refused = docker.machine.try_sh(&format!("{world} get 198.51.100.2 8080"));
        assert!(refused.err.contains("refused"), "{}", refused.err);
        docker.sh("mkdir /tmp/own; echo own >/tmp/own/index.html");
        docker.sh("busybox httpd -p 8080 -h /tmp/own; echo >/dev/null");
        docker.tells_the_world("198.51.100.2 8080", "own");
    });
}

#[test]
fn where_it_is_asked_for_published_ports_are_sockets_for_all() {
    docker(|docker| {
        let options = "-d uswitch --subnet 10.77.0.0/16 -o uswitch.publish=socket";
        docker.sh(&format!("docker network create {options} one"));
        docker.sh(&format!("docker run -d --name web --network one -p 8080:80 {WHO}"));
        is_seen(docker, "ip netns exec world", "198.51.100.2 8080", GATEWAY);
        // A firewall of the host's stands before them.
        docker.sh("nft add table ip f");
        docker.sh("nft add chain ip f in '{ type filter hook input priority 0; }'");
        docker.sh("nft add rule ip f in tcp dport 8080 reject with tcp reset");
        let refused = docker.machine.try_sh("ip netns exec world get 198.51.100.2 8080");
        assert!(refused.err.contains("refused"), "{}", refused.err);
        docker.sh("nft delete table ip f");
        // What the host forwards is the host's.
        docker.sh("docker network create -d uswitch --subnet 10.78.0.0/16 two");
        docker.sh("nft add table ip n");
        docker.sh("nft add chain ip n pre '{ type nat hook prerouting priority -100; }'");
        docker.sh("nft add rule ip n pre tcp dport 8090 redirect to :8080");
        docker.sh(&format!("docker run -d --name other --network two -p 8090:80 {SLEEP}"));
        is_seen(docker, "ip netns exec world", "198.51.100.2 8090", GATEWAY);
        docker.sh("nft delete table ip n");
    });
}

#[test]
fn a_rule_that_comes_later_has_its_port_and_its_container_has_it_after_that() {
    docker(|docker| {
        docker.sh("docker network create -d uswitch --subnet 10.77.0.0/16 one");
        docker.sh(&format!("docker run -d --name web --network one -p 8080:80 -p 8090:80 {WHO}"));
        let world = "ip netns exec world";
        is_seen(docker, world, "198.51.100.2 8090", WORLD);
        docker.sh("mkdir /tmp/own; echo own >/tmp/own/index.html");
        docker.sh("busybox httpd -p 8099 -h /tmp/own; echo >/dev/null");
        // A connection by the other port goes on meanwhile.
        docker.sh("docker exec web sh -c 'dd if=/dev/zero of=/big bs=1024 count=20000'");
        let big = "get 198.51.100.2 8080 /big | { head -c 1000; touch /tmp/begun; sleep 6; cat; } | wc -c";
        let mut slow = docker.machine.start_sh(&format!("{world} sh -c '{big}'"));
        eventually("the answer begins", || {
            docker.machine.try_sh("test -e /tmp/begun").code.filter(|code| *code == 0)
        });
        docker.sh("nft add table ip n");
        docker.sh("nft add chain ip n pre '{ type nat hook prerouting priority -100; }'");
        docker.sh("nft add rule ip n pre tcp dport 8090 redirect to :8099");
        docker.tells_the_world("198.51.100.2 8090", "own");
        is_seen(docker, world, "198.51.100.2 8080", WORLD);
        docker.sh("nft flush chain ip n pre");
        is_seen(docker, world, "198.51.100.2 8090", WORLD);
        slow.wait_for("20480000");
        docker.sh("nft delete table ip n");
        // iptables tells of its rules in the same way, where it is not the older one.
        docker.sh("iptables -t nat -I PREROUTING -p tcp --dport 8090 -j REDIRECT --to-ports 8099");
        docker.tells_the_world("198.51.100.2 8090", "own");
        docker.sh("iptables -t nat -D PREROUTING -p tcp --dport 8090 -j REDIRECT --to-ports 8099");
        is_seen(docker, world, "198.51.100.2 8090", WORLD);
    });
}
