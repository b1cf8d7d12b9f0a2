//! One run of probes as a state machine: what is due, what an answer means, when it is over.
//!
//! Pure: the time comes in as nanoseconds of the monotonic clock. Remembers one entry a probe for
//! the last [`REMEMBERED`]; answers to older ones count as late.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::Duration;

use wire::Timestamp;

use crate::packet::{self, Message, NONCE};
use crate::stats::Stats;

/// Probes remembered: the whole sequence space, so that no number stands for two of them.
const REMEMBERED: usize = 65_536;
/// In a flood: probes on their way at once, and the pause when none comes back.
const FLOOD_WINDOW: u64 = 64;
const FLOOD_PAUSE: Duration = Duration::from_millis(10);

/// How long ping waits where nothing ever came back (MAXWAIT).
const SILENCE: Duration = Duration::from_secs(10);

/// What to send, how often, for how long.
#[derive(Clone, Debug)]
pub struct Options {
    /// Probes to send; None goes on until stopped.
    pub count: Option<u64>,
    /// From one probe to the next.
    pub interval: Duration,
    /// How long an answer may take. None: as long as ping waits for the last ones, 10 s where
    /// nothing came back yet, else twice the longest round trip and no less than the interval.
    pub wait: Option<Duration>,
    /// The whole run ends then.
    pub deadline: Option<Duration>,
    /// Bytes of payload.
    pub size: usize,
    /// Send as fast as answers come back, at least a hundred a second.
    pub flood: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            count: None,
            interval: Duration::from_secs(1),
            wait: None,
            deadline: None,
            size: 56,
            flood: false,
        }
    }
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send the probe with this number, then tell [`Session::sent`].
    Send(u16),
    /// Nothing before then.
    Wait(Timestamp),
    /// It is over.
    Done,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An answer.
    Reply {
        /// Its sequence number.
        seq: u16,
        /// Who sent it.
        from: Ipv4Addr,
        /// Time to live when it arrived, where the socket tells.
        ttl: Option<u8>,
        /// Bytes of ICMP.
        bytes: usize,
        /// Round trip.
        rtt: Duration,
        /// What is odd about it.
        note: Note,
    },
    /// An ICMP error.
    Error {
        /// About this probe.
        seq: u16,
        /// The router that sent it.
        from: Ipv4Addr,
        /// ICMP type.
        kind: u8,
        /// ICMP code.
        code: u8,
        /// Next-hop MTU, or 0.
        mtu: u16,
    },
}

/// What an answer is besides an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// Nothing odd.
    Plain,
    /// Its probe was answered before.
    Duplicate,
    /// The checksum is wrong.
    BadChecksum,
    /// The payload differs from what was sent, first at this byte.
    Changed(usize),
    /// The payload is shorter than what was sent.
    Truncated,
}

/// A run of probes to one destination.
pub struct Session {
    options: Options,
    ident: Option<u16>,
    nonce: [u8; NONCE],
    towards: Ipv4Addr,
    start: Option<Timestamp>,
    last_sent: Timestamp,
    last_answer: Timestamp,
    /// Number of the oldest probe in `probes`, counted from 0 without wrapping.
    first: u64,
    probes: VecDeque<Probe>,
    answered_up_to: u64,
    stats: Stats,
}

struct Probe {
    at: Timestamp,
    answered: bool,
}

impl Session {
    /// A session whose answers carry `ident` (None where the kernel sorts them) and the nonce.
    #[must_use]
    pub fn new(
        options: Options,
        towards: Ipv4Addr,
        ident: Option<u16>,
        nonce: [u8; NONCE],
    ) -> Self {
        Self {
            options,
            ident,
            nonce,
            towards,
            start: None,
            last_sent: Timestamp::ZERO,
            last_answer: Timestamp::ZERO,
            first: 0,
            probes: VecDeque::new(),
            answered_up_to: 0,
            stats: Stats::default(),
        }
    }

