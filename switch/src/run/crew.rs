//! A worker among several of which at times only the first works: its part in spreading frames and
//! in gathering them again.
//!
//! The first worker leads: it counts what there is to do, asks the policy, and steers. The others
//! sleep until frames come to their rings, and leave when they are told. While frames are spread
//! each worker stays on its cores and does not spin, for whoever makes the next frame needs them.
//! Where the kernel will not have it the first worker goes on alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sys::packet::{PacketIo, Steering};
use wire::Timestamp;

use super::running::Poke;
use crate::core::{Policy, PortId, Window};

/// Frames have been gathered for so long when the other sockets are unbound.
const PART: Duration = Duration::from_millis(100);
/// Frames have been spread for so long when flows may leave the first ring.
const OPEN: Duration = Duration::from_millis(1);
/// And so long they then go by their flows, where they were gathered before: that brings the
/// threads they wake to all cores, which one worker had crowded out of its own.
const MIXED: Duration = Duration::from_millis(10);
/// Frames gathered for less than this were so to see whether they should be.
const ASKED: Duration = Duration::from_millis(100);

/// What the workers of a crew share.
pub(super) struct Crew {
    pub(super) steering: Arc<Steering>,
    /// What each worker has sent, as [`Window::sent`] counts it.
    sent: Vec<AtomicU64>,
    /// The cores this process may use.
    cores: Vec<usize>,
}

impl Crew {
    /// A crew for the cores there are; None where there is but one, or no BPF to be had.
    pub(super) fn new() -> Option<Arc<Self>> {
        let cores = sys::cores::allowed().ok()?;
        let workers = cores.len().min(sys::packet::RINGS);
        let each_has_one = (0..workers).all(|n| cores.iter().any(|core| core % workers == n));
        if workers < 2 || !each_has_one {
            return None;
        }
        let refused = |error| tracing::debug!("one worker takes all frames: {error}");
        let steering = Arc::new(Steering::new(workers).map_err(refused).ok()?);
        let sent = (0..workers).map(|_| AtomicU64::new(0)).collect();
        Some(Arc::new(Self { steering, sent, cores }))
    }

    pub(super) fn workers(&self) -> usize {
        self.steering.rings()
    }

    /// The cores of a worker.
    pub(super) fn of(&self, number: usize) -> Vec<usize> {
        self.cores.iter().copied().filter(|core| core % self.workers() == number).collect()
    }
}

/// A worker's place in a crew.
pub(super) struct Member {
    crew: Arc<Crew>,
    number: usize,
    /// Of the first worker.
    lead: Option<Lead>,
}

/// What the first worker has beside.
struct Lead {
    policy: Policy,
    others: Vec<Poke>,
    armed: bool,
    /// When flows may leave the first ring.
    open: Option<Timestamp>,
    /// When frames are to go by their cores.
    mixed: Option<Timestamp>,
    /// When frames were spread last.
    spread: Timestamp,
    /// The kernel refused something: no more of it.
    alone: bool,
    since: Timestamp,
    slept: Duration,
    seen: Window,
    /// The port that frames of the window are told apart by, and those from there.
    port: Option<PortId>,
    from_port: u32,
    sent: u64,
}

impl Member {
    /// The first one, with the means to wake the others.
    pub(super) fn first(crew: Arc<Crew>, others: Vec<Poke>) -> Self {
        let lead = Lead {
            policy: Policy::default(),
            others,
            armed: false,
            open: None,
            mixed: None,
            spread: Timestamp::ZERO,
            alone: false,
            since: Timestamp::ZERO,
            slept: Duration::ZERO,
            seen: Window::default(),
            port: None,
            from_port: 0,
            sent: 0,
        };
        Self { crew, number: 0, lead: Some(lead) }
    }

    pub(super) fn other(crew: Arc<Crew>, number: usize) -> Self {
        Self { crew, number, lead: None }
    }

    /// The worker begins. One that cannot have its cores to itself works all the same.
    pub(super) fn begin(&self) {
        if self.lead.is_none() {
            let _ = sys::cores::bind(&self.crew.of(self.number));
        }
    }

