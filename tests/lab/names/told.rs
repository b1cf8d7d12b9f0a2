//! Who is told what, and what is told of it: names by networks, `show names`, counters, `trace`,
//! `explain` and `monitor`; and what is no query.

use std::net::UdpSocket;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::resolver::{A, AAAA, GATEWAY, PTR, at, by_datagram, query, sum};
use crate::door::{json, row, until};
use crate::support::{Process, Sandbox, in_netns, rooted};
use crate::{lab, netns};

fn does(sandbox: &Sandbox, line: &str) {
    sandbox.uswitch(&line.split(' ').collect::<Vec<_>>()).ok();
}

fn end(run: Process) {
    run.signal(Signal::SIGINT);
    assert_eq!(run.ended().code, Some(0));
}

/// What the resolver says in `node` at this address of the gateway's: its code, the number of
/// answers, the end of the last.
fn says(node: &str, gateway: &str, name: &str, kind: u8) -> (u8, u8, Vec<u8>) {
    in_netns(netns(node), || {
        let by_datagram = at(gateway, &query(5, name, kind));
        (by_datagram[3] & 0xf, by_datagram[7], by_datagram[by_datagram.len() - 16..].to_vec())
    })
}

#[test]
fn names_are_told_where_their_nodes_can_be_reached() {
    rooted(|sandbox| {
        let run = lab(sandbox, &["run", "-n", "1"]);
        does(sandbox, "network add dmz --subnet 10.2.0.0/24 --subnet fd00:2::/64");
        does(sandbox, "network add far --subnet 10.4.0.0/24 --gateway 10.4.0.254 --routed dmz");
        does(sandbox, "network add wire --subnet 10.5.0.0/24 --gateway none");
        does(sandbox, "add web --network dmz");
        does(sandbox, "add d --network far");
        does(sandbox, "add f --network wire");
        let found = |code: u8, answers: u8| (code, answers);
        let two = |(code, answers, _): (u8, u8, Vec<u8>)| found(code, answers);
        // Addresses of both kinds, in the network itself.
        let (code, answers, tail) = says("web", "10.2.0.1", "web", A);
        assert_eq!((code, answers, &tail[12..]), (0, 1, &[10, 2, 0, 2][..]));
        let (code, answers, tail) = says("web", "10.2.0.1", "WEB.uswitch", AAAA);
        assert_eq!((code, answers, &tail[..5]), (0, 1, &[0xfd, 0, 0, 2, 0][..]));
        // Routed: known there, forwards and backwards.
        assert_eq!(two(says("d", "10.4.0.254", "web", A)), (0, 1));
        assert_eq!(two(says("d", "10.4.0.254", "2.0.2.10.in-addr.arpa", PTR)), (0, 1));
        // Not routed: not there, by name or by address.
        for name in ["web", "web.uswitch", "d", "f"] {
            assert_eq!(two(says("net1", "10.100.0.1", name, A)), (3, 0), "{name}");
        }
        assert_eq!(two(says("net1", "10.100.0.1", "2.0.2.10.in-addr.arpa", PTR)), (3, 0));
        // Where the gateway is not, nobody resolves: the host's own file is seen, and no other.
        let seen = super::exec(sandbox, "f", &["cat", "/etc/resolv.conf"]).ok().out;
        assert!(!seen.contains("the gateway answers"), "{seen}");
        assert_eq!(super::address(sandbox, "f", "f").as_deref(), Some("10.5.0.1"));
        let shown = json(sandbox, &["show", "names", "-j"]);
        let web = row(&shown, "name", "web");
        assert_eq!((&web["network"], &web["whose"]), (&"dmz".into(), &"node".into()));
        assert_eq!(
            (&web["addresses"][0], &web["fqdn"]),
            (&"10.2.0.2".into(), &"web.uswitch".into())
        );
        assert_eq!(web["addresses"].as_array().unwrap().len(), 2);
        let gateways = shown.as_array().unwrap().iter().filter(|name| name["whose"] == "gateway");
        let gateways: Vec<_> = gateways.map(|name| name["addresses"][0].clone()).collect();
        assert_eq!(gateways, ["10.100.0.1", "10.2.0.1", "10.4.0.254"]);
        let table = sandbox.uswitch(&["show", "names"]).ok().out;
        assert!(table.lines().any(|line| line.starts_with("inet ")), "{table}");
        end(run);
    });
}

