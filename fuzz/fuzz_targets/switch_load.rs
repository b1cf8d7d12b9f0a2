//! A worker's load as it never was: whatever comes by whichever port, a ring that is not filling
//! refuses nobody, one that fills drops of those alone that send more than others, and whether
//! frames are spread is decided without a stop and asked about again in time.

#![no_main]

use std::collections::HashMap;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use switch::PortId;
use switch::core::{Fair, Policy, Window};
use wire::Timestamp;

const SLOTS: usize = 1024;
const BATCH: usize = 64;

/// What a step brings: frames of which port, how many batches are taken, and of a window the part
/// awake, the frames, those of the smaller side, the rate.
type Step = (u8, u16, u8, u8, u16, u16, u32);

fuzz_target!(|steps: Vec<Step>| {
    let mut fair = Fair::new(SLOTS);
    let (mut ring, mut filled) = (Vec::<PortId>::new(), false);
    let mut policy = Policy::default();
    let mut now = Timestamp::from_nanos(1);
    for (port, count, batches, awake, frames, fewer, sent) in steps {
        let port = PortId(u16::from(port) * 17);
        let room = SLOTS - ring.len();
        ring.extend(std::iter::repeat_n(port, usize::from(count).min(room)));
        for _ in 0..batches % 16 {
            filled |= ring.len() > SLOTS / 4 * 3;
            fair.look(|ahead| ahead < ring.len());
            let taken: Vec<_> = ring.drain(..ring.len().min(BATCH)).collect();
            let mut had = HashMap::<PortId, (u32, u32)>::new();
            for port in taken {
                let (admitted, refused) = had.entry(port).or_default();
                if fair.admit(port) { *admitted += 1 } else { *refused += 1 }
            }
            let refused = had.values().any(|(_, refused)| *refused > 0);
            assert!(filled || !refused, "refused, and the ring never filled");
        }
        let wall = Duration::from_millis(30);
        let seen = Window {
            wall,
            awake: wall * u32::from(awake) / 255,
            frames: frames.into(),
            batches: u32::from(frames) / (u32::from(awake % 8) + 1),
            fewer: fewer.min(frames).into(),
            sent: sent.into(),
        };
        let spread = policy.look(&seen, now);
        assert!(policy.due() > now, "asked again and again");
        assert!(policy.due().since(now) < Duration::from_secs(1), "never asked again");
        assert!(!spread || policy.gathered().is_none());
        now = now + Duration::from_millis(u64::from(count) * 8).max(policy.due().since(now));
    }
});
