//! `monitor`: each event comes after its cause, and what is lost on the way is told.

use serde_json::Value;

use super::{json, lab, until};
use crate::support::{Process, Sandbox, Wire, rooted};

/// A monitor that has shown it listens.
fn listening(sandbox: &Sandbox) -> Process {
    let monitor = sandbox.start(&["monitor", "-j"]);
    until("the monitor hears of a node", || {
        sandbox.uswitch(&["add", "probe"]).ok();
        sandbox.uswitch(&["remove", "probe"]).ok();
        events(&monitor).iter().any(|event| event["event"] == "port_removed").then_some(())
    });
    monitor
}

/// The events so far; a last line that is not whole yet is left out.
fn events(monitor: &Process) -> Vec<Value> {
    let out = monitor.out();
    let whole = out.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits for an event that `wanted` accepts.
#[track_caller]
fn comes(monitor: &Process, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    until(what, || events(monitor).into_iter().find(&wanted))
}

fn frame(to: [u8; 6], from: [u8; 6]) -> Vec<u8> {
    [&to[..], &from, &[0x88, 0xb5], &[0; 46]].concat()
}

const BROADCAST: [u8; 6] = [0xff; 6];

#[test]
fn each_event_follows_its_cause() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let monitor = listening(sandbox);
        let mut text = sandbox.start(&["monitor"]);
        until("it hears of a node as well", || {
            sandbox.uswitch(&["add", "another"]).ok();
            sandbox.uswitch(&["remove", "another"]).ok();
            text.out().contains("taken out").then_some(())
        });
        let mut wire = Wire::open("/run/netns/net2", "vethpeer2");

        wire.send(&frame(BROADCAST, [2, 0, 0, 0, 7, 7]));
        let learned = comes(&monitor, "learned", |event| event["mac"] == "02:00:00:00:07:07");
        assert_eq!((&learned["event"], &learned["ifname"]), (&"learned".into(), &"veth2".into()));
        assert_eq!(learned["vlan"], 0);

        let mut other = Wire::open("/run/netns/net1", "vethpeer1");
        other.send(&frame(BROADCAST, [2, 0, 0, 0, 7, 7]));
        let moved = comes(&monitor, "moved", |event| event["event"] == "moved");
        assert_eq!((&moved["from"], &moved["to"]), (&"veth2".into(), &"veth1".into()));

        let flushes = |words: &[&str]| sandbox.uswitch(&[&["nat", "flush"], words].concat());
        for (words, forgotten) in [
            (&["--node", "net2"][..], "0 sessions"),
            (&["--proto", "tcp"], "0 sessions"),
            (&["--node", "net1", "--proto", "icmp"], "1 session"),
            (&[], "0 sessions"),
        ] {
            let said = flushes(words).ok().out;
            assert!(said.starts_with(&format!("{forgotten} forgotten")), "{words:?}: {said}");
        }
        assert!(flushes(&["--node", "nobody"]).err.contains("nobody"));
        sandbox.tool("ip", &["netns", "exec", "net1", "ping", "-c", "3", "-i", "0.05", "9.9.9.9"]);
        let of = |event: &Value, kind: &str| {
            event["event"] == kind && event["session"]["remote"] == "9.9.9.9:0"
        };
        comes(&monitor, "a session", |event| of(event, "session_opened"));
        sandbox.uswitch(&["nat", "flush"]).ok();
        let closed = comes(&monitor, "its end", |event| of(event, "session_closed"));
        assert_eq!(closed["reason"], "flushed");
        let session = &closed["session"];
        assert_eq!((&session["packets_out"], &session["packets_in"]), (&3.into(), &3.into()));
        assert_eq!(session["bytes_in"], 3 * 84);

        for _ in 0..7 {
            wire.send(&frame(BROADCAST, [3, 0, 0, 0, 0, 1]));
        }
        let told = || {
            let all = events(&monitor);
            let drops = all.iter().filter(|event| event["reason"] == "group-source");
            drops.map(|event| event["count"].as_u64().unwrap()).sum::<u64>()
        };
        until("drops", || (told() >= 7).then_some(()));
        assert_eq!(told(), 7, "{:#?}", events(&monitor));

        sandbox.tool("ip", &["-n", "net2", "link", "set", "vethpeer2", "down"]);
        let of_port = |event: &Value, kind| event["event"] == kind && event["ifname"] == "veth2";
        comes(&monitor, "the link goes down", |event| of_port(event, "port_down"));
        sandbox.tool("ip", &["-n", "net2", "link", "set", "vethpeer2", "up"]);
        comes(&monitor, "the link comes up", |event| of_port(event, "port_up"));

        sandbox.uswitch(&["publish", "8080:net1:80"]).ok();
        let told = comes(&monitor, "published", |event| event["event"] == "published");
        assert_eq!((&told["port"], &told["published"]), (&8080.into(), &true.into()));

        text.wait_for("veth2 from veth2 to veth1".get(6..).unwrap());
        text.wait_for("dropped");
        assert!(!text.out().contains('\x1b'), "colours, and no terminal");
    });
}

