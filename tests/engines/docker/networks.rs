//! Networks as they were asked for, and who reaches whom.

use super::{Docker, SLEEP, docker};
use crate::machine::eventually;

#[test]
fn containers_meet_each_other_the_host_and_the_world() {
    docker(|docker| {
        docker.sh("docker network create -d uswitch --subnet 10.77.0.0/16 one");
        docker.sh("docker network create -d uswitch --subnet 10.78.0.0/16 two");
        docker.sh(&format!("docker run -d --name web --network one {SLEEP}"));
        docker.sh(&format!("docker run -d --name db --network one --ip 10.77.9.9 {SLEEP}"));
        docker.sh(&format!("docker run -d --name other --network two {SLEEP}"));
        for to in ["db", "web", "10.77.9.9", "10.77.0.1", "198.51.100.2", "203.0.113.9"] {
            docker.reaches("web", to, true);
        }
        for to in ["10.78.0.2", "other"] {
            docker.reaches("web", to, false);
        }
        docker.sh("ping -c 1 -W 3 10.77.9.9");
        let table = eventually("containers' names", || {
            let table = docker.sh("uswitch show");
            ["web", "db", "other"].iter().all(|name| table.contains(name)).then_some(table)
        });
        assert!(table.contains("10.77.9.9/16"), "{table}");
        // A second network, live, and out of it again.
        docker.sh("docker network connect two web");
        docker.reaches("web", "other", true);
        docker.sh("docker network disconnect two web");
        docker.reaches("web", "other", false);
        docker.reaches("web", "db", true);
        let explained = docker.sh("uswitch explain web 203.0.113.9:80");
        assert!(explained.contains("198.51.100.2"), "{explained}");
    });
}

#[test]
fn the_hosts_interface_of_a_network_is_made_again_where_somebody_deletes_it() {
    docker(|docker| {
        docker.sh("docker network create -d uswitch --subnet 10.77.0.0/16 one");
        docker.sh(&format!("docker run -d --name web --network one --ip 10.77.9.9 {SLEEP}"));
        docker.sh("ping -c 1 -W 3 10.77.9.9");
        let interface = || {
            let line = docker.sh("ip -o -4 addr show to 10.77.0.1");
            line.split_whitespace().nth(1).map(str::to_owned)
        };
        let name = interface().expect("the host's interface");
        docker.sh(&format!("ip link del {name}"));
        let again = eventually("the host's interface", interface);
        assert_eq!(again, name);
        docker.sh("ping -c 1 -W 3 10.77.9.9");
        docker.reaches("web", "10.77.0.1", true);
        docker.reaches("web", "203.0.113.9", true);
        assert!(docker.sh("uswitch show").contains("the-host"));
        docker.sh("docker rm -f web");
        docker.sh("docker network rm one");
        assert_eq!(interface(), None);
    });
}

#[test]
fn the_kernel_repeats_what_containers_say_to_the_host_and_the_world() {
    docker(|docker| {
        if !docker.sh("uswitch show").contains("fast path (auto): the kernel") {
            return crate::support::beyond("no BPF is to be had for a fast path");
        }
        docker.sh("docker network create -d uswitch --subnet 10.77.0.0/16 one");
        docker.sh(&format!("docker run -d --name web --network one {SLEEP}"));
        let repeated = |docker: &Docker<'_>| {
            docker.sh("docker exec web ping -c 40 -i 0.02 -W 3 198.51.100.1");
            let flows = docker.sh("uswitch show flows");
            flows.lines().filter(|line| line.contains("eth0")).count() >= 2
        };
        eventually("flows to the uplink and back", || repeated(docker).then_some(()));
        // The way there is one of the links that the next server finds.
        docker.kill();
        docker.serve();
        eventually("flows after a crash", || repeated(docker).then_some(()));
        // The host is handed what is its own as it was sent: hops are not counted.
        docker.sh(
            "nft add table ip t; nft 'add chain ip t in { type filter hook input priority 0; }'; \
             nft add rule ip t in icmp type echo-request ip ttl != 64 drop",
        );
        eventually("a flow to the host", || {
            docker.sh("docker exec web ping -c 40 -i 0.02 -W 3 10.77.0.1 | grep ' 0% packet loss'");
            let flows = docker.sh("uswitch show flows");
            flows.lines().any(|line| line.contains("10.77.0.1")).then_some(())
        });
    });
}

#[test]
fn what_may_leave_for_the_world_is_no_longer_than_the_hosts_interface_takes() {
    docker(|docker| {
        docker.sh("docker network create -d uswitch one");
        docker.sh("docker network create -d uswitch --internal two");
        for (network, longest) in [("one", "65536"), ("two", "196608")] {
            docker.sh(&format!("docker run -d --name in-{network} --network {network} {SLEEP}"));
            let key = docker.sh(&format!(
                "docker inspect -f '{{{{.NetworkSettings.SandboxKey}}}}' in-{network}"
            ));
            let link = docker.sh(&format!("nsenter --net={} ip -d link show eth0", key.trim()));
            if !link.contains("gso_ipv4_max_size") {
                return crate::support::beyond(
                    "this suite's ip does not know of gso_ipv4_max_size",
                );
            }
            let wanted = format!("gso_ipv4_max_size {longest}");
            assert!(link.contains(&wanted), "{network}: {link}");
        }
    });
}

