//! The way of one frame in words: from the facts of its decisions to the steps that `trace` and
//! `explain` tell.
//!
//! Pure. [`Facts`] come from a frame that passed, or from asking the same decisions about one that
//! is imagined; equal facts make equal steps.

use control::api::{Decision, Step, Verdict as End};
use gateway::{Consumed, Note, Route, Verdict};
use switch::{DropReason, Exit, FdbEntry, Handling, Learned, Outcome, PortId, Tagging};
use wire::{Ethernet, MacAddr};

use super::names::{Names, retagged};
use super::why::{unlearned, why};

/// What was decided about a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Where it came in; [`PortId::LOCAL`] for the gateway's own and the switch's.
    pub(crate) ingress: PortId,
    pub(crate) src: MacAddr,
    pub(crate) dst: MacAddr,
    pub(crate) learned: Option<Learned>,
    pub(crate) source: Option<FdbEntry>,
    /// Of the destination; of the new one, where the gateway sent it back.
    pub(crate) target: Option<FdbEntry>,
    pub(crate) outcome: Outcome,
    pub(crate) egress: Vec<Exit>,
    pub(crate) note: Option<Note>,
    /// The destination it left with, where the gateway rewrote it.
    pub(crate) new_dst: Option<MacAddr>,
    /// The address by which the switch has answered an imagined question itself.
    pub(crate) answer: Option<MacAddr>,
}

impl Facts {
    /// The facts of a frame whose addresses stand in `before` and, rewritten, in `after`.
    pub(crate) fn addresses(
        before: &[u8],
        after: Option<&[u8]>,
    ) -> Option<(MacAddr, MacAddr, Option<MacAddr>)> {
        let eth = Ethernet::parse(before)?;
        let new = after.and_then(Ethernet::parse).map(|eth| eth.dst());
        Some((eth.src(), eth.dst(), new))
    }

    /// The end, and why where it was dropped.
    pub(crate) fn verdict(&self) -> (End, Option<&'static str>) {
        let end = self.note.and_then(|note| note.end);
        match self.outcome {
            Outcome::Forwarded(_) => (End::Forwarded, None),
            Outcome::Flooded => (End::Flooded, None),
            Outcome::Members | Outcome::Said => (End::Forwarded, None),
            Outcome::Dropped(DropReason::Station) => (
                End::Dropped,
                Some(match end {
                    Some(Verdict::Drop(reason)) => reason.as_str(),
                    _ => DropReason::Station.name(),
                }),
            ),
            Outcome::Dropped(reason) => (End::Dropped, Some(reason.name())),
            Outcome::Station(handling) | Outcome::Uplink(handling) => match handling {
                Handling::Drop(reason) => (End::Dropped, Some(reason)),
                Handling::Consumed if end == Some(Verdict::Consumed(Consumed::Queued)) => {
                    (End::Waits, None)
                }
                Handling::Consumed => (End::Consumed, None),
                Handling::ToHost(_) if self.egress.is_empty() => (End::Dropped, Some("no-target")),
                Handling::ToHost(_) => (End::Forwarded, None),
                Handling::ToUplink | Handling::ToBridge(_) if self.is_answer() => {
                    (End::Answered, None)
                }
                Handling::ToUplink => (End::Uplink, None),
                Handling::ToBridge(_) if self.egress.is_empty() => {
                    (End::Dropped, Some("no-target"))
                }
                Handling::ToBridge(_) => (End::Forwarded, None),
            },
        }
    }

    /// The exit of a frame that the gateway has rewritten, which has no tag any more.
    pub(crate) fn rewritten(port: PortId) -> Exit {
        Exit { port, tagging: Tagging::Keep }
    }

