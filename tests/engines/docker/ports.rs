//! Published ports.

use super::{SLEEP, docker, page};
use crate::machine::eventually;

#[test]
fn ports_are_published_and_one_that_is_taken_is_refused() {
    docker(|docker| {
        docker.sh("docker network create -d uswitch one");
        let serve = "box sh -c 'echo hello >/index.html; exec httpd -f -p 80'";
        docker.sh(&format!("docker run -d --name web --network one -p 8080:80 {serve}"));
        docker.sh(&format!("docker run -d --name near --network one -p 127.0.0.1:8081:80 {serve}"));
        let got = |from: &str, at: &str| docker.machine.try_sh(&format!("{from} get {at}")).out;
        // A container runs a moment before its server does.
        let hello = |at: &str| eventually(at, || (got("", at) == "hello\n").then_some(()));
        for at in ["127.0.0.1 8080", "198.51.100.2 8080", "::1 8080", "127.0.0.1 8081"] {
            hello(at);
        }
        assert_eq!(got("ip netns exec world", "198.51.100.2 8080"), "hello\n");
        assert_eq!(got("ip netns exec world", "198.51.100.2 8081"), "");
        // From another network, and from itself, by the host's address.
        docker.sh("docker network create -d uswitch two");
        docker.sh(&format!("docker run -d --name other --network two {SLEEP}"));
        for from in ["docker exec other", "docker exec web"] {
            let ask = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 198.51.100.2 8080";
            let said = docker.sh(&format!("{from} sh -c \"{ask}\""));
            assert!(said.ends_with("\r\n\r\nhello\n"), "{from}: {said}");
        }
        let taken = docker.machine.try_sh(&format!("docker run --network one -p 8080:80 {serve}"));
        assert!(taken.err.contains("port is already allocated"), "{}", taken.err);
        docker.sh("docker restart -t 1 web");
        hello("127.0.0.1 8080");
        docker.sh("docker rm -f web");
        assert_eq!(got("", "127.0.0.1 8080"), "");
    });
}

#[test]
fn datagrams_find_their_container_and_the_answer_comes_from_where_it_was_asked() {
    docker(|docker| {
        docker.sh("docker network create -d uswitch --subnet 10.77.0.0/16 one");
        docker.sh("docker network create -d uswitch --subnet 10.78.0.0/16 two");
        docker.sh("ip addr add 198.51.100.22/24 dev eth0");
        let ports = "-p 5300:53/udp -p 127.0.0.1:5301:53/udp -p 198.51.100.22:5302:53/udp \
                     -p 53:53/udp";
        docker.sh(&format!("docker run -d --name dns --network one {ports} {SLEEP}"));
        docker.sh(&format!("docker run -d --name other --network two {SLEEP}"));
        let machine = docker.machine;
        let container = |name: &str| {
            let key = format!("docker inspect -f '{{{{.NetworkSettings.SandboxKey}}}}' {name}");
            docker.sh(&key).trim().replace("/var/run/", "/run/")
        };
        let server = machine.datagrams(&container("dns"), "0.0.0.0:53");
        let (host, world) = ("/proc/1/ns/net".to_owned(), "/run/netns/world".to_owned());
        let (own, other) = (container("dns"), container("other"));
        // By hand: one of the NAT's own block, for the world alone.
        eventually("the container's name", || {
            let done = machine.try_sh("uswitch publish 25053:dns:53/udp");
            done.code.filter(|code| *code == 0)
        });
        for (from, to, reached) in [
            (&host, "127.0.0.1:5300", true),
            (&host, "198.51.100.2:5300", true),
            (&host, "198.51.100.22:5300", true),
            (&host, "[::1]:5300", true),
            (&host, "10.77.0.1:5300", true),
            (&world, "198.51.100.2:5300", true),
            (&world, "198.51.100.22:5300", true),
            (&other, "198.51.100.2:5300", true),
            (&own, "198.51.100.2:5300", true),
            (&host, "127.0.0.1:5301", true),
            (&world, "198.51.100.22:5302", true),
            (&host, "127.0.0.1:53", true),
            (&host, "10.77.0.1:53", true),
            (&host, "10.78.0.1:53", true),
            (&world, "198.51.100.2:53", true),
            (&world, "198.51.100.22:53", true),
            (&other, "198.51.100.2:53", true),
            (&other, "10.78.0.1:53", true),
            (&own, "10.77.0.1:53", true),
            (&world, "198.51.100.2:25053", true),
            (&world, "198.51.100.2:5302", false),
            (&world, "198.51.100.2:5301", false),
        ] {
            let any = if to.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
            let client = machine.datagrams(from, any);
            client.connect(to).unwrap();
            let sent = client.send(to.as_bytes());
            let mut buffer = [0; 64];
            if reached {
                let (length, asker) =
                    server.recv_from(&mut buffer).unwrap_or_else(|e| panic!("{from} to {to}: {e}"));
                assert_eq!(&buffer[..length], to.as_bytes(), "{from} to {to}");
                server.send_to(b"yes", asker).unwrap();
                assert_eq!(client.recv(&mut buffer).unwrap(), 3, "{from} to {to}");
            } else {
                // Refused by the host, which says so.
                assert!(sent.and_then(|_| client.recv(&mut buffer)).is_err(), "{from} to {to}");
            }
        }
    });
}