#[test]
fn a_network_is_as_it_was_asked_for() {
    docker(|docker| {
        docker.sh(
            "docker network create -d uswitch --internal --subnet 10.80.0.0/24 --gateway 10.80.0.7 \
             -o com.docker.network.driver.mtu=1400 closed",
        );
        let mac = "--mac-address 02:00:00:00:07:07";
        docker.sh(&format!("docker run -d --name in --network closed {mac} {SLEEP}"));
        let link = docker.sh("docker exec in ip addr show eth0");
        assert!(link.contains("02:00:00:00:07:07") && link.contains("mtu 1400"), "{link}");
        docker.reaches("in", "10.80.0.7", true);
        docker.reaches("in", "203.0.113.9", false);
        let routes = docker.sh("docker exec in ip route");
        assert!(!routes.contains("default"), "{routes}");
        let wrong =
            docker.machine.try_sh("docker network create -d uswitch -o uswitch.nonsense=1 x");
        assert!(wrong.code != Some(0) && wrong.err.contains("no such option"), "{}", wrong.err);
        docker.sh("docker network create -d uswitch -o uswitch.isolate=true apart");
        for name in ["aa", "bb"] {
            docker.sh(&format!("docker run -d --name {name} --network apart {SLEEP}"));
        }
        docker.reaches("aa", "bb", false);
        docker.reaches("aa", "203.0.113.9", true);
        docker.sh("docker network create -d uswitch --ipv6 --subnet fd00:7::/64 --subnet 10.90.0.0/24 six");
        docker.sh(&format!("docker run -d --name six1 --network six {SLEEP}"));
        docker.sh(&format!("docker run -d --name six2 --network six {SLEEP}"));
        for to in ["fd00:7::1", "fd00:7::3", "10.90.0.3"] {
            docker.reaches("six1", to, true);
        }
        docker.sh("ping -6 -c 1 -W 3 fd00:7::2");
    });
}

#[test]
fn twenty_containers_start_at_once_and_all_meet() {
    docker(|docker| {
        docker.sh("docker network create -d uswitch --subnet 10.77.0.0/16 one");
        let all: Vec<String> = (1..=20).map(|n| format!("c{n}")).collect();
        let runs = all.iter().map(|name| {
            let line = format!("docker run -d --name {name} --network one {SLEEP}");
            (docker.machine.start_sh(&line), line)
        });
        for (run, line) in runs.collect::<Vec<_>>() {
            let ended = run.ended_within(crate::machine::PATIENCE);
            assert_eq!(ended.code, Some(0), "{line}: {}", ended.err);
        }
        for name in &all {
            docker.reaches("c1", name, true);
        }
        docker.sh(&format!("docker rm -f {}", all.join(" ")));
        let table = docker.sh("uswitch show");
        assert!(!table.contains("eth0  "), "{table}");
    });
}

#[test]
fn containers_of_several_networks_keep_each_while_others_come_and_go() {
    docker(|docker| {
        docker.sh("docker network create -d uswitch --subnet 10.77.0.0/16 --gateway 10.77.0.9 \
             --ip-range 10.77.5.0/24 --aux-address nas=10.77.5.1 --label a=b one");
        docker.sh("docker network create -d uswitch --subnet 10.78.0.0/16 two");
        docker.sh("docker network create -d uswitch --ipv6 --subnet fd00:7::/64 --subnet 10.90.0.0/24 six");
        docker.sh(&format!("docker run -d --name here --network one --network-alias www {SLEEP}"));
        docker.sh(&format!("docker run -d --name there --network one --network-alias www {SLEEP}"));
        docker.sh(&format!(
            "docker run -d --name far --network six --ip6 fd00:7::77 --ip 10.90.0.77 {SLEEP}"
        ));
        docker.sh(&format!("docker run -d --name mid --network one {SLEEP}"));
        let own = docker.sh("docker exec here ip addr show eth0");
        assert!(own.contains("inet 10.77.5."), "{own}");
        let routes = docker.sh("docker exec here ip route");
        assert!(routes.contains("default via 10.77.0.9"), "{routes}");
        docker.sh("docker network connect --ip 10.90.0.88 --alias mm six mid");
        docker.sh("docker network connect two mid");
        for to in ["far", "here", "www", "mm", "fd00:7::77", "203.0.113.9"] {
            docker.reaches("mid", to, true);
        }
        docker.reaches("far", "mm", true);
        docker.reaches("here", "10.90.0.77", false);
        docker.reaches("here", "fd00:7::77", false);
        // Its way out goes, and another network's is.
        docker.sh("docker network disconnect one mid");
        docker.reaches("mid", "203.0.113.9", true);
        docker.reaches("mid", "here", false);
        docker.sh("docker restart -t 1 mid");
        for to in ["far", "203.0.113.9"] {
            docker.reaches("mid", to, true);
        }
        // Beside a network of Docker's own.
        docker.sh("docker network connect bridge here");
        docker.reaches("here", "there", true);
        docker.sh("docker network disconnect bridge here");
        docker.reaches("here", "203.0.113.9", true);
        // Modes that are not ours.
        let lines = docker.sh("docker run --rm --network none box ip -o link");
        assert_eq!(lines.lines().count(), 1, "{lines}");
        let own = docker.sh("docker run --rm --network host box ip addr");
        assert!(own.contains("198.51.100.2"), "{own}");
        let shared = docker.sh("docker run --rm --network container:far box ip addr");
        assert!(shared.contains("10.90.0.77"), "{shared}");
    });
}