    /// The ports it leaves by.
    pub(crate) fn ports(&self) -> impl Iterator<Item = PortId> + '_ {
        self.egress.iter().map(|exit| exit.port)
    }

    /// Where it came in, in words.
    pub(crate) fn origin(&self, names: &Names) -> String {
        match self.outcome {
            Outcome::Said => "switch".into(),
            _ => names.port(self.ingress),
        }
    }

    /// Whether the gateway turned it round.
    fn is_answer(&self) -> bool {
        self.note.is_some_and(|note| {
            matches!(note.route, Some((_, Route::Own(_)))) && note.back.is_none()
        })
    }

    /// The end and what led to it in one line: what a capture says of a frame.
    pub(crate) fn comment(&self, names: &Names) -> String {
        use Decision as D;
        const TELLING: [D; 9] =
            [D::Hit, D::Miss, D::Flood, D::Members, D::Nat, D::Drop, D::Moved, D::Queued, D::Asks];
        let (verdict, _) = self.verdict();
        let to = match self.egress.as_slice() {
            [] => String::new(),
            egress => format!(" to {}", names.list(egress)),
        };
        let telling = self.steps(names).into_iter();
        let telling = telling.filter(|step| TELLING.contains(&step.decision));
        let why: Vec<_> = telling.map(|step| format!("{}: {}", step.at, step.text)).collect();
        let colon = if why.is_empty() { "" } else { "; " };
        format!("{verdict}{to}{colon}{}", why.join("; "))
    }

    /// The decisions in their order.
    pub(crate) fn steps(&self, names: &Names) -> Vec<Step> {
        let mut steps = Steps { names, list: Vec::new() };
        steps.came(self);
        steps.learned(self);
        match self.outcome {
            Outcome::Forwarded(to) if Some(to) == names.uplink => {}
            Outcome::Forwarded(to) => steps.hit(self.dst, to, self.target),
            Outcome::Members => {
                steps.members(self.dst, &self.egress);
                steps.copy(self);
            }
            Outcome::Flooded => {
                steps.flood(self.dst, &self.egress);
                steps.copy(self);
            }
            Outcome::Station(handling) => {
                let text =
                    format!("{} is the gateway's own address: for the gateway alone", self.dst);
                steps.add("table", Decision::Local, text);
                steps.gateway(self, handling);
            }
            Outcome::Uplink(handling) => steps.gateway(self, handling),
            Outcome::Said => {}
            Outcome::Dropped(reason) => steps.dropped(self, reason),
        }
        steps.left(self);
        steps.list
    }
}

struct Steps<'a> {
    names: &'a Names,
    list: Vec<Step>,
}

