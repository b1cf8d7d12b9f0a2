//! podman 5.4 with netavark, further: servers that plugins start, and what podman can ask for beside
//! `podman`.

use std::net::UdpSocket;
use std::time::Duration;

use crate::machine::eventually;
use crate::podman::{SERVE, SLEEP, alone, podman, suite};
use crate::support::{beyond, in_netns};

#[test]
fn a_link_to_the_program_is_all_that_podman_needs() {
    alone(&suite(), "netavark", |podman| {
        podman.network("lab", "10.92.0");
        podman.run("--name web --network lab:alias=www -p 8080:80", SERVE);
        podman.run("--name db --network lab", SLEEP);
        podman.reaches("db", "www", true);
        podman.reaches("db", "203.0.113.9", true);
        podman.serves("ip netns exec world", "198.51.100.2 8080");
        let server = podman.sh("pgrep -x uswitch");
        // One container alone, started anew, is served by the same.
        podman.sh("podman rm -f -t 1 db; podman restart -t 1 web");
        podman.serves("", "127.0.0.1 8080");
        assert_eq!(podman.sh("pgrep -x uswitch"), server);
        podman.sh("podman rm -f -t 1 web");
        podman.is_gone();
        // Twenty at once begin with one server.
        podman.sh(&format!(
            "for n in $(seq 20); do podman run -d --cap-add NET_RAW --name c$n --network lab {SLEEP} & done; wait"
        ));
        assert_eq!(podman.sh("podman ps -q").lines().count(), 20);
        podman.reaches("c1", "c20", true);
        // A plugin starts the next one after a SIGKILL, which goes on, and undoes what there is.
        podman.sh("kill -KILL $(pgrep -xr S,R uswitch)");
        podman.sh("podman rm -f -t 1 c20");
        podman.reaches("c1", "c2", true);
        podman.sh("kill -KILL $(pgrep -xr S,R uswitch); podman rm -fa -t 1");
        podman.is_gone();
        // What podman is told of one that cannot start.
        podman.sh("mkdir -p /run/uswitch; touch /run/uswitch/serve.sock");
        let run = podman.machine.try_sh(&format!("podman run --network lab {SLEEP}"));
        assert!(run.code != Some(0) && run.err.contains("serve.sock"), "{}", run.err);
        podman.sh("rm -r /run/uswitch; podman rm -fa");
    });
}

#[test]
fn what_podman_can_ask_for() {
    podman(&suite(), "netavark", |podman| {
        podman.network("lab", "10.92.0");
        podman.sh("podman network create -d uswitch --ipv6 --subnet 10.94.0.0/24 --subnet fd00:94::/64 dual");
        // Several that are called alike take turns.
        podman.run("--name s1 --network lab:alias=svc", SLEEP);
        podman.run("--name s2 --network lab:alias=svc", SLEEP);
        podman.run("--name db --network lab", SLEEP);
        let ask = "podman exec db nslookup -type=a svc | grep -A1 '^Name:' | grep Address";
        for own in ["10.92.0.2", "10.92.0.3"] {
            eventually(own, || {
                let said = podman.sh(ask);
                assert_eq!(said.lines().count(), 2, "{said}");
                said.lines().next()?.ends_with(own).then_some(())
            });
        }
        // Both families, by name too.
        podman.run("--name six1 --network dual:ip=10.94.0.7,ip6=fd00:94::7", SERVE);
        podman.run("--name six2 --network dual", SLEEP);
        for to in ["fd00:94::7", "10.94.0.7", "fd00:94::1"] {
            podman.reaches("six2", to, true);
        }
        assert!(podman.sh("podman exec six2 nslookup six1").contains("fd00:94::7"));
        podman.sh("ping -c 1 -W 3 fd00:94::7");
        // An interface of another name; and live, with all that can be said of it.
        podman.run("--name named --network lab:interface_name=lan0", SLEEP);
        podman.sh("podman exec named ip link show lan0");
        podman.sh(
            "podman network connect --ip 10.94.0.99 --alias foo --mac-address 02:00:00:00:00:99 dual db",
        );
        assert!(podman.sh("podman exec db ip addr").contains("02:00:00:00:00:99"));
        podman.reaches("six2", "foo", true);
        podman.sh("podman network reload --all");
        podman.reaches("six2", "foo", true);
        podman.sh("podman network disconnect lab db");
        podman.reaches("db", "six1", true);
        podman.reaches("db", "203.0.113.9", true);
        // A pod's containers share its place, and come and go with it.
        podman.sh("podman pod create --name pod --network lab -p 8030:80");
        podman.run("--pod pod --name inner", SERVE);
        podman.serves("ip netns exec world", "198.51.100.2 8030");
        podman.reaches("s1", "pod", true);
        podman.sh("podman pod restart pod");
        podman.serves("", "127.0.0.1 8030");
        podman.sh("podman pod rm -f -t 1 pod");
        podman.reaches("s1", "pod", false);
        // One that is always to run is served again each time, also where the server was killed.
        podman.run("--name always --restart always --network lab -p 8040:80", SERVE);
        let died = "kill -KILL $(podman inspect -f '{{.State.Pid}}' always)";
        for killed in [false, true] {
            if killed {
                podman.kill();
            }
            podman.sh(died);
            if killed {
                podman.serve();
            }
            eventually("it runs again", || {
                let restarts = podman.sh("podman inspect -f '{{.RestartCount}}' always");
                (restarts.trim() == if killed { "2" } else { "1" }).then_some(())
            });
            podman.serves("", "127.0.0.1 8040");
            podman.reaches("s1", "always", true);
        }
        // Nobody is in it.
        podman.network("idle", "10.97.0");
        for (asked, words) in [
            ("network create -d uswitch --subnet 10.97.0.0/25 x", "in use"),
            ("run --rm --network lab:mac=02:00:0a:5c:00:01 box true", "is the gateway's"),
            ("network create -d uswitch --subnet 198.51.100.0/25 x", "in use"),
            ("network create -d uswitch --subnet 10.99.0.0/24 --gateway 10.98.0.1 x", "not in"),
            ("network create -d uswitch -o mtu=abc x", "a number"),
            ("run --rm --network lab:ip=10.92.0.1 box true", "the gateway's"),
            ("run --rm --network lab:mac=01:00:00:00:00:01 box true", "no host's hardware address"),
            ("run --rm --network lab -p 90:90/sctp box true", "not sctp"),
        ] {
            let ended = podman.machine.try_sh(&format!("podman {asked}"));
            assert!(ended.code != Some(0) && ended.err.contains(words), "{asked}: {}", ended.err);
        }
    });
}

