//! `--split`: each round trip cut at the switch, each lost probe named where it was seen last.
//!
//! ```text
//!   the pinger: when a probe was handed over, when its answer came ─┐
//!   the lab's trace: when its frames came to the switch and left ───┴► Way ─► parts | fate ─► Tally
//! ```
//!
//! On the pinger's thread, between its events. At most [`REMEMBERED`] probes wait for their walks.

mod follow;
mod names;
mod tally;
/// Whether the stack of this thread's namespace is asking who has the address of its neighbour on
/// the way to `to`: of `to` itself, or of a router where `to` is no neighbour.
fn asks(to: Ipv4Addr) -> bool {
    let table = std::fs::read_to_string("/proc/thread-self/net/arp").unwrap_or_default();
    let asked = table.lines().skip(1).filter_map(|line| {
        let mut words = line.split_whitespace();
        let (address, flags) = (words.next()?.parse::<Ipv4Addr>().ok()?, words.nth(1)?);
        Some((address, flags == "0x0"))
    });
    let asked: Vec<_> = asked.collect();
    match asked.iter().find(|(address, _)| *address == to) {
        Some((_, asking)) => *asking,
        None => asked.iter().any(|(_, asking)| *asking),
    }
}

#[cfg(test)]
mod tests;
mod way;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use control::api::TraceLine;
use icmp::run::Moment;
use icmp::session::Session;
use icmp::{Event, Pinger};
use lab::LabName;
use serde_json::{Value, json};

use crate::door::Which;
use crate::units::micros;
use follow::Lines;
use names::Names;
use tally::Tally;
use way::{Fate, Part, Unsent, Unsplit, Way};

/// How long an answer that is there waits for the walks of its frames. They are told before the
/// answer leaves the switch, and overtaken on a busy machine only.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the end of a run waits for walks that may never come.
const END: Duration = Duration::from_millis(250);
/// Probes whose walks are remembered: the sequence space.
const REMEMBERED: usize = 65_536;

/// The lab, asked before a node is entered.
pub(super) struct Prepared {
    lab: LabName,
    towards: Ipv4Addr,
    lines: Lines,
    names: Names,
}

/// One run being split.
pub(super) struct Split {
    lines: Receiver<TraceLine>,
    names: Names,
    sender: String,
    source: Ipv4Addr,
    towards: Ipv4Addr,
    ident: u16,
    probes: BTreeMap<u64, Probe>,
    sent: u64,
    /// Whether an answer waits for its walks.
    waits: bool,
    /// The lab tells no more.
    ended: bool,
    tally: Tally,
}

#[derive(Default)]
struct Probe {
    way: Way,
    /// When the answer came, by the wall clock, and the round trip.
    answer: Option<(Option<u64>, Duration)>,
    /// An ICMP error has told of it.
    errored: bool,
    /// What the sender's own stack said of it.
    unsent: Option<Unsent>,
}

impl Probe {
    /// Whether nothing was seen or said of it: its sender may have it still.
    fn is_kept(&self) -> bool {
        !self.way.is_seen() && self.answer.is_none() && self.unsent.is_none()
    }
}

/// What belongs below the line of an event.
pub(super) enum Below {
    /// Of an answer.
    Split(Result<Vec<Part>, Unsplit>),
    /// Of a probe without one.
    Fate(Fate),
}

impl Prepared {
    /// Asks the lab who is where.
    ///
    /// # Errors
    /// Where the lab does not run, or the destination is no single host.
    pub(super) fn new(lab: &LabName, towards: Ipv4Addr) -> anyhow::Result<Self> {
        ensure!(
            !towards.is_multicast() && !towards.is_unspecified(),
            "--split follows probes to one host: {towards} is none"
        );
        let lab = lab.clone();
        let (lines, names) = Lines::of(Which { name: lab.clone() }, towards)?;
        Ok(Self { lab, towards, lines, names })
    }