/// The names that a monitor has told so far: name, record, port, outcome.
/// Two VLANs of one network, each with a subnet of its own, which the gateway keeps apart.
const VLANS: &str = "
networks:
  lan:
    vlan_filtering: true
    vlans: {10: {subnet: 10.10.0.0/24}, 20: {subnet: 10.20.0.0/24}}
nodes: {red: {network: lan}, pink: {network: lan}, blue: {network: lan}}
ports:
  red: {vlans: [10 pvid untagged]}
  pink: {vlans: [10 pvid untagged]}
  blue: {vlans: [20 pvid untagged]}
";

#[test]
fn a_vlan_with_a_subnet_of_its_own_has_its_names() {
    rooted(|sandbox| {
        let file = sandbox.dir.join("vlans.yaml");
        std::fs::write(&file, VLANS).unwrap();
        let run = lab(sandbox, &["run", file.to_str().unwrap()]);
        for (from, name, wanted) in [
            ("red", "pink", Some("10.10.0.3")),
            ("red", "gateway", Some("10.10.0.1")),
            ("red", "blue", None),
            ("blue", "gateway", Some("10.20.0.1")),
            ("blue", "red", None),
            ("blue", "internet", Some("8.8.8.8")),
        ] {
            assert_eq!(
                super::address(sandbox, from, name).as_deref(),
                wanted,
                "{name} from {from}"
            );
        }
        // Each asks the gateway where it has an address beside it, and is told the same there.
        for (node, gateway) in [("red", "10.10.0.1"), ("blue", "10.20.0.1")] {
            let seen = super::exec(sandbox, node, &["cat", "/etc/resolv.conf"]).ok().out;
            assert!(seen.contains(&format!("nameserver {gateway}\n")), "{seen}");
        }
        let two = |(code, answers, _): (u8, u8, Vec<u8>)| (code, answers);
        assert_eq!(two(says("red", "10.10.0.1", "pink", A)), (0, 1));
        assert_eq!(two(says("red", "10.10.0.1", "blue", A)), (3, 0));
        assert_eq!(two(says("blue", "10.20.0.1", "blue", A)), (0, 1));
        end(run);
    });
}

fn told(monitor: &Process) -> Vec<[String; 4]> {
    let out = monitor.out();
    let whole = out.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let events = whole.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let asked = events.filter(|event| event["event"] == "asked");
    let word = |event: &Value, key: &str| event[key].as_str().unwrap().to_owned();
    asked
        .map(|event| ["name", "record", "ifname", "outcome"].map(|key| word(&event, key)))
        .collect()
}

