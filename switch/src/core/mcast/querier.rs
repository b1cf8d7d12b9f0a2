//! Who asks a network which groups it wants: us, another switch or router, or nobody.
//!
//! Pure: the election of RFC 2236 7 and RFC 2710 5, with the delays of the kernel's bridge. While
//! nobody asks, nobody reports, so nothing is kept from anybody; after somebody begins to ask, hosts
//! are given the time to answer first.

use std::net::IpAddr;

use wire::{MacAddr, Timestamp};

use super::build::link_local;
use super::config::McastConfig;
use super::message::{Family, Query};
use crate::core::port::PortId;

/// The querier of one address family.
#[derive(Clone, Debug)]
pub(super) struct Querier {
    /// The one we have heard: its address, by which port, until when it is believed.
    other: Option<(IpAddr, PortId, Timestamp)>,
    /// Until then hosts may still be answering for the first time.
    delay: Timestamp,
    /// General queries sent since the start.
    sent: u8,
    /// When the next one is due; None until it is known when the start was.
    next: Option<Timestamp>,
}

impl Querier {
    /// One that begins with the next tick.
    pub(super) fn new() -> Self {
        Self { other: None, delay: Timestamp::ZERO, sent: 0, next: None }
    }

    /// Begins anew, as when it is switched on.
    pub(super) fn restart(&mut self) {
        (self.sent, self.next) = (0, None);
    }

    /// Asks everybody again, as at the start, with the next tick.
    pub(super) fn hurry(&mut self) {
        (self.sent, self.next) = (0, self.next.map(|_| Timestamp::ZERO));
    }

    /// The other one, if it is believed.
    pub(super) fn other(&self, now: Timestamp) -> Option<(IpAddr, PortId, Timestamp)> {
        self.other.filter(|(.., until)| *until > now)
    }

    /// Whether somebody asks, and has been asking for long enough.
    pub(super) fn exists(&self, config: &McastConfig, now: Timestamp) -> bool {
        let own = config.querier && self.next.is_some();
        self.delay <= now && (own || self.other(now).is_some())
    }

    /// Whether it is us.
    pub(super) fn is_own(&self, config: &McastConfig, now: Timestamp) -> bool {
        config.querier && self.other(now).is_none()
    }

    /// A general query of somebody else; true where it is the querier now.
    pub(super) fn heard(
        &mut self,
        query: &Query,
        port: PortId,
        (config, own): (&McastConfig, MacAddr),
        now: Timestamp,
    ) -> bool {
        let lower = |than: IpAddr| query.from <= than;
        let wins = match (self.other(now), Family::of(query.from)) {
            (Some((address, ..)), _) => lower(address) || address.is_unspecified(),
            // We ask from 0.0.0.0, over which everybody wins.
            (None, Family::V4) => true,
            (None, Family::V6) => !config.querier || lower(link_local(own).into()),
        };
        if !wins {
            return false;
        }
        if self.other(now).is_none() {
            self.delay = now + query.max_delay;
        }
        self.other = Some((query.from, port, now + config.querier_interval));
        true
    }

    /// Forgets the other one with the port it was heard by.
    pub(super) fn forget(&mut self, port: PortId) {
        self.other = self.other.filter(|(_, by, _)| *by != port);
    }

    /// Whether a general query of ours is due.
    pub(super) fn tick(&mut self, config: &McastConfig, now: Timestamp) -> bool {
        if !config.querier {
            self.next = None;
            return false;
        }
        let is_silent = self.other.is_some_and(|(.., until)| until <= now);
        if is_silent {
            self.other = None;
        }
        let begins = self.next.is_none();
        if begins && self.other(now).is_none() {
            self.delay = now + config.query_response_interval;
        }
        let due = begins || is_silent || self.next.is_some_and(|next| next <= now);
        if !due {
            return false;
        }
        self.sent = self.sent.saturating_add(1);
        let starting = self.sent < config.startup_query_count;
        let pause = if starting { config.startup_query_interval } else { config.query_interval };
        self.next = Some(now + pause);
        self.other(now).is_none()
    }

    /// When it has something to do.
    pub(super) fn next(&self, config: &McastConfig) -> Option<Timestamp> {
        self.next.filter(|_| config.querier)
    }
}
