//! The ring and the sender on loopback of a namespace made for the test.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};

use super::{PacketIo, RingConfig, VNET_LEN};
use crate::skip::skip;

/// Runs `work` on a thread with a network namespace of its own; says so where that is forbidden.
pub(super) fn in_own_namespace(work: impl FnOnce() + Send) {
    let name = std::thread::current().name().unwrap_or("test").to_owned();
    std::thread::scope(|scope| {
        let body = || match unshare(CloneFlags::CLONE_NEWNET) {
            Ok(()) => work(),
            Err(error) => skip(format!("no network namespace without root: {error}")),
        };
        std::thread::Builder::new().name(name).spawn_scoped(scope, body).expect("a thread");
    });
}

#[test]
fn a_ring_is_rounded_to_blocks_and_starts_empty() {
    in_own_namespace(|| {
        let io =
            PacketIo::open(RingConfig { slots: 17, ..RingConfig::default() }).expect("opening");
        assert_eq!(io.slots(), 32);
        assert_eq!(io.ring_memory(), 32 * 2048 + 256 * 1024);
        assert!(!io.ready(0));
        assert!(!io.ready(32), "beyond the ring nothing is ready");
    });
}

#[test]
fn a_refused_message_is_told_with_its_interface() {
    in_own_namespace(|| {
        let mut io =
            PacketIo::open(RingConfig { slots: 15, ..RingConfig::default() }).expect("opening");
        assert!(io.queue_copy([&[0; VNET_LEN], &[0; 60]], 4242, [None; 2]));
        assert!(
            !io.queue_copy([&[0; VNET_LEN], &[0; 5]], 1, [None; 2]),
            "shorter than two addresses"
        );
        let mut failures = Vec::new();
        io.flush(&mut |failure| failures.push(failure));
        assert_eq!(failures.len(), 1);
        assert_eq!((failures[0].ifindex, failures[0].errno), (4242, libc::ENXIO));
    });
}

#[test]
fn more_messages_than_a_batch_are_all_tried() {
    in_own_namespace(|| {
        let mut io =
            PacketIo::open(RingConfig { slots: 15, ..RingConfig::default() }).expect("opening");
        let mut failures = 0;
        for _ in 0..1000 {
            assert!(io.queue_copy([&[0; VNET_LEN], &[0; 60]], 4242, [Some((0x8100, 5)), None]));
        }
        io.flush(&mut |failure| failures += failure.count);
        assert_eq!(failures, 1000);
    });
}

#[test]
fn waiting_ends_when_the_time_is_up() {
    in_own_namespace(|| {
        let io =
            PacketIo::open(RingConfig { slots: 15, ..RingConfig::default() }).expect("opening");
        let (quiet, _writer) = std::io::pipe().expect("a pipe");
        io.wait(None, quiet.as_fd(), Some(Duration::from_millis(1))).expect("waiting");
        assert!(!io.ready(0));
    });
}
