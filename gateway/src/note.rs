//! What the gateway decided on a packet's way: the facts behind a verdict, for those who ask why.
//!
//! Taken down for real packets while [`crate::Gateway::take_notes`] is on (off, it costs a test of
//! a flag at each decision), and by `preview` for imagined ones. The same words describe both, so
//! what is foretold can be compared with what then happens.

use std::net::Ipv4Addr;

use wire::{IpProtocol, MacAddr};

use crate::asking::Asked;
use crate::nat::plan::{PlanIn, PlanOut, Use};
use crate::packet::{Endpoint, Protocol};
use crate::route::Route;
use crate::verdict::{Side, Verdict};

/// The decisions about one packet; None where it did not come to one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// The destination it was routed by, and where that led.
    pub route: Option<(Ipv4Addr, Route)>,
    /// How its source was translated.
    pub out: Option<Translation>,
    /// How its destination was translated.
    pub back: Option<Translation>,
    /// The next hop, and what is known of it.
    pub hop: Option<(Ipv4Addr, Hop)>,
    /// What the resolver of names has made of it.
    pub asked: Option<Asked>,
    /// The end of it.
    pub end: Option<Verdict>,
}

/// An inside endpoint and what it is outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// By what. Ports are 0 where it has none.
    pub protocol: IpProtocol,
    /// As its host knows it.
    pub inside: Endpoint,
    /// As the world knows it.
    pub outside: Endpoint,
    /// By what right.
    pub session: Opening,
}

/// How a packet comes by its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// There is one.
    Running,
    /// A new one, on the mapping its inside endpoint has.
    OnMapping,
    /// A new one with a new mapping.
    NewMapping,
    /// A new one with a port of its own.
    OwnPort,
    /// A new one of a protocol without ports.
    ByAddress,
    /// A new one from outside, which the filter admits.
    Admitted,
    /// An ICMP error about a packet of one that is there.
    Error,
}

/// What is known of a next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// Its hardware address.
    Known(MacAddr),
    /// Nothing yet: it is asked for, and the packet waits.
    Asked,
    /// It was asked for in vain, or there is no room to ask.
    Silent,
}

impl Translation {
    pub(crate) fn by_address(
        protocol: IpProtocol,
        inside: Ipv4Addr,
        outside: Ipv4Addr,
        session: Opening,
    ) -> Self {
        let [inside, outside] = [inside, outside].map(|address| Endpoint::new(address, 0));
        Self { protocol, inside, outside, session }
    }

    /// Inside and outside as they are printed, and by what right.
    fn words(&self) -> (String, String, &'static str) {
        let end = |end: Endpoint| match Protocol::of(self.protocol) {
            Some(_) => end.to_string(),
            None => end.address.to_string(),
        };
        (end(self.inside), end(self.outside), self.session.as_str())
    }
}

impl Opening {
    /// What is printed for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "a running session",
            Self::OnMapping => "a new session on the endpoint's mapping",
            Self::NewMapping => "a new session and mapping",
            Self::ByAddress => "a new session by address",
            Self::OwnPort => "a new session with a port of its own",
            Self::Admitted => "a new session, which the filter admits",
            Self::Error => "an error about a packet of a running session",
        }
    }
}

impl From<PlanOut> for Opening {
    fn from(plan: PlanOut) -> Self {
        match plan {
            PlanOut::Known(_) => Self::Running,
            PlanOut::Open { mapping: Use::Existing, .. } => Self::OnMapping,
            PlanOut::Open { mapping: Use::New, .. } => Self::NewMapping,
            PlanOut::Open { mapping: Use::Own, .. } => Self::OwnPort,
        }
    }
}

impl From<PlanIn> for Opening {
    fn from(plan: PlanIn) -> Self {
        match plan {
            PlanIn::Known(_) => Self::Running,
            PlanIn::Open { .. } => Self::Admitted,
        }
    }
}

/// What a decision is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// By whom a packet goes on.
    Route,
    /// Its translation.
    Nat,
    /// The next hop's hardware address.
    Neighbour,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Route => "route",
            Self::Nat => "nat",
            Self::Neighbour => "neighbour",
        })
    }
}

impl Note {
    /// The decisions in their order: what each is about, and a sentence. The end is not among them.
    /// Sides are named as `called` has it: [`Side`]'s own words know no network's name.
    #[must_use]
    pub fn steps(&self, called: impl Fn(Side) -> String) -> Vec<(Step, String)> {
        let mut steps = Vec::new();
        if let Some((to, route)) = self.route {
            steps.push((Step::Route, format!("{to} is {}", describe(to, route, called))));
        }
        if let Some(translation) = self.out {
            let (protocol, (inside, outside, how)) = (translation.protocol, translation.words());
            steps.push((Step::Nat, format!("{protocol} {inside} appears as {outside}: {how}")));
        }
        if let Some(translation) = self.back {
            let (protocol, (inside, outside, how)) = (translation.protocol, translation.words());
            steps.push((Step::Nat, format!("{protocol} {outside} leads to {inside}: {how}")));
        }
        if let Some((hop, known)) = self.hop {
            steps.push((
                Step::Neighbour,
                match known {
                    Hop::Known(mac) => format!("{hop} is at {mac}"),
                    Hop::Asked => format!("{hop} is not known: it is asked for by ARP"),
                    Hop::Silent => format!("{hop} was asked for by ARP in vain"),
                },
            ));
        }
        steps
    }
}

fn describe(to: Ipv4Addr, route: Route, called: impl Fn(Side) -> String) -> String {
    match route {
        Route::Own(side) => format!("the gateway's own address on the {} side", called(side)),
        Route::Via(side, hop) if hop == to => format!("itself on the {} side", called(side)),
        Route::Via(side, hop) => format!("reached through {hop} on the {} side", called(side)),
        Route::Multicast => "multicast or broadcast, which is not routed".to_owned(),
        Route::Loopback => "a loopback address, which no link has".to_owned(),
        Route::None => "nowhere: no route".to_owned(),
    }
}

/// Takes notes while that is wanted.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    on: bool,
    note: Note,
}

impl Notes {
    pub(crate) fn set(&mut self, on: bool) {
        *self = Self { on, note: Note::default() };
    }

    pub(crate) fn get(&self) -> Option<&Note> {
        self.on.then_some(&self.note)
    }

    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    /// A new packet.
    #[inline]
    pub(crate) fn begin(&mut self) {
        if self.on {
            self.note = Note::default();
        }
    }

    #[inline]
    pub(crate) fn route(&mut self, route: Option<(Ipv4Addr, Route)>) {
        if self.on {
            self.note.route = route;
        }
    }

    #[inline]
    pub(crate) fn out(&mut self, translation: impl FnOnce() -> Option<Translation>) {
        if self.on {
            self.note.out = translation();
        }
    }

    #[inline]
    pub(crate) fn back(&mut self, translation: impl FnOnce() -> Option<Translation>) {
        if self.on {
            self.note.back = translation();
        }
    }

    #[inline]
    pub(crate) fn hop(&mut self, hop: Ipv4Addr, known: Hop) {
        if self.on {
            self.note.hop = Some((hop, known));
        }
    }

    #[inline]
    pub(crate) fn asked(&mut self, asked: Asked) {
        if self.on {
            self.note.asked = Some(asked);
        }
    }

    #[inline]
    pub(crate) fn end(&mut self, verdict: Verdict) {
        if self.on {
            self.note.end = Some(verdict);
        }
    }
}