    /// Begins to follow the probes of `pinger`, which leave from `node` if that is named.
    ///
    /// # Errors
    /// Where they will not pass the switch, or the lab has none.
    pub(super) fn begin(
        self,
        node: Option<&str>,
        pinger: &Pinger,
        flood: bool,
    ) -> anyhow::Result<Split> {
        let Self { lab, towards, lines, names } = self;
        let source = pinger.source();
        // As the lab calls it, which a prefix may hide.
        let Some(sender) = names.node(source).or(node) else {
            bail!("--split: {source} is no node of lab {lab}: name the node to ping from");
        };
        ensure!(
            source != towards,
            "--split: {towards} is {sender} itself, and nothing passes the switch"
        );
        let ident = pinger.ident().context(
            "--split needs a raw socket, to know its probes again: ping from a node of the lab",
        )?;
        let sender = sender.to_owned();
        Ok(Split {
            lines: lines.read()?,
            names,
            sender,
            source,
            towards,
            ident,
            probes: BTreeMap::new(),
            sent: 0,
            waits: !flood,
            ended: false,
            tally: Tally::default(),
        })
    }
}

impl Split {
    /// Takes in what the pinger saw; what there is to say below it.
    pub(super) fn moment(&mut self, moment: Moment<'_>, session: &Session) -> Option<Below> {
        self.sent = session.stats().sent;
        if matches!(moment, Moment::Sent) {
            self.remember();
        }
        self.drain();
        match moment {
            Moment::Event(Event::Reply(reply))
                if !reply.odd.duplicate && !reply.odd.bad_checksum =>
            {
                let number = self.number(reply.seq)?;
                self.probes.get_mut(&number)?.answer = Some((reply.stamp, reply.rtt));
                self.settle(number).map(Below::Split)
            }
            Moment::Event(Event::Silent { seq }) => {
                let number = self
                    .number(*seq)
                    .filter(|n| self.probes.get(n).is_some_and(|probe| !probe.errored))?;
                let probe = self.probes.get_mut(&number)?;
                if probe.is_kept() && asks(self.towards) {
                    probe.unsent = Some(Unsent::Asking);
                }
                self.fate(number).map(Below::Fate)
            }
            Moment::Event(Event::Error { seq, from, .. }) => {
                let number = self.number(*seq)?;
                let probe = self.probes.get_mut(&number)?;
                let own = (*from == self.source).then_some(Unsent::NoNeighbour);
                (probe.errored, probe.unsent) = (true, own);
                if *from != self.source {
                    self.wait(END, |split| {
                        split.probes.get(&number).is_none_or(|p| p.way.is_seen())
                    });
                }
                self.fate(number).map(Below::Fate)
            }
            Moment::Event(Event::Refused { seq, .. }) => {
                self.remember();
                let number = self.number(*seq)?;
                let probe = self.probes.get_mut(&number)?;
                (probe.errored, probe.unsent) = (true, Some(Unsent::Refused));
                None
            }
            Moment::Event(_) | Moment::Sent | Moment::Awake => None,
        }
    }

    /// The end of the run.
    pub(super) fn end(&mut self) {
        // What the switch has seen by now has been told soon.
        self.wait(END, |split| split.probes.values().all(|probe| probe.way.is_whole()));
        let mut kept: Vec<_> = self.probes.values_mut().filter(|probe| probe.is_kept()).collect();
        if !kept.is_empty() && asks(self.towards) {
            kept.iter_mut().for_each(|probe| probe.unsent = Some(Unsent::Asking));
        }
        for (number, probe) in std::mem::take(&mut self.probes) {
            self.forget(number, &probe);
        }
    }

