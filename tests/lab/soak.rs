//! A lab under mixed traffic for a while: streams, datagrams, broken frames, pings; and at the end
//! nothing lost that may not be, no memory grown, no thread or descriptor left over.
//!
//! `USWITCH_SOAK_SECONDS` says how long (5). `just soak` is the minute the build machine takes;
//! an hour is `USWITCH_SOAK_SECONDS=3600 just soak`.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::{Process, Sandbox, Wire, both_ways, datagrams, rooted};
use crate::{READY, netns};

fn descriptors(run: &Process) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", run.pid())).unwrap().count()
}

/// Everything at once, for a few seconds.
fn round(sandbox: &Sandbox, number: u16) {
    let streams = [
        ("net1", "net2", "10.100.0.20"),
        ("net3", "inet", "8.8.8.8"),
        ("net2", "net4", "10.100.0.40"),
    ];
    std::thread::scope(|scope| {
        for (index, (client, server, host)) in (0u16..).zip(streams) {
            scope.spawn(move || {
                let at =
                    format!("{host}:{}", 10_000 + (number * 3 + index) % 20_000).parse().unwrap();
                for (sent, got) in both_ways((&netns(client), &netns(server)), at, 64 << 20) {
                    assert_eq!(sent, got, "{client} to {at}");
                }
            });
        }
        scope.spawn(|| {
            let ends = (netns("net4"), netns("inet"));
            let at = "1.1.1.1:9000".parse().unwrap();
            // Beside the streams the ring may be full: some may be lost, none doubled.
            let arrived = datagrams((&ends.0, &ends.1), at, 5_000, 200);
            assert_eq!((arrived.moved, arrived.doubled), (0, 0));
            assert!(arrived.whole > 0);
        });
        scope.spawn(|| {
            let mut wire = Wire::open(netns("net4"), "vethpeer4");
            for length in 14..400 {
                let mut frame = vec![u8::try_from(length % 251).unwrap(); length];
                frame[0] &= 0xfe;
                frame[6] &= 0xfe;
                wire.send(&frame);
            }
        });
    });
    for to in ["10.100.0.1", "10.100.0.20", "8.8.8.8"] {
        let ping = ["netns", "exec", "net1", "ping", "-c", "3", "-i", "0.1", "-W", "20", to];
        let said = sandbox.tool("ip", &ping);
        assert!(said.contains(" 0% packet loss"), "{said}");
    }
}

#[test]
fn soak() {
    let seconds = std::env::var("USWITCH_SOAK_SECONDS").ok();
    let seconds = seconds.map_or(5, |text| text.parse().unwrap());
    rooted(move |sandbox| {
        let before = sandbox.state();
        let mut run = sandbox.start(&["run", "-n", "4"]);
        run.wait_for(READY);
        // The first round fills the tables and touches the ring's memory.
        round(sandbox, 0);
        let (memory, threads, files) =
            (run.status("VmRSS"), run.status("Threads"), descriptors(&run));
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut rounds = 1;
        while Instant::now() < end {
            round(sandbox, rounds);
            rounds += 1;
        }
        let grown = run.status("VmRSS").saturating_sub(memory);
        eprintln!("{rounds} rounds; memory {memory} kB, grown by {grown} kB");
        assert!(grown < 4096, "memory grew by {grown} kB from {memory} kB");
        assert_eq!((run.status("Threads"), descriptors(&run)), (threads, files));
        run.signal(Signal::SIGTERM);
        assert_eq!(run.ended().code, Some(0));
        assert_eq!(sandbox.state(), before);
    });
}