#[test]
fn what_is_asked_is_foretold_followed_told_and_counted() {
    rooted(|sandbox| {
        let run = lab(sandbox, &["run"]);
        let foretold = sandbox.uswitch(&["explain", "net1", "10.100.0.1:53/udp"]).ok().out;
        assert!(foretold.contains("the lab's resolver takes it"), "{foretold}");
        let foretold = sandbox.uswitch(&["explain", "net1", "10.100.0.1:53"]).ok().out;
        assert!(foretold.contains("the lab's resolver takes it"), "{foretold}");
        let other = sandbox.uswitch(&["explain", "net1", "10.100.0.1:54/udp"]);
        assert!(other.code == Some(1) && other.out.contains("no-service"), "{}", other.out);

        let mut trace = sandbox.start(&["trace", "udp and dst port 53"]);
        trace.wait_for_complaint("following frames");
        let monitor = sandbox.start(&["monitor", "-j"]);
        let ask = |name: &str, kind| {
            in_netns(netns("net1"), || sum(&by_datagram(&query(7, name, kind))).0)
        };
        until("the monitor listens", || {
            ask("net2", A);
            told(&monitor).iter().any(|event| event[0] == "net2").then_some(())
        });
        let before = json(sandbox, &["show", "counters", "-j"]);
        let codes = [("NET2.uswitch", A), ("nosuch", A), ("a\u{7}\u{1b}[31m", AAAA), ("net2", 252)]
            .map(|(name, kind)| ask(name, kind));
        assert_eq!(codes, [0, 3, 3, 5]);
        // What is no query is dropped, and has no answer.
        in_netns(netns("net1"), || {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            for length in 0..40 {
                socket.send_to(&[0xff; 40][..length], GATEWAY).unwrap();
            }
            assert_eq!(sum(&by_datagram(&query(8, "net1", A))).0, 0);
            socket.set_nonblocking(true).unwrap();
            assert!(socket.recv(&mut [0; 9]).is_err());
        });
        let wanted = [
            ["net2.uswitch", "A", "veth1", "answered"],
            ["nosuch", "A", "veth1", "denied"],
            ["a\\007\\033\\[31m", "AAAA", "veth1", "denied"],
            ["net2", "AXFR", "veth1", "refused"],
            ["net1", "A", "veth1", "answered"],
        ];
        let last = until("all is told", || {
            let told = told(&monitor);
            told.iter().any(|event| event[0] == "net1").then_some(told)
        });
        let first = last.len() - wanted.len();
        assert_eq!(last[first..], wanted.map(|row| row.map(str::to_owned)));

        let after = json(sandbox, &["show", "counters", "-j"]);
        let grew = |path: &str| {
            let count = |of: &Value| of.pointer(path).and_then(Value::as_u64).unwrap_or(0);
            count(&after) - count(&before)
        };
        for (path, count) in [
            ("/gateway/names/answered", 2),
            ("/gateway/names/denied", 2),
            ("/gateway/names/refused", 1),
            ("/gateway/names/forwarded", 0),
            ("/gateway/names/malformed", 40),
            ("/gateway/drops/no-query", 40),
            ("/gateway/consumed/dns", 5),
        ] {
            assert_eq!(grew(path), count, "{path}");
        }
        let metrics = sandbox.uswitch(&["metrics"]).ok().out;
        assert!(metrics.contains("names_queries_total{outcome=\"refused\"} 1\n"), "{metrics}");
        trace.signal(Signal::SIGINT);
        let followed = trace.ended().ok().out;
        for words in ["knows the name, and answers", "no such name", "refuses the question"] {
            assert!(followed.contains(words), "{words}: {followed}");
        }
        assert!(followed.contains("no-query"), "{followed}");
        monitor.signal(Signal::SIGINT);
        end(run);
    });
}

#[test]
fn who_floods_leaves_the_others_their_names() {
    rooted(|sandbox| {
        let run = lab(sandbox, &["run"]);
        in_netns(netns("net1"), || {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.connect(GATEWAY).unwrap();
            let question = query(1, "nosuch.at.all", A);
            for n in 0..30_000 {
                // Where the queue is full there is no need to send more.
                let _ = socket.send(if n % 2 == 0 { &question } else { &question[..11] });
                if n % 3000 == 0 {
                    let answered = in_netns(netns("net2"), || by_datagram(&query(9, "net1", A)));
                    assert_eq!(sum(&answered), (0, 1, [10, 100, 0, 10]));
                }
            }
        });
        // And once it is over, to whom it was.
        let socket = in_netns(netns("net1"), || UdpSocket::bind("0.0.0.0:0").unwrap());
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let own = until("it has its share again", || {
            socket.send_to(&query(10, "net2", A), GATEWAY).unwrap();
            let mut reply = [0; 512];
            socket.recv(&mut reply).ok().map(|length| reply[..length].to_vec())
        });
        assert_eq!(sum(&own).0, 0);
        let counters = json(sandbox, &["show", "counters", "-j"]);
        assert!(counters["gateway"]["drops"]["no-query"].as_u64() > Some(0), "{counters}");
        end(run);
    });
}
