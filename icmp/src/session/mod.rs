//! One run of probes as a state machine: what is due, what an answer means, when it is over.
//!
//! Pure: the time comes in as nanoseconds of the monotonic clock. The run loop asks what is due,
//! says what left and what came, and tells the events it gets back.

mod event;
mod options;
mod pace;
mod window;

#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;
use std::time::Duration;

use wire::Timestamp;

pub use event::{Change, Event, Odd, Refusal, Reply};
pub use options::{Options, Patience, SILENCE};

use crate::packet::{self, Complaint, Message, NONCE};
use crate::stats::Stats;
use pace::Pace;
use window::{Window, seq_of};

/// A kernel short of memory is tried again this often, no sooner and no later.
const SHORT_OF_MEMORY: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(500)];

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send the probe with this number, then tell [`Session::sent`] or [`Session::refused`].
    Send(u16),
    /// Nothing before then.
    Wait(Timestamp),
    /// It is over.
    Done,
}

/// An answer as it came off the socket.
#[derive(Clone, Copy, Debug)]
struct Answer<'a> {
    seq: u16,
    payload: &'a [u8],
    sound: bool,
    from: Ipv4Addr,
    ttl: Option<u8>,
}

/// A run of probes to one destination.
pub struct Session {
    options: Options,
    ident: Option<u16>,
    towards: Ipv4Addr,
    payload: Vec<u8>,
    pace: Pace,
    start: Option<Timestamp>,
    /// All are sent: the end, whatever is missing.
    over: Option<Timestamp>,
    window: Window,
    /// The newest probe that was answered, by whatever.
    acknowledged: u64,
    /// The newest probe with a good answer.
    answered_up_to: u64,
    last_ttl: Option<u8>,
    /// Added to an adaptive interval where the kernel is short of memory.
    slowed: Duration,
    short_of_memory: u32,
    stats: Stats,
}

impl Session {
    /// A session whose answers carry `ident` (None where the kernel sorts them) and `payload`, the
    /// nonce first.
    #[must_use]
    pub fn new(options: Options, towards: Ipv4Addr, ident: Option<u16>, payload: Vec<u8>) -> Self {
        Self {
            pace: Pace::new(options.interval, options.preload.max(1)),
            options,
            ident,
            towards,
            payload,
            start: None,
            over: None,
            window: Window::default(),
            acknowledged: 0,
            answered_up_to: 0,
            last_ttl: None,
            slowed: Duration::ZERO,
            short_of_memory: 0,
            stats: Stats::default(),
        }
    }

    /// The identifier its answers carry; None where the kernel sorts them.
    #[must_use]
    pub fn ident(&self) -> Option<u16> {
        self.ident
    }

