//! One probe's way through the switch, there and back, as its frames' walks tell it: where the
//! round trip's time went, or where the probe was lost.
//!
//! Pure. All moments are nanoseconds of the wall clock, by which the kernel stamps frames in the
//! switch's ring as well as the answer at the pinger.

use std::time::Duration;

use control::api::{Decision, Echo, Step, Verdict, Walk};

use super::names::Names;

/// Two stamps of one clock that seem to be out of order by more than this are not of one clock.
const BLUR: u64 = 200_000;

/// How far a probe has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Way {
    there: Option<Pass>,
    back: Option<Pass>,
    /// The identifier beyond the NAT.
    outside: Option<u16>,
}

/// One frame's stay at the switch; longer than one walk where it waits for a neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pass {
    came: u64,
    left: u64,
    gateway: bool,
    /// Who sent it.
    from: String,
    end: End,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// Handed to the kernel for these; all the others, where the table did not know which.
    Sent {
        to: Vec<String>,
        flooded: bool,
    },
    /// Turned round by the gateway.
    Answered,
    /// The gateway keeps it for now.
    Waits(String),
    Dropped {
        at: &'static str,
        why: String,
    },
}

/// A stretch of the round trip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// `net1`, `switch`, `switch+gateway`.
    pub(super) place: String,
    pub(super) leg: Leg,
    pub(super) time: Duration,
}

/// Which part of the way it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leg {
    There,
    /// Where the probe is answered.
    Turn,
    Back,
}

impl Leg {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::There => "there",
            Self::Turn => "turn",
            Self::Back => "back",
        }
    }
}

/// Why a round trip cannot be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsplit {
    /// A frame of it was not seen at the switch.
    Unseen,
    /// The wall clock was stepped, or the kernel made no stamp.
    Clock,
}

/// What the sender's own stack said of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsent {
    /// It asks who has the neighbour's address, and keeps it meanwhile.
    Asking,
    /// It found no neighbour to send it to.
    NoNeighbour,
    /// It would not take it.
    Refused,
}

/// Where a probe was seen last and why it went no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    /// A word, for machines.
    pub(super) kind: &'static str,
    /// For people.
    pub(super) text: String,
}

impl Way {
    /// Takes a walk in. Of each direction the first frame counts: others are of a second answer.
    pub(super) fn take(&mut self, echo: Echo, walk: &Walk, names: &Names) {
        let pass = Pass::of(walk, names);
        if !echo.reply {
            self.outside = echo.translated.or(self.outside);
        }
        match if echo.reply { &mut self.back } else { &mut self.there } {
            none @ None => *none = Some(pass),
            Some(known) if matches!(known.end, End::Waits(_)) => {
                (known.left, known.end) = (pass.left, pass.end);
            }
            Some(_) => {}
        }
    }

    /// Whether all of an answered probe's way is known.
    pub(super) fn is_whole(&self) -> bool {
        let ended = |pass: &Option<Pass>, end: fn(&End) -> bool| {
            pass.as_ref().is_some_and(|pass| end(&pass.end))
        };
        ended(&self.there, |end| matches!(end, End::Answered))
            || ended(&self.there, |end| matches!(end, End::Sent { .. }))
                && ended(&self.back, |end| matches!(end, End::Sent { .. }))
    }

    /// Whether the switch has seen the probe.
    pub(super) fn is_seen(&self) -> bool {
        self.there.is_some()
    }

    /// Whether a frame with this identifier, which is not the pinger's, is of it all the same.
    pub(super) fn is_known_as(&self, id: u16) -> bool {
        self.outside == Some(id)
    }

    /// The parts of a round trip of `rtt` that ended at `received`: they come to exactly `rtt`.
    pub(super) fn parts(
        &self,
        sender: &str,
        received: Option<u64>,
        rtt: Duration,
    ) -> Result<Vec<Part>, Unsplit> {
        if !self.is_whole() {
            return Err(Unsplit::Unseen);
        }
        let received = received.ok_or(Unsplit::Clock)?;
        let sent = u64::try_from(rtt.as_nanos()).ok().and_then(|rtt| received.checked_sub(rtt));
        let mut last = sent.ok_or(Unsplit::Clock)?;
        let mut parts = Vec::with_capacity(5);
        let mut until = |place: &str, leg, moment: u64| {
            if moment + BLUR < last || moment > received + BLUR {
                return Err(Unsplit::Clock);
            }
            // The two clocks are compared to some tens of nanoseconds only.
            let moment = moment.clamp(last, received);
            let time = Duration::from_nanos(moment - std::mem::replace(&mut last, moment));
            parts.push(Part { place: place.to_owned(), leg, time });
            Ok(())
        };
        let Some(there) = &self.there else { return Err(Unsplit::Unseen) };
        until(sender, Leg::There, there.came)?;
        match &self.back {
            None => until(there.place(), Leg::Turn, there.left)?,
            Some(back) => {
                until(there.place(), Leg::There, there.left)?;
                // Who answered stands in the answer: the probe may have gone to many.
                until(&back.from, Leg::Turn, back.came)?;
                until(back.place(), Leg::Back, back.left)?;
            }
        }
        until(sender, Leg::Back, received)?;
        Ok(parts)
    }

