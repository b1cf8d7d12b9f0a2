//! Frames that go round: the proof that rings, workers and senders do what they are there for.
//!
//! Out by one end of a veth pair of the switch's own, in by the other, through a ring to its worker,
//! which sends it back the way it came, and through a ring again. No port and no node sees it, and
//! it is in no counter but the kernel's own of a ring. Whoever proves that the switch lives has a
//! [`Watch`]; without one nobody sends such frames, and a worker asks one option a frame.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use sys::packet::{PacketIo, RingConfig, VNET_LEN};
use wire::Timestamp;

use super::command::Command;
use super::config::Error;
use super::crew::Crew;
use super::link::Link;
use super::outbox::Place;
use super::switch::Switch;
use super::worker::{Worker, now};

/// Frames that have not come back are sent again this soon: one may be lost where much goes on, or
/// while a ring is opened anew.
const AGAIN: Duration = Duration::from_millis(100);
/// From one look at what has come back to the next.
const LOOK: Duration = Duration::from_micros(200);
/// Most frames of a round: bits of a word.
const MOST: usize = 64;
/// Frames a worker, where flows are spread by their hash: each gets some.
const FLOWS: usize = 16;
/// Ethernet, IPv4 and UDP headers, then the round and the frame's number.
const LENGTH: usize = 60;
const ROUND_AT: usize = 42;
const NUMBER_AT: usize = 46;

/// What prover and workers share.
#[derive(Debug)]
pub(super) struct Round {
    /// The interface that frames leave by first, and the one they come in by.
    ends: [u32; 2],
    /// The round under way: frames of earlier ones do not count.
    number: AtomicU32,
    /// Which of its frames have come back.
    back: AtomicU64,
}

/// The means to ask whether frames go round.
pub struct Watch {
    round: Arc<Round>,
    sender: PacketIo,
    crew: Option<Arc<Crew>>,
    frames: usize,
}

impl Switch {
    /// Has the workers send back what comes in by the ends of a veth pair in the switch's
    /// namespace `netns`, which are no ports.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::Dead`].
    pub fn watch(&self, netns: BorrowedFd<'_>, ends: [u32; 2]) -> Result<Watch, Error> {
        let silent = RingConfig { slots: 1, bound: false, ..RingConfig::default() };
        let sender = sys::netns::inside(netns, || PacketIo::open(silent)).map_err(Error::Open)?;
        let (number, back) = (AtomicU32::new(0), AtomicU64::new(0));
        let round = Arc::new(Round { ends, number, back });
        self.all(|| Command::Round(Arc::clone(&round)))?;
        let crew = self.crew.clone();
        let shared = crew.is_none() && self.workers() > 1;
        let frames = if shared { (self.workers() * FLOWS).min(MOST) } else { 1 };
        Ok(Watch { round, sender, crew, frames })
    }
}

impl Watch {
    /// Sends frames through every ring in use and waits until they are back.
    ///
    /// # Errors
    /// [`Error::Still`] where some are not in time.
    pub fn prove(&mut self, patience: Duration) -> Result<(), Error> {
        let until = now() + patience;
        let Some(crew) = self.crew.clone().filter(|crew| crew.steering.spreads()) else {
            return self.once(until);
        };
        // Each worker gets what arises on its cores.
        let before = sys::cores::allowed().map_err(Error::Thread)?;
        let outcome = (0..crew.workers()).try_for_each(|worker| {
            // Refused where our cores were changed meanwhile: the frame then goes another way.
            let _ = sys::cores::bind(&crew.of(worker));
            self.once(until)
        });
        let _ = sys::cores::bind(&before);
        outcome
    }

    fn once(&mut self, until: Timestamp) -> Result<(), Error> {
        let number = self.round.number.load(Ordering::Relaxed).wrapping_add(1);
        self.round.back.store(0, Ordering::SeqCst);
        self.round.number.store(number, Ordering::SeqCst);
        let all = u64::MAX >> (MOST - self.frames);
        loop {
            let back = self.round.back.load(Ordering::SeqCst);
            for frame in (0..self.frames).filter(|frame| back & 1 << frame == 0) {
                let bytes = frame_of(number, frame);
                self.sender.queue_copy([&[0; VNET_LEN], &bytes], self.round.ends[0], [None; 2]);
            }
            // A refused one is one that does not come back.
            self.sender.flush(&mut |_| {});
            let again = now() + AGAIN;
            while now() < again {
                if self.round.back.load(Ordering::SeqCst) == all {
                    return Ok(());
                }
                std::thread::sleep(LOOK);
            }
            if now() >= until {
                return Err(Error::Still);
            }
        }
    }
}

impl<L: Link> Worker<L> {
    /// Sends a frame of a round on, or marks it as back; false for any other frame.
    pub(super) fn goes_round(&mut self, place: Place) -> bool {
        let (Place::Main(ahead), Some(round)) = (place, &self.round) else { return false };
        let Some((received, data)) = self.links.main.slot(ahead) else { return false };
        let [first, second] = round.ends;
        if received.ifindex == second {
            self.links.main.queue_slot(ahead, second, [None; 2]);
            return true;
        }
        if received.ifindex != first {
            return false;
        }
        let read = |at: usize| {
            let bytes = data.get(VNET_LEN + at..VNET_LEN + at + 4)?;
            Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        };
        if let (Some(number), Some(frame @ 0..64)) = (read(ROUND_AT), read(NUMBER_AT))
            && number == round.number.load(Ordering::SeqCst)
        {
            round.back.fetch_or(1 << frame, Ordering::SeqCst);
        }
        true
    }
}

/// A datagram to nobody, with a source port of its own, so that hashes of flows differ.
fn frame_of(round: u32, number: usize) -> [u8; LENGTH] {
    let mut frame = [0; LENGTH];
    let low = u8::try_from(number).unwrap_or(0);
    frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
    frame[12..16].copy_from_slice(&[8, 0, 0x45, 0]);
    frame[17] = u8::try_from(LENGTH - 14).unwrap_or(0);
    frame[22..24].copy_from_slice(&[1, 17]);
    frame[26..34].copy_from_slice(&[127, 0, 0, 1, 127, 0, 0, 2]);
    frame[34..38].copy_from_slice(&[low, low, 0, 9]);
    frame[39] = u8::try_from(LENGTH - 34).unwrap_or(0);
    frame[ROUND_AT..ROUND_AT + 4].copy_from_slice(&round.to_be_bytes());
    frame[NUMBER_AT + 3] = low;
    frame
}