#[test]
fn ports_lead_from_everywhere() {
    podman(&suite(), "netavark", |podman| {
        podman.network("lab", "10.92.0");
        podman.network("two", "10.93.0");
        podman.run("--name other --network two", SLEEP);
        podman.run(
            "--name web --network lab -p 8001:80 -p 127.0.0.1:8002:80 -p '[::1]:8003:80' \
             -p 198.51.100.2:8004:80 -p 8010-8012:79-81 -p 9000:9000/udp -p 80",
            SERVE,
        );
        let chosen = podman.sh("podman port web 80 | sed -n 's/^0.0.0.0:\\([3-6][0-9]*\\)$/\\1/p'");
        let chosen = format!("198.51.100.2 {}", chosen.trim());
        let world = "ip netns exec world";
        for (from, at) in [
            ("", "127.0.0.1 8001"),
            ("", "::1 8001"),
            ("", "198.51.100.2 8001"),
            (world, "198.51.100.2 8001"),
            ("", "10.93.0.1 8001"),
            ("", "127.0.0.1 8002"),
            ("", "::1 8003"),
            (world, "198.51.100.2 8004"),
            (world, "198.51.100.2 8011"),
            (world, chosen.as_str()),
        ] {
            podman.serves(from, at);
        }
        for (from, at) in [
            (world, "198.51.100.2 8002"),
            ("", "127.0.0.1 8003"),
            ("", "127.0.0.1 8004"),
            (world, "198.51.100.2 8010"),
        ] {
            let got = podman.machine.try_sh(&format!("{from} timeout 3 get {at}")).out;
            assert_eq!(got, "", "{from} {at}");
        }
        // Another network's container, and itself.
        for from in ["other", "web"] {
            let page =
                podman.sh(&format!("podman exec {from} wget -T 5 -q -O - 198.51.100.2:8001"));
            assert_eq!(page, "hello\n");
        }
        // UDP, by a server of ours in the container's network.
        let sandbox = podman.sh("podman inspect -f '{{.NetworkSettings.SandboxKey}}' web");
        let bound = |netns: &str, at: &'static str| {
            let socket =
                in_netns(podman.machine.netns(netns), move || UdpSocket::bind(at).unwrap());
            socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            socket
        };
        let server = bound(sandbox.trim(), "0.0.0.0:9000");
        let (host, any) = ("/proc/1/ns/net", "0.0.0.0:0");
        for (from, own, to) in [
            (host, any, "127.0.0.1:9000"),
            (host, any, "198.51.100.2:9000"),
            (host, "[::]:0", "[::1]:9000"),
            ("/run/netns/world", any, "198.51.100.2:9000"),
        ] {
            let client = bound(from, own);
            client.connect(to).unwrap();
            client.send(b"ask").unwrap();
            let mut text = [0; 16];
            let (length, by) = server.recv_from(&mut text).unwrap();
            assert_eq!(&text[..length], b"ask", "{from} {to}");
            server.send_to(b"answer", by).unwrap();
            let length = client.recv(&mut text).unwrap();
            assert_eq!(&text[..length], b"answer", "{from} {to}");
        }
        // Twenty at once, each with a port.
        podman.sh(&format!(
            "for n in $(seq 20); do podman run -d --network two -p $((9100+n)):80 {SERVE} & done; wait"
        ));
        for port in 9101..=9120 {
            podman.serves(world, &format!("198.51.100.2 {port}"));
        }
    });
}

