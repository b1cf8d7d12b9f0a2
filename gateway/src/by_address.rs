//! The way of packets that are translated by address: what is planned, and what then changes.
//!
//! Beside [`crate::course`] and [`crate::paths`], for protocols without ports. Out, a later fragment
//! follows the first of its datagram as everywhere, for all of them get one new identification
//! (RFC 6864); in, each tells by itself whose it is, and waits for none.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use wire::icmp::unreachable;
use wire::{IpProtocol, Timestamp};

use crate::carried;
use crate::course::{Course, Refusal};
use crate::egress::Departure;
use crate::gateway::Gateway;
use crate::nat::by_address::{Plan, Talk};
use crate::node::Node;
use crate::note::{Opening, Translation};
use crate::packet::Endpoint;
use crate::passage::{Arrival, Passage};
use crate::paths::load;
use crate::rewrite::{self, Rewrite};
use crate::verdict::{DropReason, Side};

/// By what, and with whom, a kernel that shares our address speaks itself: with anybody where no remote
/// is named.
pub(crate) type Others = BTreeSet<(IpProtocol, Option<Ipv4Addr>)>;

impl Gateway {
    /// Out to the world, behind the uplink's address.
    #[inline(never)]
    pub(crate) fn plan_out_by_address(
        &self,
        a: &Arrival,
        (own, hop): (Ipv4Addr, Ipv4Addr),
        now: Timestamp,
    ) -> Result<Course, Refusal> {
        let talk = a.packet.by_address().filter(|_| self.nat.by_address.is_on());
        let Some((protocol, inside, remote)) = talk else {
            return Err(Refusal::told(DropReason::Protocol, unreachable::PROTOCOL));
        };
        if self.others.contains(&(protocol, None))
            || self.others.contains(&(protocol, Some(remote)))
        {
            return Err(Refusal::told(DropReason::HostTunnel, unreachable::PROHIBITED));
        }
        let talk = Talk { protocol, inside, remote };
        match self.foresee_by_address((a.side, a.node), talk, now) {
            Ok(_) => Ok(Course::OutByAddress { own, hop }),
            Err(reason) if reason == DropReason::RemoteTaken || reason.is_exhaustion() => {
                Err(Refusal::told(reason, unreachable::PROHIBITED))
            }
            Err(reason) => Err(reason.into()),
        }
    }

    /// How a packet comes by its session; nothing changes.
    pub(crate) fn foresee_by_address(
        &self,
        from: (Side, Node),
        talk: Talk,
        now: Timestamp,
    ) -> Result<Plan, DropReason> {
        let sessions = &self.nat.by_address;
        let plan = match sessions.plan(from.1, talk, now) {
            // What others have left under the address is in nobody's way who has it now.
            Err(DropReason::Foreign) if self.is_at(from, talk.inside) => {
                sessions.plan(Node::NOBODY, talk, now)?
            }
            plan => plan?,
        };
        if let Plan::Open(_) = plan {
            self.may_open(from, talk.inside)?;
        }
        Ok(plan)
    }

    /// In from the world, by a running session.
    #[inline(never)]
    pub(crate) fn plan_back_by_address(
        &self,
        a: &Arrival,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<Course, Refusal> {
        let sessions = &self.nat.by_address;
        let known = a.packet.by_address();
        let known = known.and_then(|(protocol, remote, _)| sessions.session(protocol, remote, now));
        let Some(session) = known else {
            return Err(match self.links.is_shared(Side::Uplink) {
                true => DropReason::NotOurs.into(),
                false => Refusal::told(DropReason::Protocol, unreachable::PROTOCOL),
            });
        };
        let to = self.side_of(sessions.inside(session).1)?;
        self.check_forward(&a.packet, bytes, to)?;
        Ok(Course::BackByAddress { session, to })
    }

    pub(crate) fn out_by_address(
        &mut self,
        p: &mut Passage<'_, '_>,
        (own, hop): (Ipv4Addr, Ipv4Addr),
    ) -> Result<Departure, DropReason> {
        let a = &mut p.arrival;
        let (protocol, inside, remote) = a.packet.by_address().ok_or(DropReason::Protocol)?;
        let talk = Talk { protocol, inside, remote };
        let load = load(p.frame, &a.packet);
        let session = match self.nat.out_by_address(a.node, talk, load, p.now) {
            Err(DropReason::Foreign) => {
                self.take_over((a.side, a.node), inside)?;
                self.nat.out_by_address(a.node, talk, load, p.now)?
            }
            session => session?,
        };
        self.notes.out(|| Some(Translation::by_address(protocol, inside, own, session)));
        rewrite::ends(p.frame.bytes, &mut a.packet, Rewrite::src(Endpoint::new(own, 0)));
        carried::complete(p.frame, &a.packet);
        Ok(Departure::masqueraded(Side::Uplink, hop))
    }

    pub(crate) fn back_by_address(
        &mut self,
        p: &mut Passage<'_, '_>,
        (session, to): (u32, Side),
    ) -> Result<Departure, DropReason> {
        let a = &mut p.arrival;
        let (protocol, _, own) = a.packet.by_address().ok_or(DropReason::Protocol)?;
        let load = load(p.frame, &a.packet);
        let (node, inside) = self.nat.in_by_address(session, load, p.now);
        let how = Opening::Running;
        self.notes.back(|| Some(Translation::by_address(protocol, inside, own, how)));
        rewrite::ends(p.frame.bytes, &mut a.packet, Rewrite::dst(Endpoint::new(inside, 0)));
        Ok(Departure::straight(to, inside).owned(node))
    }

    /// Whom a kernel that shares our address speaks with itself, by protocols without ports: nodes do
    /// not from now on, and what they have opened there ends. No remote stands for any.
    pub fn leave_to_host(&mut self, others: BTreeSet<(IpProtocol, Option<Ipv4Addr>)>) {
        if self.others == others {
            return;
        }
        self.nat.leave_by_address(|protocol, remote| {
            others.contains(&(protocol, None)) || others.contains(&(protocol, Some(remote)))
        });
        self.others = others;
        self.stir();
    }

    /// Sessions of protocols without ports.
    #[must_use]
    pub fn sessions_by_address(&self) -> u32 {
        self.nat.by_address.live()
    }
}