#[test]
fn a_container_is_shown_as_it_is_called_now_on_each_of_its_networks() {
    docker(|docker| {
        for (network, subnet) in [("one", 77), ("two", 78), ("three", 79)] {
            docker.sh(&format!(
                "docker network create -d uswitch --subnet 10.{subnet}.0.0/16 {network}"
            ));
        }
        let long = "project-of-somebody-with-many-branches-and-a-service-of-a-long-name-1";
        docker.sh(&format!("docker run -d --name {long} --network one {SLEEP}"));
        docker.sh(&format!("docker run -d --name db --network two {SLEEP}"));
        let machine = docker.machine;
        let shows = |words: &[&str]| {
            eventually(&words.join(", "), || {
                let table = machine.sh("uswitch show");
                let mut lines = table.lines();
                lines.any(|line| words.iter().all(|word| line.contains(word))).then_some(())
            });
        };
        shows(&[long, "10.77.0.2/16", "eth0"]);
        // dockerd counts interfaces on, whichever have gone.
        for line in ["connect two", "disconnect one", "connect three"] {
            docker.sh(&format!("docker network {line} {long}"));
        }
        let name = docker
            .sh(&format!("docker exec {long} ip -o -4 addr show to 10.79.0.0/16 | cut -d' ' -f2"));
        shows(&["10.79.0.2/16", name.trim()]);
        // An address on the network that is shared, whichever came first.
        docker.sh(&format!("docker network connect one {long}"));
        eventually("the way to it", || {
            let said = docker.machine.try_sh(&format!("uswitch explain db {long}"));
            (said.code == Some(0) && said.out.contains("10.78.0.3")).then_some(())
        });
        // Names that change are followed, whoever is killed meanwhile.
        docker.sh(&format!("docker rename {long} web"));
        shows(&["web", "10.78.0.3/16"]);
        docker
            .sh(&format!("docker rename web old; docker run -d --name web --network one {SLEEP}"));
        shows(&["old", "10.78.0.3/16"]);
        shows(&["web", "10.77.0."]);
        docker.kill();
        docker.sh("docker rename old older");
        docker.serve();
        shows(&["older"]);
        shows(&["10.79.0.2/16", name.trim()]);
        // All of a node's ports are looked at, or the one in a network.
        for (words, seen) in
            [("older", "10.79.0.2 > 10.79.0.1"), ("older:two", "10.78.0.3 > 10.78.0.2")]
        {
            let line = format!("exec uswitch trace {words} 'icmp[icmptype] == 8' -c 1");
            let mut trace = docker.machine.start_sh(&line);
            trace.wait_for_complaint("following frames");
            let to = seen.split(" > ").nth(1).unwrap();
            docker.reaches("older", to, true);
            let said = trace.ended().out;
            assert!(said.contains(seen), "{words}: {said}");
        }
    });
}

#[test]
fn a_hardware_address_is_one_containers_while_it_lives() {
    docker(|docker| {
        docker.sh("docker network create -d uswitch --subnet 10.77.0.0/16 one");
        let mac = "--network one --mac-address 02:11:22:33:44:55";
        docker.sh(&format!("docker run -d --name web {mac} {SLEEP}"));
        docker.sh(&format!("docker run -d --name db --network one {SLEEP}"));
        let named = || docker.sh("uswitch show").contains("web").then_some(());
        eventually("its name", named);
        let second = docker.machine.try_sh(&format!("docker run -d --name dup {mac} {SLEEP}"));
        let why = "hardware address 02:11:22:33:44:55 is web's in network one";
        assert!(second.code != Some(0) && second.err.contains(why), "{}", second.err);
        docker.reaches("db", "web", true);
        docker.reaches("web", "203.0.113.9", true);
        docker.sh("docker rm -f web dup");
        docker.sh(&format!("docker run -d --name next {mac} {SLEEP}"));
        docker.reaches("db", "next", true);
        for mac in ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "00:00:00:00:00:00"] {
            let run = format!("docker run --rm --network one --mac-address {mac} box true");
            let ended = docker.machine.try_sh(&run);
            let why = "is no host's hardware address";
            assert!(ended.code != Some(0) && ended.err.contains(why), "{mac}: {}", ended.err);
        }
    });
}