/// What is safe with Docker's bridge, as in a compose file, is so here.
#[test]
fn options_of_dockers_bridge_that_keep_others_out_hold() {
    docker(|docker| {
        let own = "-o com.docker.network.bridge.enable_icc=false \
                   -o com.docker.network.bridge.host_binding_ipv4=127.0.0.1";
        docker.sh(&format!("docker network create -d uswitch --subnet 10.77.0.0/16 {own} one"));
        let ports = "-p 8080:80 -p 198.51.100.2:8081:80";
        docker.sh(&format!("docker run -d --name web --network one {ports} {}", page("web")));
        docker.sh(&format!("docker run -d --name db --network one {SLEEP}"));
        docker.says("127.0.0.1 8080", "web");
        docker.tells_the_world("198.51.100.2 8081", "web");
        let world = docker.machine.try_sh("ip netns exec world get 198.51.100.2 8080");
        assert!(world.err.contains("refused"), "{}{}", world.out, world.err);
        docker.reaches("db", "web", false);
        docker.reaches("db", "10.77.0.1", true);
    });
}

/// dockerd says nothing of the ports as it makes our place, for its bridge has them at that time.
#[test]
fn a_container_takes_its_ports_along_from_dockers_own_bridge() {
    docker(|docker| {
        docker.sh("docker network create -d uswitch --subnet 10.77.0.0/16 zlab");
        docker.sh(&format!("docker run -d --name web -p 8080:80 {}", page("web")));
        docker.says("127.0.0.1 8080", "web");
        docker.sh("docker network connect zlab web");
        docker.sh("docker network disconnect bridge web");
        docker.tells_the_world("198.51.100.2 8080", "web");
        docker.says("127.0.0.1 8080", "web");
        docker.kill();
        docker.serve();
        docker.tells_the_world("198.51.100.2 8080", "web");
        docker.sh("docker network connect bridge web");
        docker.sh("docker network disconnect zlab web");
        assert_eq!(docker.sh("uswitch show published -j").trim(), "[]");
    });
}

#[test]
fn published_ports_are_listed_and_follow_their_container() {
    docker(|docker| {
        docker.sh("docker network create -d uswitch --subnet 10.77.0.0/16 one");
        docker.sh("docker network create -d uswitch --subnet 10.78.0.0/16 two");
        let ports = "-p 9000-9002:80 -p 80 -p [::1]:8086:80 -p 25000:80";
        docker.sh(&format!("docker run -d --name web --network one {ports} {}", page("web")));
        let second =
            format!("docker run -d --name web2 --network one -p 9000-9002:80 {}", page("web2"));
        docker.sh(&second);
        let list = eventually("the container's name", || {
            let list = docker.sh("uswitch show published");
            list.contains(" web").then_some(list)
        });
        for row in ["9000/tcp", "9001/tcp", "[::1]:8086/tcp", "25000/tcp", "10.77.0.2:80"] {
            assert!(list.contains(row), "{row} in\n{list}");
        }
        let rows: serde_json::Value =
            serde_json::from_str(&docker.sh("uswitch show published -j")).unwrap();
        let rows = rows.as_array().unwrap();
        let any = rows.iter().map(|row| row["port"].as_u64().unwrap());
        let any = any.into_iter().find(|port| *port > 30_000).unwrap();
        docker.says(&format!("127.0.0.1 {any}"), "web");
        docker.says("127.0.0.1 9001", "web2");
        docker.says("::1 8086", "web");
        docker.tells_the_world("198.51.100.2 9000", "web");
        // One of those that the NAT has.
        docker.tells_the_world("198.51.100.2 25000", "web");
        docker.says("198.51.100.2 25000", "web");
        // The way out moves to another network, and the ports with it.
        docker.sh("docker network connect two web");
        docker.tells_the_world("198.51.100.2 9000", "web");
        docker.sh("docker network disconnect one web");
        docker.tells_the_world("198.51.100.2 25000", "web");
        docker.says("127.0.0.1 9000", "web");
        assert!(docker.sh("uswitch show published").contains("10.78.0.2:80"));
        docker.sh("docker network disconnect two web");
        let list = docker.sh("uswitch show published");
        assert!(!list.contains("9000/tcp") && list.contains("9001/tcp"), "{list}");
        let refused =
            docker.machine.try_sh("docker run --network one -p 192.0.2.77:70:80 box sh -c :");
        assert!(refused.err.contains("192.0.2.77:70"), "{}", refused.err);
        docker.sh("docker rm -f web web2");
        assert_eq!(docker.sh("uswitch show published -j").trim(), "[]");
    });
}
