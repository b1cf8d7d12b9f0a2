//! Two hosts, each with its own Docker, whose containers are on one network by what etcd knows, or by
//! each other's address.

use serde_json::Value;

use super::{Docker, SLEEP, SUITE, page};
use crate::machine::{Machine, eventually, on};
use crate::support::{Process, beyond};

/// Where a network is found.
const PROD: &str = "etcd://10.9.0.1/prod";

/// Two hosts at one cable, the first with etcd; `words` are what the servers are told beside who they
/// are.
fn hosts(words: [&'static str; 2], test: impl FnOnce(&mut Docker<'_>, &mut Docker<'_>)) {
    let etcd = concat!(env!("CARGO_MANIFEST_DIR"), "/target/etcd/usr/bin/etcd");
    if !std::path::Path::new(etcd).exists() {
        return beyond("no etcd in target/etcd: the package etcd-server, unpacked");
    }
    on(SUITE, "docker", |first| {
        on(SUITE, "docker", |second| {
            first.cable(second);
            for (machine, address) in [(first, "10.9.0.1"), (second, "10.9.0.2")] {
                machine.sh(&format!("ip addr add {address}/24 dev u0; ip link set u0 up"));
            }
            std::fs::copy(etcd, first.netns("/tmp/etcd")).unwrap();
            let etcd = etcd_of(first);
            let mut a = Docker::begin(first, words[0]);
            let mut b = Docker::begin(second, words[1]);
            test(&mut a, &mut b);
            b.end();
            a.end();
            drop(etcd);
        });
    });
}

fn etcd_of(machine: &Machine) -> Process {
    let urls =
        "--listen-client-urls http://10.9.0.1:2379 --advertise-client-urls http://10.9.0.1:2379";
    let etcd = machine.start_sh(&format!("exec /tmp/etcd --data-dir /tmp/etcd.data {urls}"));
    eventually("etcd answers", || {
        machine.try_sh("bash -c 'exec 3<>/dev/tcp/10.9.0.1/2379'").code.filter(|code| *code == 0)
    });
    etcd
}

const A: &str = "--vtep 10.9.0.1 --host-name a";
const B: &str = "--vtep 10.9.0.2 --host-name b";

/// A network of Docker's whose containers have addresses of this range.
fn network(range: &str, join: &str, name: &str) -> String {
    format!(
        "docker network create -d uswitch --subnet 10.77.0.0/16 --gateway 10.77.0.1 --ip-range {range} \
         {join} {name}"
    )
}

/// The address of a container.
fn address(host: &Docker<'_>, container: &str) -> String {
    let form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    host.sh(&format!("docker inspect -f '{form}' {container}")).trim().to_owned()
}

/// What a host says of the hosts.
fn told(host: &Docker<'_>) -> Value {
    let said = host.sh("uswitch show hosts -j");
    serde_json::from_str::<Value>(&said).unwrap()[0].clone()
}

/// The containers of a host, as another tells them.
fn nodes(of: &str, told: &Value) -> Vec<String> {
    let hosts = told["hosts"].as_array().into_iter().flatten();
    let own = hosts.filter(|host| host["name"] == of).flat_map(|host| host["nodes"].as_array());
    own.flatten().filter_map(|name| Some(name.as_str()?.to_owned())).collect()
}

fn knows(host: &Docker<'_>, other: &str, containers: &[&str]) {
    eventually(&format!("{other} has {containers:?}"), || {
        (nodes(other, &told(host)) == containers).then_some(())
    });
}

#[test]
fn containers_of_two_hosts_are_on_one_network_and_each_has_its_own() {
    hosts([A, B], |a, b| {
        let join = format!("-o uswitch.join={PROD}");
        a.sh(&network("10.77.1.0/24", &join, "prod"));
        b.sh(&network("10.77.2.0/24", &join, "prod"));
        a.sh(&format!("docker run -d --name web --network prod {}", page("of a")));
        b.sh(&format!("docker run -d --name other --network prod --dns 10.77.0.1 {SLEEP}"));
        let (web, other) = (address(a, "web"), address(b, "other"));
        knows(b, "a", &["web"]);
        knows(a, "b", &["other"]);
        b.reaches("other", &web, true);
        a.reaches("web", &other, true);
        // Docker's resolver asks ours, which knows the other host's containers by their names.
        assert_eq!(b.sh("docker exec other wget -qO- http://web/"), "of a\n");
        // What the container sends fits into the tunnel.
        assert_eq!(b.sh("docker exec other cat /sys/class/net/eth0/mtu"), "1450\n");
        b.sh(&format!("docker exec other ping -c 1 -W 3 -s 1422 {web}"));

        // What one host has no other gets, and nothing of it is left there.
        let there = "ip -br link; uswitch ls | awk '{print $1, $3}'";
        let before = b.sh(there);
        let ended = b.machine.try_sh(&format!("docker run --network prod --ip {web} {SLEEP}"));
        let says = format!("{web} is web on host a's in network prod: choose another, or give");
        assert!(ended.code != Some(0) && ended.err.contains(&says), "{}", ended.err);
        assert!(ended.err.contains("--ip-range"), "{}", ended.err);
        b.sh("docker ps -aqf status=created | xargs -r docker rm >/dev/null");
        assert_eq!(b.sh(there), before);
        assert_eq!(nodes("b", &told(a)), ["other"]);
        // A container of the same name has its number among the hosts.
        b.sh(&format!("docker run -d --name web --network prod {SLEEP}"));
        eventually("b's other container is known", || {
            let there = nodes("b", &told(a));
            (there.len() == 2 && there.iter().any(|name| name.starts_with("ep-"))).then_some(())
        });
        assert_eq!(b.sh("docker exec other wget -qO- http://web.serve/"), "of a\n");
        b.sh("docker rm -f web");

        // What is removed is free, as it was.
        a.sh("docker rm -f web");
        knows(b, "a", &[]);
        b.sh(&format!("docker run -d --name web --network prod --ip {web} {}", page("of b")));
        knows(a, "b", &["other", "web"]);
        assert!(a.sh("uswitch show tunnel").contains("10.9.0.2"));
    });
}

#[test]
fn a_network_that_cannot_be_joined_is_not_made() {
    hosts([A, B], |a, b| {
        let join = format!("-o uswitch.join={PROD}?vni=100");
        a.sh(&network("10.77.1.0/24", &join, "prod"));
        let before = b.sh("ip -br link; docker network ls -q");
        let range = "10.77.2.0/24";
        let plain = network(range, &join, "prod");
        let elsewhere = network(range, "-o uswitch.join=etcd://10.9.0.99/prod", "prod");
        for (line, says) in [
            (plain.replace("10.77.0.1 ", "10.77.0.2 "), "gateway 10.77.0.1, here 10.77.0.2"),
            (plain.replace("0.0/16", "0.0/17"), "subnet 10.77.0.0/16, here 10.77.0.0/17"),
            (plain.replace("vni=100", "vni=7"), "VNI 100, here 7"),
            (plain.replace("/prod?", "/dev?"), "VNI 100 is network prod's"),
            (elsewhere, "etcd does not answer"),
            (network(range, "-o uswitch.join=prod", "prod"), "serve --join"),
            (network(range, "-o uswitch.join=vtep://10.9.0.1", "prod"), "vni=N is missing"),
            (
                network(range, "-o uswitch.join=vtep://10.9.0.2?vni=5", "prod"),
                "this host's own end",
            ),
        ] {
            let ended = b.machine.try_sh(&line);
            assert!(ended.code != Some(0) && ended.err.contains(says), "{line}:\n{}", ended.err);
            assert_eq!(ended.err.trim().lines().count(), 1, "{}", ended.err);
            assert_eq!(b.sh("ip -br link; docker network ls -q"), before, "{line}");
        }
        assert!(nodes("b", &told(a)).is_empty());
        let hosts = told(a)["hosts"].as_array().map(Vec::len);
        assert_eq!(hosts, Some(1));
    });
}

#[test]
fn a_server_that_was_killed_has_again_what_its_containers_have() {
    hosts([A, B], |a, b| {
        let join = format!("-o uswitch.join={PROD}");
        a.sh(&network("10.77.1.0/24", &join, "prod"));
        b.sh(&network("10.77.2.0/24", &join, "prod"));
        a.sh(&format!("docker run -d --name web --network prod {}", page("of a")));
        b.sh(&format!("docker run -d --name other --network prod {SLEEP}"));
        let web = address(a, "web");
        knows(b, "a", &["web"]);
        a.kill();
        a.serve();
        // Within its lease: nobody has missed it.
        knows(b, "a", &["web"]);
        b.reaches("other", &web, true);

        // When the lease has run out what it held is free, and who takes it has it.
        a.kill();
        knows(b, "a", &[]);
        b.sh(&format!("docker run -d --name other2 --network prod --ip {web} {}", page("of b")));
        knows(b, "b", &["other", "other2"]);
        a.serve();
        eventually("the conflict is told", || {
            let why = told(a)["cut_off"]["web"].as_str()?.to_owned();
            assert!(why.contains("is other2 on host b's"), "{why}");
            Some(())
        });
        assert_eq!(b.sh(&format!("docker exec other wget -qO- http://{web}/")), "of b\n");
        // Once it is free it is the first one's again.
        b.sh("docker rm -f other2");
        knows(b, "a", &["web"]);
        eventually("it is reached again", || {
            let line = format!("docker exec other wget -T 3 -qO- http://{web}/");
            (b.machine.try_sh(&line).out == "of a\n").then_some(())
        });
    });
}

#[test]
fn a_host_that_is_late_with_its_own_address_reaches_the_others_then() {
    hosts([A, B], |a, b| {
        let join = format!("-o uswitch.join={PROD}");
        a.sh(&network("10.77.1.0/24", &join, "prod"));
        b.sh(&network("10.77.2.0/24", &join, "prod"));
        a.sh(&format!("docker run -d --name web --network prod {SLEEP}"));
        b.sh(&format!("docker run -d --name other --network prod {SLEEP}"));
        let web = address(a, "web");
        b.kill();
        b.sh("ip addr del 10.9.0.2/24 dev u0");
        b.serve();
        b.reaches("other", &web, false);
        b.sh("ip addr add 10.9.0.2/24 dev u0");
        let line = format!("docker exec other ping -c 1 -W 1 {web}");
        eventually("the other host", || b.machine.try_sh(&line).code.filter(|code| *code == 0));
        knows(a, "b", &["other"]);
    });
}

#[test]
fn a_servers_own_word_is_for_networks_that_say_nothing() {
    const OF_A: &str = "--host-name a --vtep 10.9.0.1 --join etcd://10.9.0.1/prod";
    const OF_B: &str = "--host-name b --vtep 10.9.0.2 --join etcd://10.9.0.1/prod";
    hosts([OF_A, OF_B], |a, b| {
        a.sh(&network("10.77.1.0/24", "", "one"));
        b.sh(&network("10.77.2.0/24", "", "another"));
        a.sh(&format!("docker run -d --name web --network one {}", page("of a")));
        b.sh(&format!("docker run -d --name other --network another {SLEEP}"));
        knows(b, "a", &["web"]);
        b.reaches("other", &address(a, "web"), true);
        // There is one such network on a host.
        let second = "docker network create -d uswitch --subnet 10.78.0.0/16";
        let ended = a.machine.try_sh(&format!("{second} second"));
        assert!(ended.err.contains("uswitch.join=none"), "{}", ended.err);
        a.sh(&format!("{second} -o uswitch.join=none second"));
        a.sh(&format!("{second} -o uswitch.join=dev third").replace("78", "79"));
        let hosts = a.sh("uswitch show hosts -j");
        let hosts: Value = serde_json::from_str(&hosts).unwrap();
        assert_eq!(hosts.as_array().map(Vec::len), Some(2), "{hosts:#}");
    });
}

#[test]
fn hosts_that_are_named_have_one_network_without_etcd() {
    hosts([A, B], |a, b| {
        let join = |other: &str| format!("-o 'uswitch.join=vtep://{other}?vni=5'");
        a.sh(&network("10.77.1.0/24", &join("10.9.0.2"), "prod"));
        b.sh(&network("10.77.2.0/24", &join("10.9.0.1"), "prod"));
        a.sh(&format!("docker run -d --name web --network prod {}", page("of a")));
        b.sh(&format!("docker run -d --name other --network prod {SLEEP}"));
        let web = address(a, "web");
        b.reaches("other", &web, true);
        a.kill();
        a.serve();
        b.reaches("other", &web, true);
    });
}

/// What the gateway and the host's own place in it are for goes on; what leads to others does not, whichever
/// of the two hosts keeps its containers apart.
#[test]
fn isolated_containers_do_not_reach_those_of_other_hosts() {
    for (ours, theirs) in [("true", "true"), ("true", "false"), ("false", "true")] {
        hosts([A, B], |a, b| {
            let join = |apart| format!("-o uswitch.join={PROD} -o uswitch.isolate={apart}");
            a.sh(&network("10.77.1.0/24", &join(ours), "prod"));
            b.sh(&network("10.77.2.0/24", &join(theirs), "prod"));
            a.sh(&format!("docker run -d --name web --network prod -p 80:80 {}", page("of a")));
            b.sh(&format!("docker run -d --name other --network prod {SLEEP}"));
            let (web, other) = (address(a, "web"), address(b, "other"));
            knows(b, "a", &["web"]);
            knows(a, "b", &["other"]);
            a.reaches("web", &other, false);
            b.reaches("other", &web, false);
            // Nor is one heard that asks all of them.
            let asks = format!(
                "docker exec other arping -c 1 -w 2 -I eth0 10.77.1.99; ping -c 1 -W 2 {web}"
            );
            drop(b.machine.try_sh(&asks));
            for (host, container) in [(&*a, "web"), (&*b, "other")] {
                host.reaches(container, "10.77.0.1", true);
            }
            let foretold = b.machine.try_sh(&format!("uswitch explain other {web}")).out;
            assert!(foretold.contains("isolated") || theirs == "false", "{foretold}");
            // What is published of one is reached at its host, as by anybody else.
            assert_eq!(b.sh("get 10.9.0.1 80"), "of a\n");
            a.kill();
            a.serve();
            knows(b, "a", &["web"]);
            b.reaches("other", &web, false);
            a.reaches("web", "10.77.0.1", true);
        });
    }
}