    /// Where it stopped. `meant` is the node it was for.
    pub(super) fn fate(&self, sender: &str, meant: Option<&str>, unsent: Option<Unsent>) -> Fate {
        let (kind, text) = match (&self.there, &self.back) {
            (None, _) => {
                let why = match unsent {
                    None => "did not send it",
                    Some(Unsent::Asking) => "still asks for its neighbour by ARP",
                    Some(Unsent::NoNeighbour) => "asked for its neighbour by ARP in vain",
                    Some(Unsent::Refused) => "refused to send it",
                };
                ("unseen", format!("never came to the switch: {sender} {why}"))
            }
            (Some(there), None) => match &there.end {
                End::Sent { to, flooded } => ("unanswered", unanswered(to, *flooded, meant)),
                End::Answered => {
                    ("undelivered", format!("answered by the gateway, but not heard by {sender}"))
                }
                End::Waits(why) => ("waits", format!("kept by the gateway: {why}")),
                End::Dropped { at, why } => ("dropped", format!("dropped by the {at}: {why}")),
            },
            (Some(_), Some(back)) => {
                let who = &back.from;
                match &back.end {
                    End::Sent { .. } | End::Answered => (
                        "undelivered",
                        format!(
                            "answered by {who}; the answer was handed to {sender}, and not heard"
                        ),
                    ),
                    End::Waits(why) => (
                        "answer_waits",
                        format!("answered by {who}; the answer is kept by the gateway: {why}"),
                    ),
                    End::Dropped { at, why } => (
                        "answer_dropped",
                        format!("answered by {who}; the answer was dropped by the {at}: {why}"),
                    ),
                }
            }
        };
        Fate { kind, text }
    }
}

impl Pass {
    fn of(walk: &Walk, names: &Names) -> Self {
        let spent = walk.spent.unwrap_or_default();
        let by_gateway = walk.steps.iter().any(|step| step.at == "gateway");
        let last = |decision: Decision| walk.steps.iter().rfind(|step| step.decision == decision);
        let text =
            |step: Option<&Step>| step.map(|step| step.text.trim_end_matches('.').to_owned());
        let reason = || walk.reason.clone().unwrap_or_else(|| walk.verdict.to_string());
        let end = match walk.verdict {
            Verdict::Forwarded | Verdict::Flooded | Verdict::Uplink => {
                let to = walk.to.iter().map(|port| names.behind(port).to_owned()).collect();
                End::Sent { to, flooded: walk.verdict == Verdict::Flooded }
            }
            Verdict::Answered => End::Answered,
            Verdict::Waits | Verdict::Consumed => {
                let why = text(walk.steps.iter().rfind(|step| step.at == "gateway"));
                let hop = text(last(Decision::Neighbour));
                End::Waits([hop, why].into_iter().flatten().collect::<Vec<_>>().join("; "))
            }
            Verdict::Dropped | Verdict::Local => {
                let step = last(Decision::Drop);
                let at = match step {
                    Some(step) if step.at == "gateway" => "gateway",
                    _ => "switch",
                };
                let why = text(step).unwrap_or_else(reason);
                // Where the table would have sent it says which port is meant.
                let hit = text(last(Decision::Hit)).filter(|_| at == "switch");
                End::Dropped { at, why: hit.map_or(why.clone(), |hit| format!("{hit}; {why}")) }
            }
        };
        Self {
            came: walk.time,
            left: walk.time + spent.ring + spent.switch,
            gateway: by_gateway,
            from: names.behind(&walk.port).to_owned(),
            end,
        }
    }

    fn place(&self) -> &'static str {
        if self.gateway { "switch+gateway" } else { "switch" }
    }
}

fn unanswered(to: &[String], flooded: bool, meant: Option<&str>) -> String {
    let how = if flooded { "not known by the table and flooded" } else { "handed" };
    let missing = meant.filter(|meant| flooded && !to.iter().any(|name| name == meant));
    let missing = missing.map_or_else(String::new, |meant| format!(", but not to {meant}"));
    format!("{how} to {}{missing}, and no reply came back", list(to))
}

fn list(names: &[String]) -> String {
    match names {
        [] => "nobody".into(),
        [all @ .., last] if !all.is_empty() => format!("{} and {last}", all.join(", ")),
        [one, ..] => one.clone(),
    }
}