    /// What stands below the summary.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = self.tally.lines();
        if self.ended {
            lines.push("the lab has ended meanwhile: what came later was not followed".into());
        }
        lines
    }

    /// The same for `--json`.
    pub(super) fn json(&self) -> Value {
        self.tally.json()
    }

    fn remember(&mut self) {
        self.probes.insert(self.sent, Probe::default());
        if self.probes.len() > REMEMBERED
            && let Some((number, probe)) = self.probes.pop_first()
        {
            self.forget(number, &probe);
        }
    }

    fn forget(&mut self, number: u64, probe: &Probe) {
        match probe.answer {
            Some((stamp, rtt)) => self.tally.add(&probe.way.parts(&self.sender, stamp, rtt)),
            None => self.tally.lose(number, self.fate_of(probe)),
        }
    }

    fn fate(&self, number: u64) -> Option<Fate> {
        self.probes.get(&number).map(|probe| self.fate_of(probe))
    }

    fn fate_of(&self, probe: &Probe) -> Fate {
        probe.way.fate(&self.sender, self.names.node(self.towards), probe.unsent)
    }

    /// The split of an answered probe; None in a flood where its walks are still to come.
    fn settle(&mut self, number: u64) -> Option<Result<Vec<Part>, Unsplit>> {
        let whole = |split: &Self| split.probes.get(&number).is_none_or(|p| p.way.is_whole());
        if self.waits {
            self.wait(PATIENCE, whole);
        } else if !whole(self) {
            return None;
        }
        let probe = self.probes.remove(&number)?;
        let (stamp, rtt) = probe.answer?;
        let parts = probe.way.parts(&self.sender, stamp, rtt);
        self.tally.add(&parts);
        Some(parts)
    }

    /// Takes walks in until `done`, for `time` at most.
    fn wait(&mut self, time: Duration, done: impl Fn(&Self) -> bool) {
        let limit = sys::clock::now() + u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        while !self.ended && !done(self) {
            let left = limit.saturating_sub(sys::clock::now());
            match self.lines.recv_timeout(Duration::from_nanos(left)) {
                Ok(line) => self.take(line),
                Err(RecvTimeoutError::Timeout) => return,
                Err(RecvTimeoutError::Disconnected) => self.ended = true,
            }
        }
    }

    fn drain(&mut self) {
        loop {
            match self.lines.try_recv() {
                Ok(line) => self.take(line),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => return self.ended = true,
            }
        }
    }

    fn take(&mut self, line: TraceLine) {
        let walk = match line {
            TraceLine::Frame(walk) => walk,
            TraceLine::Lost { count } => return self.tally.missed += count,
            TraceLine::End { .. } => return,
        };
        let Some(echo) = walk.echo else { return };
        let ours = echo.id == self.ident || echo.translated == Some(self.ident);
        let Some(number) = self.number(echo.seq) else { return };
        let Some(probe) = self.probes.get_mut(&number) else { return };
        if !ours && !probe.way.is_known_as(echo.id) {
            return;
        }
        probe.way.take(echo, &walk, &self.names);
        // In a flood the answer may have been here first.
        if let (true, Some((stamp, rtt))) = (probe.way.is_whole() && !self.waits, probe.answer) {
            self.tally.add(&probe.way.parts(&self.sender, stamp, rtt));
            self.probes.remove(&number);
        }
    }

    /// The newest probe that carries this sequence number.
    fn number(&self, seq: u16) -> Option<u64> {
        let behind = self.sent.wrapping_sub(u64::from(seq)) & 0xffff;
        self.sent.checked_sub(behind).filter(|number| *number > 0)
    }
}

impl Below {
    /// The line.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Split(Ok(parts)) => {
                let part = |part: &Part| format!("{} {:.1}", part.place, micros(part.time));
                format!("    {} µs", parts.iter().map(part).collect::<Vec<_>>().join(" > "))
            }
            Self::Split(Err(why)) => format!("    {}", why.text()),
            Self::Fate(fate) => format!("    {}", fate.text),
        }
    }

    /// Puts it into the object of an event.
    pub(super) fn into(&self, object: &mut Value) {
        match self {
            Self::Split(Ok(parts)) => {
                let part = |part: &Part| json!({"where": part.place, "leg": part.leg.as_str(), "us": micros(part.time)});
                object["split"] = parts.iter().map(part).collect();
            }
            Self::Split(Err(why)) => object["not_split"] = why.text().into(),
            Self::Fate(fate) => {
                object["stopped"] = json!({"seen": fate.kind, "reason": fate.text});
            }
        }
    }
}

impl Unsplit {
    fn text(self) -> &'static str {
        match self {
            Self::Unseen => "not split: it was not seen whole at the switch",
            Self::Clock => "not split: the wall clock was stepped",
        }
    }
}