impl Steps<'_> {
    fn add(&mut self, at: impl Into<String>, decision: Decision, text: impl Into<String>) {
        let (at, text) = (at.into(), text.into());
        self.list.push(Step { at, decision, text, age: None });
    }

    fn came(&mut self, facts: &Facts) {
        if facts.ingress == PortId::LOCAL {
            let whose = if facts.outcome == Outcome::Said { "switch" } else { "gateway" };
            return self.add(whose, Decision::Speaks, "it says this of its own");
        }
        let port = format!("port {}", self.names.port(facts.ingress));
        let text = match (self.names.neighbour(facts.ingress), self.names.far.get(&facts.ingress)) {
            (Some(node), _) => format!("takes it from {node}"),
            (None, Some(far)) => match far.host_of(facts.src) {
                Some(host) => format!("takes it from {host}"),
                None => format!("takes it from another host, VNI {}", far.vni),
            },
            (None, None) => "takes it from outside".into(),
        };
        self.add(port, Decision::Came, text);
    }

    /// What the table made of the source.
    fn learned(&mut self, facts: &Facts) {
        let early = match facts.outcome {
            Outcome::Dropped(DropReason::Locked) => {
                matches!(facts.learned, Some(Learned::Off | Learned::Known))
            }
            Outcome::Dropped(reason) => unlearned(reason),
            _ => false,
        };
        let Some(learned) = facts.learned.filter(|_| !early) else { return };
        let (mac, here) = (facts.src, self.names.at(facts.ingress, facts.src));
        let (decision, text) = match learned {
            Learned::New => {
                (Decision::Learned, format!("{mac} is new: from now on it is at {here}"))
            }
            Learned::Known => {
                (Decision::Refreshed, format!("{mac} is known at {here}: its age starts anew"))
            }
            Learned::Moved(from) => (
                Decision::Moved,
                format!("{mac} was at {} and is at {here} now", self.names.whole(from)),
            ),
            Learned::Full => (
                Decision::Full,
                format!("{mac} is not learned: {here} has all the addresses it may have"),
            ),
            Learned::Sticky => {
                (Decision::Refused, format!("{mac} stays at another port, where it is sticky"))
            }
            Learned::Locked => (
                Decision::Locked,
                format!("{mac} is noted at {here}, locked: let in once it is set by hand"),
            ),
            Learned::Off => (Decision::Off, format!("{mac} is not learned: {here} does not learn")),
        };
        self.add("table", decision, text);
        if let Some(last) = self.list.last_mut().filter(|_| learned == Learned::Known) {
            last.age = facts.source.map(|entry| entry.idle.as_secs());
        }
    }

    fn hit(&mut self, dst: MacAddr, to: PortId, target: Option<FdbEntry>) {
        let set = target.is_some_and(|entry| !entry.kind.is_learned());
        let how = match self.names.far.get(&to) {
            Some(far) if set && far.nodes.contains_key(&dst) => ", as the other hosts say",
            _ if set => ", set by hand",
            _ => "",
        };
        self.add("table", Decision::Hit, format!("{dst} is at {}{how}", self.names.at(to, dst)));
        if let Some(last) = self.list.last_mut().filter(|_| !set) {
            last.age = target.map(|entry| entry.idle.as_secs());
        }
    }

    fn flood(&mut self, dst: MacAddr, egress: &[Exit]) {
        let to = self.names.list(egress);
        if dst.is_broadcast() {
            self.add(
                "table",
                Decision::Flood,
                format!("a broadcast goes to every other port: {to}"),
            );
        } else if dst.is_group() {
            self.add(
                "table",
                Decision::Flood,
                format!("{dst} is a group: to every other port: {to}"),
            );
        } else {
            self.add(
                "table",
                Decision::Miss,
                format!("{dst} is not known: to every other port: {to}"),
            );
        }
    }

    fn members(&mut self, dst: MacAddr, egress: &[Exit]) {
        let to = self.names.list(egress);
        let text = format!("{dst} is a group: sent to the group's members and to routers: {to}");
        self.add("table", Decision::Members, text);
    }

    /// A flooded frame that the gateway has seen a copy of.
    fn copy(&mut self, facts: &Facts) {
        if let Some(Verdict::Consumed(Consumed::Arp)) = facts.note.and_then(|note| note.end) {
            self.add(
                "gateway",
                Decision::Arp,
                "sees a copy: notes who asks, and answers if it is asked",
            );
        }
    }

    fn gateway(&mut self, facts: &Facts, handling: Handling) {
        let Some(note) = facts.note else { return };
        for (decision, text) in note.steps(|side| self.names.side(side)) {
            self.add("gateway", about(decision), text);
        }
        match note.end {
            Some(Verdict::Consumed(consumed)) => {
                let (decision, text) = match consumed {
                    Consumed::Arp => (Decision::Arp, "notes who asks, and answers if it is asked"),
                    Consumed::Queued => {
                        (Decision::Queued, "the packet waits for the answer, and then goes on")
                    }
                    Consumed::Held => {
                        (Decision::Held, "the fragment waits for the first of its datagram")
                    }
                    Consumed::Dns => {
                        let takes = "to port 53 of the gateway: the lab's resolver takes it";
                        (Decision::Asks, note.asked.map_or(takes, gateway::Asked::describe))
                    }
                    Consumed::Fragmented => (
                        Decision::Fragmented,
                        "too large for the next link: it goes on in fragments",
                    ),
                };
                self.add("gateway", decision, text);
            }
            Some(Verdict::Drop(reason)) => {
                let text = format!("{reason}:{}", reason.describe());
                self.add("gateway", Decision::Drop, text);
            }
            Some(Verdict::Host(_)) => {
                let text = "an address of the host, which takes the frame as it is";
                self.add("gateway", Decision::Local, text);
            }
            Some(Verdict::Leg(_) | Verdict::Uplink) if facts.is_answer() => {
                self.add(
                    "gateway",
                    Decision::Answers,
                    "an echo request to itself: turned round in place",
                );
            }
            Some(Verdict::Leg(_) | Verdict::Uplink) => {
                self.add("gateway", Decision::Forwards, "one hop less to live; checksums follow");
            }
            None => {}
        }
        if matches!(handling, Handling::ToBridge(_)) {
            let dst = facts.new_dst.unwrap_or(facts.dst);
            match (facts.egress.as_slice(), facts.target) {
                ([to], Some(_)) => self.hit(dst, to.port, facts.target),
                ([], _) => self.add("table", Decision::Drop, format!("{dst} cannot be reached")),
                (egress, _) => self.flood(dst, egress),
            }
        }
    }

    fn dropped(&mut self, facts: &Facts, reason: DropReason) {
        if reason == DropReason::Station {
            if Some(facts.ingress) != self.names.uplink {
                let text =
                    format!("{} is the gateway's own address: for the gateway alone", facts.dst);
                self.add("table", Decision::Local, text);
            }
            return self.gateway(facts, Handling::Drop(""));
        }
        let at = facts.target.map(|entry| self.names.whole(entry.port));
        if let (Some(at), false) = (at, unlearned(reason) || facts.dst.is_group()) {
            self.add("table", Decision::Hit, format!("{} is at {at}", facts.dst));
        }
        self.add("table", Decision::Drop, format!("{}: {}", reason.name(), why(reason)));
    }

    fn left(&mut self, facts: &Facts) {
        for Exit { port: id, tagging } in &facts.egress {
            let far = self.names.far.get(id);
            let tag = retagged(*tagging);
            // Of several ports those alone are told that lead to several hosts.
            if facts.egress.len() > 1 && far.is_none() {
                continue;
            }
            let text = match (self.names.neighbour(*id), far) {
                (Some(node), _) => format!("sends it to {node}{tag}"),
                (None, Some(far)) => match far.host_of(facts.new_dst.unwrap_or(facts.dst)) {
                    Some(host) => format!("sends it to {host}{tag}"),
                    None => format!("sends it to all other hosts: {}", far.all()),
                },
                (None, None) => "sends it out into the world".into(),
            };
            self.add(format!("port {}", self.names.port(*id)), Decision::Sent, text);
        }
    }
}

/// The gateway's word for a decision in the door's.
fn about(step: gateway::Step) -> Decision {
    match step {
        gateway::Step::Route => Decision::Route,
        gateway::Step::Nat => Decision::Nat,
        gateway::Step::Neighbour => Decision::Neighbour,
    }
}
