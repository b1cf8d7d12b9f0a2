//! More than the switch can send: one node floods the gateway as fast as it can. What cannot be sent
//! is dropped at its port; another node's pings and connections go on.
//!
//! How the shares come about is in `switch/src/core/fair_tests.rs`; here it is the whole path.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::READY;
use crate::support::{Sandbox, Wire, both_ways, rooted};

const PATIENCE: Duration = Duration::from_secs(120);

fn netns(name: &str) -> PathBuf {
    PathBuf::from("/run/netns").join(name)
}

fn show(sandbox: &Sandbox, what: &str) -> Value {
    serde_json::from_str(&sandbox.uswitch(&["show", what, "-j"]).ok().out).unwrap()
}

/// Frames dropped early, by port.
fn shed(sandbox: &Sandbox) -> Vec<(String, u64)> {
    let ports = show(sandbox, "ports");
    let of = |port: &Value| {
        let count = port["drops"]["overload"].as_u64().unwrap_or(0);
        (port["ifname"].as_str().unwrap().to_owned(), count)
    };
    ports.as_array().unwrap().iter().map(of).collect()
}

/// Frames the switch took, those with a verdict, those that reached the ring, those that found it
/// full.
fn frames(sandbox: &Sandbox) -> [u64; 4] {
    let switch = &show(sandbox, "counters")["switch"];
    let count = |name: &str| switch[name].as_u64().unwrap();
    let dropped = switch["drops"].as_object().unwrap().values().map(|n| n.as_u64().unwrap());
    let verdicts = ["forwarded", "flooded", "local", "uplink"].map(count).iter().sum::<u64>();
    [count("received"), verdicts + dropped.sum::<u64>(), count("ring_packets"), count("ring_drops")]
}

/// Datagrams of net1 to 9.9.9.9, 60 bytes a frame, without a pause.
fn flood(wire: &mut Wire, stop: &AtomicBool) -> u64 {
    let mut frame = vec![2, 0, 10, 100, 0, 1];
    frame.extend(wire.mac);
    frame.extend([8, 0, 0x45, 0, 0, 46, 0, 7, 0x40, 0, 64, 17, 0, 0, 10, 100, 0, 10, 9, 9, 9, 9]);
    let words = frame[14..34].chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1]));
    let sum = words.sum::<u32>();
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame.extend([0x30, 0x39, 0x1e, 0x61, 0, 26]);
    frame.resize(60, 0);
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        wire.send(&frame);
        sent += 1;
    }
    sent
}

/// What net2 sees of it: 200 pings, and a connection both ways. Gives how many pings came back.
fn bystander(sandbox: &Sandbox, port: u16) -> (u32, Duration) {
    let ping = ["netns", "exec", "net2", "ping", "-n", "-q", "-c", "200", "-i", "0.02", "-W", "2"];
    let out = sandbox.tool("ip", &[&ping[..], &["8.8.8.8"]].concat());
    let counts = out.lines().find(|line| line.contains("received")).unwrap();
    let came = counts.split(", ").nth(1).unwrap().split(' ').next().unwrap();
    let begun = Instant::now();
    let at: SocketAddr = ([8, 8, 8, 8], port).into();
    for (sent, received) in both_ways((&netns("net2"), &netns("inet")), at, 4 << 20) {
        assert_eq!(sent, received);
    }
    (came.parse().unwrap(), begun.elapsed())
}

#[test]
fn a_flooding_node_starves_nobody() {
    rooted(|sandbox| {
        // What the kernel carries asks nothing of the ring that is to fill.
        let mut lab = sandbox.start(&["run", "--fast-path", "off"]);
        lab.wait_for(READY);
        let at_peace = bystander(sandbox, 7800);
        let mut wire = Wire::open(netns("net1"), "vethpeer1");
        let stop = AtomicBool::new(false);
        let (sent, seen) = std::thread::scope(|scope| {
            let flooder = scope.spawn(|| flood(&mut wire, &stop));
            // Whatever fails, the flood ends.
            let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let limit = Instant::now() + PATIENCE;
                while shed(sandbox).iter().all(|(_, count)| *count == 0) {
                    assert!(Instant::now() < limit, "that was no overload: {:?}", frames(sandbox));
                }
                (frames(sandbox), bystander(sandbox, 7801), frames(sandbox))
            }));
            stop.store(true, Ordering::Relaxed);
            let sent = flooder.join().unwrap();
            (sent, seen.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        let ([.., came, full], flooded, [.., came_then, full_then]) = seen;
        let full = (full_then - full) as f64 / (came_then - came) as f64;
        let shed = shed(sandbox);
        println!(
            "{sent} frames of the flood, {shed:?} dropped early; the ring was full for {:.2} % of \
             all; pings of 200 and 8 MiB: {at_peace:?} at peace, {flooded:?} in the flood",
            full * 100.0
        );
        // Only the flood is dropped early. Where others took the worker's core for long the ring
        // fills all the same: a ping passes it twice.
        for (port, count) in shed {
            assert_eq!(count > 0, port == "veth1", "{count} at {port}");
        }
        let lost = 1.0 - f64::from(flooded.0) / 200.0;
        assert!(lost <= 0.05 + 4.0 * full, "{lost} lost, and the ring was full for {full}");
        // All is accounted for once the ring is empty.
        let limit = Instant::now() + PATIENCE;
        while {
            let [received, verdicts, came, full] = frames(sandbox);
            received != verdicts || received + full != came
        } {
            assert!(Instant::now() < limit, "{:?}", frames(sandbox));
        }
        assert_eq!(bystander(sandbox, 7802).0, 200, "afterwards");
    });
}