    /// The counters so far.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// What is due.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Action {
        let Some(start) = self.start else {
            return if self.options.count == Some(0) { Action::Done } else { Action::Send(1) };
        };
        let end = self.options.deadline.map(|d| start + d);
        if end.is_some_and(|end| end <= now) {
            return Action::Done;
        }
        let outstanding = self.stats.sent - self.stats.received;
        let all_sent = self.options.count.is_some_and(|count| self.stats.sent >= count);
        let next = if all_sent {
            let over = self.last_sent + self.patience();
            // An error about the last probe answers it as finally as a reply.
            if outstanding <= self.stats.errors || over <= now {
                return Action::Done;
            }
            over
        } else {
            let at = self.next_send(outstanding);
            if at <= now {
                let number = u16::try_from((self.stats.sent + 1) & 0xffff).unwrap_or(0);
                return Action::Send(number);
            }
            at
        };
        Action::Wait(end.map_or(next, |end| end.min(next)))
    }

    /// How long after the last probe the missing answers are waited for.
    fn patience(&self) -> Duration {
        let longest = self.stats.round_trips.iter().max();
        let usual = longest.map_or(SILENCE, |rtt| (*rtt * 2).max(self.options.interval));
        self.options.wait.unwrap_or(usual)
    }

    fn next_send(&self, outstanding: u64) -> Timestamp {
        if !self.options.flood {
            return self.last_sent + self.options.interval;
        }
        let answered = self.last_answer >= self.last_sent;
        if answered && outstanding < FLOOD_WINDOW {
            Timestamp::ZERO
        } else {
            self.last_sent + FLOOD_PAUSE
        }
    }

    /// The due probe has left.
    pub fn sent(&mut self, now: Timestamp) {
        self.start.get_or_insert(now);
        self.last_sent = now;
        self.stats.sent += 1;
        self.note_time(now);
        if self.probes.len() == REMEMBERED {
            self.probes.pop_front();
            self.first += 1;
        }
        self.probes.push_back(Probe { at: now, answered: false });
    }

    /// A message arrived; None where it is not ours.
    pub fn received(
        &mut self,
        message: &Message,
        from: Ipv4Addr,
        ttl: Option<u8>,
        now: Timestamp,
    ) -> Option<Event> {
        match message {
            Message::Reply { ident, seq, payload, sound } => {
                if self.ident.is_some_and(|ours| ours != *ident) {
                    return None;
                }
                self.reply(*seq, payload, *sound, from, ttl, now)
            }
            Message::Error { kind, code, ident, seq, towards, mtu } => {
                let ours = self.ident.is_none_or(|ours| ours == *ident) && *towards == self.towards;
                if !ours || self.number(*seq).is_none() {
                    return None;
                }
                self.stats.errors += 1;
                self.note_time(now);
                Some(Event::Error { seq: *seq, from, kind: *kind, code: *code, mtu: *mtu })
            }
        }
    }

    fn reply(
        &mut self,
        seq: u16,
        payload: &[u8],
        sound: bool,
        from: Ipv4Addr,
        ttl: Option<u8>,
        now: Timestamp,
    ) -> Option<Event> {
        let expected = packet::payload(self.nonce, self.options.size);
        let differs = expected.iter().zip(payload).position(|(a, b)| a != b);
        // Another pinger's answer with our identifier: a sound one that has not our nonce.
        if sound && differs.is_some_and(|at| at < NONCE) {
            return None;
        }
        let number = self.number(seq)?;
        let at = usize::try_from(number - self.first).ok()?;
        let wait = self.options.wait.unwrap_or(SILENCE);
        let probe = self.probes.get_mut(at)?;
        let rtt = now.since(probe.at);
        let note = if !sound {
            Note::BadChecksum
        } else if payload.len() < expected.len() {
            Note::Truncated
        } else if let Some(at) = differs {
            Note::Changed(at)
        } else if probe.answered {
            Note::Duplicate
        } else {
            Note::Plain
        };
        match note {
            Note::BadChecksum | Note::Truncated | Note::Changed(_) => self.stats.corrupt += 1,
            Note::Duplicate => self.stats.duplicates += 1,
            Note::Plain => {}
        }
        if note != Note::BadChecksum {
            if !std::mem::replace(&mut probe.answered, true) {
                self.stats.received += 1;
            }
            self.stats.round_trip(rtt);
            self.last_answer = now;
        }
        if rtt > wait {
            self.stats.late += 1;
        }
        if number < self.answered_up_to && note == Note::Plain {
            self.stats.reordered += 1;
        }
        self.answered_up_to = self.answered_up_to.max(number);
        self.note_time(now);
        Some(Event::Reply { seq, from, ttl, bytes: payload.len() + packet::HEADER, rtt, note })
    }

    /// The newest probe, counted from 0, that carried this sequence number.
    fn number(&self, seq: u16) -> Option<u64> {
        let newest = self.stats.sent.checked_sub(1)?;
        // Probe k carries the number k + 1, modulo 2^16.
        let behind = (newest + 1).wrapping_sub(u64::from(seq)) & 0xffff;
        let number = newest.checked_sub(behind)?;
        (number >= self.first).then_some(number)
    }

    fn note_time(&mut self, now: Timestamp) {
        if let Some(start) = self.start {
            self.stats.elapsed = now.since(start);
        }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