    /// Whether the worker may look for the next frame awake.
    pub(super) fn spins(&self) -> bool {
        self.lead.is_some() && !self.crew.steering.spreads()
    }

    /// A frame came in by this port.
    pub(super) fn came(&mut self, port: PortId) {
        if let Some(lead) = &mut self.lead {
            let main = *lead.port.get_or_insert(port);
            lead.from_port += u32::from(main == port);
        }
    }

    /// A batch was taken; the worker has now sent so much in all.
    pub(super) fn batch(&mut self, taken: usize, sent: u64) {
        self.crew.sent[self.number].store(sent, Ordering::Relaxed);
        if let Some(lead) = &mut self.lead {
            lead.seen.frames += u32::try_from(taken).unwrap_or(0);
            lead.seen.batches += 1;
        }
    }

    /// The worker has slept.
    pub(super) fn slept(&mut self, time: Duration) {
        if let Some(lead) = &mut self.lead {
            lead.slept += time;
        }
    }

    /// Until when the worker may sleep: while frames are or may be spread the first has to look
    /// after it.
    pub(super) fn until(&self) -> Option<Timestamp> {
        let lead = self.lead.as_ref()?;
        let next = match lead.policy.gathered() {
            Some(since) => lead.armed.then(|| lead.policy.due().max(since + PART)),
            None => Some(lead.policy.due()),
        };
        lead.open.or(lead.mixed).or(next)
    }

    /// Does what is due.
    pub(super) fn turn(&mut self, io: &mut PacketIo, now: Timestamp) {
        let Some(lead) = &mut self.lead else {
            // What the kernel says to it was said when the socket was bound, too.
            let _ = io.leave();
            return;
        };
        if lead.open.take_if(|at| *at <= now).is_some() {
            io.open_up();
            let mixes = now.since(lead.spread) > ASKED;
            lead.mixed = Some(if mixes { now + MIXED } else { now });
        }
        if lead.mixed.take_if(|at| *at <= now).is_some() {
            self.crew.steering.by_core();
        }
        if now < lead.policy.due() || lead.alone {
            return;
        }
        let seen = lead.window(&self.crew, now);
        let spread = lead.policy.look(&seen, now) && lead.arm(io);
        let steering = &self.crew.steering;
        // It may have to wait for the others' rings: the policy is asked again soon.
        if spread != steering.spreads() && steering.spread(spread) == spread {
            lead.spread = if spread { lead.spread } else { now };
            lead.open = spread.then(|| now + OPEN);
            let cores = if spread { self.crew.of(0) } else { self.crew.cores.clone() };
            // Refused where our cores were changed meanwhile; then the kernel knows better.
            let _ = sys::cores::bind(&cores);
        }
        let parted = lead.policy.gathered().is_some_and(|since| now >= since + PART);
        if lead.armed && steering.alone() && parted {
            io.disarm();
            lead.armed = false;
            lead.others.iter().for_each(Poke::poke);
        }
    }
}

impl Lead {
    /// What was seen since the last time; the next window begins.
    fn window(&mut self, crew: &Crew, now: Timestamp) -> Window {
        let sent = crew.sent.iter().map(|sent| sent.load(Ordering::Relaxed)).sum();
        let wall = now.since(self.since);
        let seen = Window {
            wall,
            awake: wall.saturating_sub(self.slept),
            fewer: self.from_port.min(self.seen.frames.saturating_sub(self.from_port)),
            sent: sent - self.sent.min(sent),
            ..self.seen
        };
        (self.since, self.slept, self.sent) = (now, Duration::ZERO, sent);
        (self.seen, self.port, self.from_port) = (Window::default(), None, 0);
        seen
    }

    /// Whether frames can be spread: makes it so where it is not.
    fn arm(&mut self, io: &mut PacketIo) -> bool {
        if !self.armed {
            match io.arm() {
                Ok(armed) => self.armed = armed,
                Err(error) => {
                    tracing::warn!("one worker takes all frames from now on: {error}");
                    self.alone = true;
                    self.others.iter().for_each(Poke::poke);
                }
            }
        }
        self.armed
    }
}
