//! What the book knows of one flow.

use bpf::{FlowId, Key, Retag, Totals};
use wire::{Timestamp, VlanId};

use super::super::flow::Routed;
use super::flood::Flood;
use super::rest::Turn;
use crate::core::{Concern, Leg, PortId, Scope};
use crate::station::{Ignored, Way};

/// One flow, while it holds or its place rests.
pub(super) struct Row {
    pub(super) key: Key,
    pub(super) ports: [PortId; 2],
    pub(super) retag: Retag,
    pub(super) scope: Option<Scope>,
    pub(super) vlans: [Option<VlanId>; 2],
    pub(super) legs: [Option<(Leg, VlanId)>; 2],
    pub(super) routed: Option<Routed>,
    pub(super) ignored: Option<Ignored>,
    /// Whose answer went before any of its frames, as long as it has none.
    pub(super) awaits: Option<FlowId>,
    /// Where it leaves by several ports.
    pub(super) flood: Option<Flood>,
    /// Not yet told to the station.
    pub(super) owed: Totals,
    pub(super) since: Timestamp,
    /// What had been done at its place before it, and what of its own has been counted.
    pub(super) base: Totals,
    pub(super) counted: Totals,
    pub(super) used: Timestamp,
    /// When its connection ended in this direction, not yet told to the station; whether it was.
    pub(super) ended: Option<Timestamp>,
    pub(super) told_end: bool,
    /// The answer was sent on by it, not yet told to the station; whether it was.
    pub(super) answered: bool,
    pub(super) told_answer: bool,
    pub(super) left: Option<Turn>,
}

impl Row {
    /// What the station counts its frames for.
    pub(super) fn way(&self) -> Option<Way> {
        let ignored = self.ignored.map(|ignored| ignored.way);
        self.routed.map(|routed| routed.way).or(ignored)
    }

    /// Whether its frames come in or leave by a port.
    pub(super) fn has(&self, id: PortId) -> bool {
        let flooded = self.flood.as_ref().is_some_and(|flood| flood.ports.contains(&id));
        self.ports.contains(&id) || flooded
    }

    /// Whether a change is about its frames.
    pub(super) fn is_about(&self, concern: Concern) -> bool {
        match concern {
            Concern::All => true,
            Concern::Port(id) => self.has(id),
            Concern::Address(mac) => {
                let next = self.routed.map(|routed| routed.route.next);
                [Some(self.key.src), Some(self.key.dst), next].contains(&Some(mac))
            }
        }
    }

    /// Whether the station has something to be told of it.
    pub(super) fn owes(&self) -> bool {
        self.owed != Totals::default() || self.ended.is_some() || self.answered
    }

    /// Whether an answer goes first, by it.
    pub(super) fn answers(&self) -> bool {
        self.routed.is_some_and(|routed| routed.route.answers)
    }

    /// Whether no session of the station's says when it is over.
    pub(super) fn is_of_no_session(&self) -> bool {
        self.routed.is_none_or(|routed| routed.way.session.is_none())
    }
}