#[test]
fn a_client_is_seen_by_its_own_address_whichever_network_came_first() {
    podman(&suite(), "netavark", |podman| {
        podman.sh("podman network create -d uswitch --internal --subnet 10.91.0.0/24 aa");
        podman.network("zz", "10.92.0");
        podman.run("--name web --network aa --network zz -p 8080:80", SERVE);
        podman.sh("podman cp /tmp/image/cgi-bin web:/");
        let seen = |whom: &str| {
            let who = "ip netns exec world timeout 3 get 198.51.100.2 8080 /cgi-bin/who";
            eventually(whom, || {
                let said = podman.machine.try_sh(who).out;
                said.trim().trim_end_matches(']').ends_with(&format!(":{whom}")).then_some(())
            });
        };
        seen("198.51.100.1");
        // Without the way out there is the other network's socket; with it, the client's own address.
        podman.sh("podman network disconnect zz web");
        seen("10.91.0.1");
        podman.sh("podman network connect zz web");
        seen("198.51.100.1");
    });
}

#[test]
fn a_container_is_on_one_network_with_another_hosts_lab() {
    const LAB: &str = "networks:\n  lan: {subnet: 10.92.0.0/16, gateway: true}\nuplink: none\n\
                       nodes:\n  n1: {network: \"lan,10.92.9.1\"}\n";
    let etcd = concat!(env!("CARGO_MANIFEST_DIR"), "/target/etcd/usr/bin/etcd");
    if !std::path::Path::new(etcd).exists() {
        return beyond("no etcd in target/etcd: the package etcd-server, unpacked");
    }
    podman(&suite(), "netavark", |podman| {
        std::fs::copy(etcd, podman.machine.netns("/tmp/etcd")).unwrap();
        std::fs::write(podman.machine.netns("/tmp/lab.yaml"), LAB).unwrap();
        let url = "http://198.51.100.2:2379";
        let urls = format!("--listen-client-urls {url} --advertise-client-urls {url}");
        let _etcd =
            podman.machine.start_sh(&format!("exec /tmp/etcd --data-dir /tmp/etcd.data {urls}"));
        let answers = "bash -c 'exec 3<>/dev/tcp/198.51.100.2/2379'";
        eventually("etcd answers", || {
            podman.machine.try_sh(answers).code.filter(|code| *code == 0)
        });
        let join = "etcd://198.51.100.2/prod";
        podman.sh(&format!(
            "podman network create -d uswitch --subnet 10.92.0.0/16 --gateway 10.92.0.1 \
             -o uswitch.join={join} lab"
        ));
        podman.run("--name web --network lab", SLEEP);
        let mut other = podman.machine.start_sh(&format!(
            "echo $$ >/run/other.pid; exec nsenter --net=/run/netns/world uswitch run /tmp/lab.yaml \
             --name other --host-name other --vtep 198.51.100.1 --join {join}"
        ));
        other.wait_for("Ctrl-C undoes");
        let hosts = || podman.sh("uswitch show hosts --name other -j");
        eventually("the lab knows the container", || hosts().contains("web").then_some(()));
        // Our resolver tells the container of the other host's node.
        podman.reaches("web", "n1", true);
        // A name is one host's: podman says whose, and nothing of the container is left.
        let run = format!("podman run -d --name n1 --network lab {SLEEP}");
        let ended = podman.machine.try_sh(&run);
        assert!(ended.code != Some(0), "{}", ended.out);
        assert!(ended.err.contains("node n1 is on host other in network prod"), "{}", ended.err);
        podman.sh("podman rm -f -t 1 n1 web");
        // The network goes with its last container, and this host is in none any more.
        eventually("the lab is alone", || (!hosts().contains("web")).then_some(()));
        assert_eq!(podman.sh("uswitch show hosts --name serve -j").trim(), "[]");
        podman.sh("kill $(cat /run/other.pid)");
        other.ended();
    });
}