#[test]
fn what_is_lost_is_told() {
    const ADDRESSES: u64 = 12_000;
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        // By the kernel where the ring was full, and by the switch for whatever reason.
        let dropped = || {
            let counters = json(sandbox, &["show", "counters", "-j"]);
            let reasons = counters["switch"]["drops"].as_object().unwrap().values();
            let reasons = reasons.map(|count| count.as_u64().unwrap()).sum::<u64>();
            counters["switch"]["ring_drops"].as_u64().unwrap() + reasons
        };
        let monitor = listening(sandbox);
        let mut wire = Wire::open("/run/netns/net2", "vethpeer2");
        let before = dropped();
        // One burst, which outruns the ring, the queue of events and the pump.
        for number in 0..ADDRESSES {
            let [high, low] = u16::try_from(number).unwrap().to_be_bytes();
            wire.send(&frame(BROADCAST, [2, 1, 0, 0, high, low]));
        }
        let sum = until("each address is told, or counted where it was lost", || {
            let all = events(&monitor);
            let learned = all
                .iter()
                .filter(|event| event["mac"].as_str().is_some_and(|mac| mac.starts_with("02:01:")));
            let missed = all.iter().filter(|event| event["event"] == "missed");
            let missed: u64 = missed.map(|event| event["count"].as_u64().unwrap()).sum();
            let sum = [learned.count() as u64, missed, dropped() - before];
            (sum.iter().sum::<u64>() >= ADDRESSES).then_some(sum)
        });
        // No more are missed than there were, a few frames and events of other kinds apart.
        assert!(sum[0] > 0 && sum.iter().sum::<u64>() < ADDRESSES + 100, "{sum:?}");
    });
}

#[test]
fn it_ends_with_the_lab() {
    rooted(|sandbox| {
        let lab = lab(sandbox, &["run"]);
        let monitor = listening(sandbox);
        lab.signal(nix::sys::signal::Signal::SIGTERM);
        lab.ended().ok();
        let ended = monitor.ended();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert_eq!(ended.err.lines().last(), Some("uswitch: lab uswitch has ended"));
    });
}

#[test]
fn what_happens_just_before_the_end_is_told() {
    rooted(|sandbox| {
        sandbox.uswitch(&["up"]).ok();
        let monitor = listening(sandbox);
        let said = sandbox.shell("uswitch add z && uswitch show -j ports && uswitch down").ok().out;
        let ended = monitor.ended();
        assert_eq!(ended.code, Some(1), "{}", ended.err);
        let told: Vec<Value> =
            ended.out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let ports = said.lines().find_map(|line| serde_json::from_str::<Vec<Value>>(line).ok());
        let ports = ports.unwrap();
        let own = &ports.iter().find(|port| port["node"] == "z").unwrap()["ifname"];
        // Nodes before it had a port of that name, and each of those was taken out again.
        let ports = ["port_added", "port_removed"];
        let is =
            |event: &&Value| event["ifname"] == *own && ports.iter().any(|w| event["event"] == *w);
        assert_eq!(told.iter().rfind(is).unwrap()["event"], "port_added", "{told:?}");
    });
}

#[test]
fn a_port_that_is_gone_at_once_has_its_name() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let monitor = listening(sandbox);
        for round in 0..10 {
            let node = format!("short{round}");
            // Both within the time between two looks at the ports.
            sandbox.shell(&format!("uswitch add {node} && uswitch remove {node}")).ok();
        }
        let told = until("ten ports come and go", || {
            let gone = |event: &Value| event["event"] == "port_removed";
            let all = events(&monitor);
            (all.iter().filter(|event| gone(event)).count() >= 11).then_some(all)
        });
        for event in told.iter().filter(|event| event["ifname"].is_string()) {
            assert!(event["ifname"].as_str().unwrap().starts_with("veth"), "{event}");
        }
    });
}

#[test]
fn what_is_flushed_is_told() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let monitor = listening(sandbox);
        sandbox.tool("ip", &["netns", "exec", "net1", "ping", "-c", "1", "9.9.9.9"]);
        sandbox.uswitch(&["fdb", "flush", "net1"]).ok();
        sandbox.uswitch(&["fdb", "flush"]).ok();
        sandbox.uswitch(&["nat", "flush"]).ok();
        let one = comes(&monitor, "net1's", |event| event["ifname"] == "veth1" && flushed(event));
        assert_eq!(one["count"], 1, "{one}");
        comes(&monitor, "all", |event| flushed(event) && event["ifname"].is_null());
        comes(&monitor, "the sessions", |event| event["event"] == "nat_flushed");
    });
}

fn flushed(event: &Value) -> bool {
    event["event"] == "fdb_flushed"
}

#[test]
fn where_there_is_no_switch_nothing_is_waited_for() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "pair"]);
        let refused = sandbox.uswitch(&["monitor"]);
        assert!(refused.err.contains("is a pair and has no switch"), "{}", refused.err);
        assert_eq!(refused.code, Some(1));
    });
}
