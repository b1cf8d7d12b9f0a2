//! What is told while frames pass is of one moment: each frame once, the ports' frames the whole's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Sandbox, Wire, captured, rooted};
use crate::{lab, netns};

/// Answers looked at of each kind.
const POLLS: usize = 25;

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn all(map: &Value) -> u64 {
    map.as_object().unwrap().values().map(number).sum()
}

/// Frames that have come, and those that have been decided about.
fn of_counters(sandbox: &Sandbox) -> [u64; 2] {
    let told = super::json(sandbox, &["show", "counters", "-j"]);
    let c = &told["switch"];
    let went = ["forwarded", "flooded", "members", "local", "uplink"];
    [number(&c["received"]), went.iter().map(|how| number(&c[how])).sum::<u64>() + all(&c["drops"])]
}

/// Frames that have come, those of all ports, and those that have been decided about.
fn of_metrics(sandbox: &Sandbox) -> [u64; 3] {
    let text = sandbox.uswitch(&["metrics"]).ok().out;
    let sum = |family: &str| -> u64 {
        let lines = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(family));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    };
    let decided =
        ["verdict", "dropped"].map(|how| sum(&format!("uswitch_switch_{how}_frames_total")));
    [
        sum("uswitch_switch_received_frames_total"),
        sum("uswitch_port_receive_frames_total"),
        decided.iter().sum(),
    ]
}

/// Of two ports: what came by one and neither left by the other nor was dropped.
fn of_ports(sandbox: &Sandbox) -> i64 {
    let ports = super::json(sandbox, &["show", "ports", "-j"]);
    let rest = |port: &Value| {
        let (rx, tx) = (&port["stats64"]["rx"], &port["stats64"]["tx"]);
        let went = number(&tx["packets"]) + number(&tx["errors"]) + all(&port["drops"]);
        number(&rx["packets"]).cast_signed() - went.cast_signed()
    };
    ports.as_array().unwrap().iter().map(rest).sum()
}

/// Has what it stands for end, also where a look fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Frames by both ports while somebody looks.
fn while_frames_pass(look: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (port, peer) in [(1, 2), (2, 1)] {
            let stop = &stop;
            scope.spawn(move || {
                let mut wire = Wire::open(netns(&format!("net{port}")), &format!("vethpeer{port}"));
                let plain = |dst: [u8; 6]| {
                    [&dst[..], &[2, 0xaa, 0, 0, 0, port, 0x88, 0xb5], &[0; 46]].concat()
                };
                // To one who is known, to everybody, to nobody.
                let frames = [
                    plain([2, 0xaa, 0, 0, 0, peer]),
                    plain([0xff; 6]),
                    plain([1, 0x80, 0xc2, 0, 0, 1]),
                ];
                while !stop.load(Ordering::Relaxed) {
                    frames.iter().for_each(|frame| wire.send(frame));
                    std::thread::sleep(Duration::from_micros(20));
                }
            });
        }
        let _end = End(&stop);
        look();
    });
}

fn agrees(sandbox: &Sandbox, fast: &str) {
    let _lab = lab(sandbox, &["run", "-n", "2", "--uplink", "none", "--fast-path", fast]);
    for node in ["net1", "net2"] {
        let quiet = ["netns", "exec", node, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"];
        sandbox.tool("ip", &quiet);
    }
    let rest = of_ports(sandbox);
    while_frames_pass(|| {
        let mut last = 0;
        for poll in 0..POLLS {
            let [received, of_ports, decided] = of_metrics(sandbox);
            assert_eq!(received, of_ports, "fast path {fast}, scrape {poll}: the ports' frames");
            assert_eq!(received, decided, "fast path {fast}, scrape {poll}: each frame once");
            let [received, decided] = of_counters(sandbox);
            assert_eq!(received, decided, "fast path {fast}, counters {poll}: each frame once");
            assert!(received > last, "fast path {fast}: nothing passes");
            last = received;
            assert_eq!(
                self::of_ports(sandbox),
                rest,
                "fast path {fast}, ports {poll}: what came, went"
            );
        }
    });
}

#[test]
fn counts_agree_while_frames_pass() {
    rooted(|sandbox| agrees(sandbox, "off"));
}

#[test]
fn counts_agree_while_the_kernel_repeats() {
    captured(|sandbox| agrees(sandbox, "on"));
}