    /// The counters so far.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Probes sent after the last one that was answered.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.stats.sent - self.acknowledged
    }

    /// What is due.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Action {
        let Some(start) = self.start else {
            return if self.options.count == Some(0) { Action::Done } else { Action::Send(1) };
        };
        let end = self.options.deadline.map(|deadline| start + deadline);
        let enough = |count| self.stats.received + self.stats.errors >= count;
        if self.options.count.is_some_and(enough)
            || end.is_some_and(|end| end <= now || self.stats.errors > 0)
            || self.over.is_some_and(|over| over <= now)
        {
            return Action::Done;
        }
        if let Some(over) = self.over {
            return Action::Wait(over);
        }
        let at = self.pace.due(self.in_flight(), now);
        if at <= now {
            return Action::Send(seq_of(self.stats.sent + 1));
        }
        Action::Wait(end.map_or(at, |end| end.min(at)))
    }

    /// The probe that is unanswered now that the next is due, where that is to be told.
    #[must_use]
    pub fn silent(&self) -> Option<Event> {
        let unanswered = self.window.newest().is_some_and(|newest| !newest.answered);
        let tell = self.options.outstanding && unanswered;
        tell.then(|| Event::Silent { seq: seq_of(self.stats.sent) })
    }

    /// The due probe has left.
    pub fn sent(&mut self, now: Timestamp) {
        self.short_of_memory = 0;
        self.advance(now);
    }

    /// The due probe could not leave: it counts as lost.
    pub fn refused(&mut self, why: Refusal, now: Timestamp) -> Event {
        self.advance(now);
        self.pace.hold(now + self.pace.interval().max(SHORT_OF_MEMORY[0]));
        if matches!(why, Refusal::TooLong { .. }) {
            self.stats.errors += 1;
        }
        Event::Refused { seq: seq_of(self.stats.sent), why }
    }

    /// The kernel has no room for the due probe just now: it is tried again in a while. False
    /// where that has gone on for too long.
    pub fn held_up(&mut self, now: Timestamp) -> bool {
        let longest = Duration::from_millis(50);
        self.slowed += (self.stats.ewma() / 8).clamp(Duration::ZERO, longest);
        self.adapt();
        let [least, most] = SHORT_OF_MEMORY;
        let pause = (self.pace.interval() / 2).clamp(least, most);
        self.pace.hold(now + pause);
        self.short_of_memory += 1;
        pause.saturating_mul(self.short_of_memory) < self.options.patience.limit()
    }

    fn advance(&mut self, now: Timestamp) {
        let start = *self.start.get_or_insert(now);
        self.stats.outage.begin(now);
        self.pace.take(now);
        self.window.push(now);
        self.stats.sent += 1;
        self.stats.elapsed = now.since(start);
        let all = self.options.count.is_some_and(|count| self.stats.sent >= count);
        if all && self.options.deadline.is_none() && self.over.is_none() {
            self.over = Some(now + self.patience());
        }
    }

    /// How long after the last probe the missing answers are waited for.
    fn patience(&self) -> Duration {
        match (self.options.patience, self.stats.longest()) {
            (Patience::Ping(_), Some(rtt)) => (rtt * 2).max(self.pace.interval()),
            (Patience::Ping(limit) | Patience::Each(limit), _) => limit,
        }
    }

    /// The kernel says when probe `number`, counted from 1, left: not before we handed it over.
    pub fn stamped(&mut self, number: u64, at: Timestamp) {
        if let Some(probe) = self.window.get_mut(number).filter(|probe| !probe.answered) {
            probe.at = probe.at.max(at);
        }
    }

    /// It is over: what is missing now stays missing.
    pub fn end(&mut self, now: Timestamp) {
        self.stats.outage.end(self.stats.sent, now);
    }

    /// A message arrived; None where it is not ours.
    pub fn received(
        &mut self,
        message: &Message<'_>,
        from: Ipv4Addr,
        ttl: Option<u8>,
        now: Timestamp,
    ) -> Option<Event> {
        match message {
            Message::Reply { ident, seq, payload, sound } => {
                let ours = self.ident.is_none_or(|ours| ours == *ident);
                let answer = Answer { seq: *seq, payload, sound: *sound, from, ttl };
                if ours { self.reply(answer, now).map(Event::Reply) } else { None }
            }
            Message::Error(complaint) => self.error(complaint, from),
        }
    }

    fn error(&mut self, about: &Complaint, from: Ipv4Addr) -> Option<Event> {
        let Complaint { kind, code, seq, info, .. } = *about;
        let ours = self.ident.is_none_or(|ours| ours == about.ident);
        if !ours || about.towards != self.towards {
            return None;
        }
        let number = self.window.number(seq)?;
        self.stats.error(kind, code, from);
        // These two are advice: the probe they are about may be answered yet.
        if kind != wire::icmp::REDIRECT && kind != packet::SOURCE_QUENCH {
            self.stats.errors += 1;
            self.acknowledge(number);
        }
        Some(Event::Error { seq, from, kind, code, info })
    }

    fn acknowledge(&mut self, number: u64) {
        self.stats.pipe = self.stats.pipe.max(self.stats.sent - number + 1);
        self.acknowledged = self.acknowledged.max(number);
    }

    fn reply(&mut self, answer: Answer<'_>, now: Timestamp) -> Option<Reply> {
        if !self.carries_our_nonce(answer.payload, answer.sound) {
            return None;
        }
        let number = self.window.number(answer.seq)?;
        let probe = self.window.get_mut(number)?;
        let rtt = now.since(probe.at);
        let again = probe.answered;
        probe.answered |= answer.sound;
        // A group answers with many voices, which is not odd; ping counts them all the same.
        let group = self.towards.is_multicast();
        self.stats.duplicates += u64::from(answer.sound && again);
        let mut odd = Odd {
            bad_checksum: !answer.sound,
            duplicate: answer.sound && again && !group,
            truncated: answer.payload.len() < self.payload.len(),
            changed: self.change(answer.payload),
            elsewhere: !group && answer.from != self.towards,
            late: !again && rtt > self.options.patience.limit(),
            ..Odd::default()
        };
        if answer.sound {
            self.acknowledge(number);
            odd.reordered = !again && number < self.answered_up_to;
            odd.ttl_was = self.last_ttl.filter(|was| answer.ttl.is_some_and(|ttl| ttl != *was));
            self.last_ttl = answer.ttl.or(self.last_ttl);
            self.answered_up_to = self.answered_up_to.max(number);
            self.stats.round_trip(rtt);
            if !again {
                self.stats.received += 1;
                self.stats.outage.answer(number, now);
            }
            self.adapt();
        }
        self.count(&odd);
        let bytes = answer.payload.len() + packet::HEADER;
        let Answer { seq, from, ttl, .. } = answer;
        Some(Reply { seq, from, ttl, bytes, rtt, stamp: None, odd })
    }

    /// Another pinger's answer with our identifier has another nonce altogether; a byte of ours
    /// that was changed on the way is no other's.
    fn carries_our_nonce(&self, payload: &[u8], sound: bool) -> bool {
        let nonce = self.payload.get(..NONCE.min(self.payload.len())).unwrap_or_default();
        let compared = nonce.len().min(payload.len());
        let same = nonce.iter().zip(payload).filter(|(ours, theirs)| ours == theirs).count();
        !sound || same * 2 >= compared
    }

    fn change(&self, payload: &[u8]) -> Option<Change> {
        let at = self.payload.iter().zip(payload).position(|(sent, got)| sent != got)?;
        let (sent, got) = (self.payload[at], payload[at]);
        Some(Change { at, sent, got, payload: payload.to_vec() })
    }

    fn count(&mut self, odd: &Odd) {
        let stats = &mut self.stats;
        for (counter, seen) in [
            (&mut stats.corrupt, odd.bad_checksum),
            (&mut stats.truncated, odd.truncated),
            (&mut stats.changed, odd.changed.is_some() && !odd.bad_checksum),
            (&mut stats.elsewhere, odd.elsewhere),
            (&mut stats.ttl_changes, odd.ttl_was.is_some()),
            (&mut stats.late, odd.late),
            (&mut stats.reordered, odd.reordered),
        ] {
            *counter += u64::from(seen);
        }
    }

    /// An adaptive interval is the smoothed round trip, in whole milliseconds as ping has it.
    fn adapt(&mut self) {
        if !self.options.adaptive {
            return;
        }
        let smoothed = self.stats.ewma();
        let round_trip = if smoothed.is_zero() { self.pace.interval() } else { smoothed };
        let millis = (round_trip + self.slowed + Duration::from_micros(500)).as_millis();
        let interval = Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
        self.pace.set_interval(interval.max(self.options.slowest_allowed));
    }
}
