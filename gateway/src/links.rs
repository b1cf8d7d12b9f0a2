//! The gateway's links: every leg and the uplink, each with its hardware address, its neighbours and
//! its rate of errors, and the routes over them.
//!
//! What is said on a link (ARP, ICMP errors, packets on their last step) is said here and in `arp`,
//! `report` and `egress`; nothing here knows of the NAT. A leg that was removed leaves an empty place,
//! which nothing leads to. A full table or queue refuses what is new and counts it.

use std::net::{IpAddr, Ipv4Addr};

use wire::{MacAddr, VnetHeader};

use crate::config::{Config, Limits, Routing, UplinkAddress};
use crate::counters::Counters;
use crate::leg::{LegConfig, LegCounters, LegError, LegId, LegView};
use crate::limit::Limiter;
use crate::neighbour::Neighbours;
use crate::node::Node;
use crate::output::Output;
use crate::redirect::Redirects;
use crate::route::Routes;
use crate::verdict::{DropReason, Side, Verdict};

/// IPv4's least MTU (RFC 791).
const LEAST_MTU: u16 = 68;
/// Legs that have a whole table of neighbours, and a whole queue, each.
const WHOLE_TABLES: usize = 8;
const WHOLE_QUEUES: usize = 16;

/// One link.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) mac: MacAddr,
    pub(crate) mtu: usize,
    pub(crate) neighbours: Neighbours,
    pub(crate) limiter: Limiter,
    /// What a leg was told; None for the uplink, and once it was removed.
    leg: Option<LegConfig>,
    /// Legs that packets are exchanged with, itself among them: a bit each.
    reached: [u64; LegId::MAX / 64],
    internal: bool,
    /// Its hosts do not reach each other.
    isolated: bool,
    /// A kernel has the leg's addresses too.
    pub(crate) hosted: bool,
    /// The resolver has them before that kernel.
    pub(crate) asked: bool,
    pub(crate) counters: LegCounters,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Links {
    uplink: Link,
    /// By number.
    legs: Vec<Link>,
    pub(crate) routes: Routes,
    /// A kernel has the uplink's address too.
    shared: bool,
    pub(crate) routing: Routing,
    pub(crate) redirects: Redirects,
    /// Addresses of the kernel beside us, in order.
    pub(crate) hosts: Vec<IpAddr>,
    pub(crate) counters: Counters,
    /// A neighbour is another than it was, or gone.
    pub(crate) stirred: bool,
    /// Where additional frames are put together.
    pub(crate) scratch: Vec<u8>,
    pub(crate) segment: Vec<u8>,
    limits: Limits,
    seed: u64,
}

impl Link {
    fn new(limits: Limits, seed: u64, place: u64) -> Self {
        let (size, queue) = (limits.neighbours, limits.neighbour_queue_bytes);
        Self {
            mac: MacAddr::ZERO,
            mtu: usize::from(u16::MAX),
            neighbours: Neighbours::new(size, queue, seed, 100 * (place + 1)),
            limiter: Limiter::new(seed.wrapping_add(place)),
            leg: None,
            reached: [0; LegId::MAX / 64],
            internal: false,
            isolated: false,
            hosted: false,
            asked: false,
            counters: LegCounters::default(),
        }
    }
}

impl Links {
    pub(crate) fn new(config: &Config, seed: u64) -> Self {
        let uplink = config.uplink.as_ref();
        let mut outside = Link::new(config.limits, seed, 0);
        if let Some(uplink) = uplink {
            (outside.mac, outside.mtu) = (uplink.mac, usize::from(uplink.mtu));
        }
        Self {
            uplink: outside,
            legs: Vec::new(),
            routes: Routes::new(uplink.and_then(|uplink| uplink.address)),
            shared: uplink.is_some_and(|uplink| uplink.shared),
            routing: Routing::default(),
            redirects: Redirects::new(seed),
            hosts: Vec::new(),
            counters: Counters::default(),
            stirred: false,
            scratch: Vec::with_capacity(2048),
            segment: Vec::with_capacity(2048),
            limits: config.limits,
            seed,
        }
    }

    /// Puts a leg where there is none, or tells another of one that is there.
    pub(crate) fn set(&mut self, id: LegId, config: LegConfig) -> Result<(), LegError> {
        if id.index() >= LegId::MAX {
            return Err(LegError::Number(id));
        }
        if config.mac.is_group() || config.mac == MacAddr::ZERO {
            return Err(LegError::Mac(config.mac));
        }
        if config.mtu < LEAST_MTU {
            return Err(LegError::Mtu(config.mtu));
        }
        self.routes.check(id, &config)?;
        self.routes.set(id, &config.addresses);
        for place in self.legs.len()..=id.index() {
            self.legs.push(Link::new(self.limits, self.seed, place as u64 + 1));
        }
        let link = &mut self.legs[id.index()];
        (link.mac, link.mtu) = (config.mac, usize::from(config.mtu));
        link.internal = config.policy.internal;
        link.isolated = config.policy.isolated;
        link.leg = Some(config);
        self.arrange();
        Ok(())
    }

    /// Takes a leg away with all its neighbours; false where there is none.
    pub(crate) fn remove(&mut self, id: LegId) -> bool {
        if !self.has(id) {
            return false;
        }
        self.routes.set(id, &[]);
        let empty = Link::new(self.limits, self.seed, id.index() as u64 + 1);
        let mut gone = std::mem::replace(&mut self.legs[id.index()], empty);
        let waited = gone.neighbours.clear() as u64 + gone.neighbours.lost;
        self.counters.waited_in_vain += waited;
        self.counters.lan_in += gone.counters.entered;
        self.counters.to_lan += gone.counters.left;
        self.arrange();
        true
    }

    /// Who reaches whom, and each leg's part of what legs share.
    fn arrange(&mut self) {
        let mut reached = vec![[0u64; LegId::MAX / 64]; LegId::MAX];
        let ids: Vec<LegId> = self.legs().map(|leg| leg.id).collect();
        let mut join = |a: LegId, b: LegId| {
            reached[a.index()][b.index() / 64] |= 1 << (b.index() % 64);
        };
        for leg in self.legs() {
            join(leg.id, leg.id);
            let named = leg.config.policy.routed.iter().filter(|named| ids.contains(named));
            for named in named {
                join(leg.id, *named);
                join(*named, leg.id);
            }
        }
        let Limits { neighbours, neighbour_queue_bytes: queue, .. } = self.limits;
        let part = |whole: usize, several: usize, least: usize| {
            (whole.saturating_mul(several) / ids.len().max(1)).clamp(whole.div_ceil(least), whole)
        };
        let size = part(neighbours, WHOLE_TABLES, 8);
        let queue = part(queue, WHOLE_QUEUES, 4);
        for id in &ids {
            let link = &mut self.legs[id.index()];
            link.reached = reached[id.index()];
            link.neighbours.set_limits(size, queue);
        }
    }

    /// The legs, by number.
    pub(crate) fn legs(&self) -> impl Iterator<Item = LegView<'_>> {
        (0..).map(LegId).zip(&self.legs).filter_map(|(id, link)| {
            Some(LegView { id, config: link.leg.as_ref()?, counters: link.counters })
        })
    }

    #[inline]
    pub(crate) fn has(&self, id: LegId) -> bool {
        self.legs.get(id.index()).is_some_and(|link| link.leg.is_some())
    }

    /// Every link: the legs, those removed too, and the uplink.
    pub(crate) fn sides(&self) -> impl Iterator<Item = Side> + use<> {
        let legs = u16::try_from(self.legs.len()).unwrap_or(0);
        (0..legs).map(|leg| Side::Leg(LegId(leg))).chain([Side::Uplink])
    }

    /// A link. Of a leg that is not there, the uplink's: nothing leads to such a leg.
    #[inline]
    pub(crate) fn link(&self, side: Side) -> &Link {
        match side {
            Side::Leg(leg) => self.legs.get(leg.index()).unwrap_or(&self.uplink),
            Side::Uplink => &self.uplink,
        }
    }

    #[inline]
    pub(crate) fn link_mut(&mut self, side: Side) -> &mut Link {
        match side {
            Side::Leg(leg) => self.legs.get_mut(leg.index()).unwrap_or(&mut self.uplink),
            Side::Uplink => &mut self.uplink,
        }
    }

    /// Whether packets pass from a host of one leg to a host of the other.
    #[inline]
    pub(crate) fn joins(&self, from: LegId, to: LegId) -> bool {
        match from == to {
            true => !self.is_isolated(from),
            false => self.reaches(from, to),
        }
    }

    /// Whether the hosts of a leg are kept from each other.
    #[inline]
    pub(crate) fn is_isolated(&self, leg: LegId) -> bool {
        self.link(Side::Leg(leg)).isolated
    }

    /// Whether the hosts of a leg reach the gateway's place in another.
    #[inline]
    pub(crate) fn reaches(&self, from: LegId, to: LegId) -> bool {
        let to = to.index();
        from.index() == to
            || self.link(Side::Leg(from)).reached[to / 64 % (LegId::MAX / 64)] & 1 << (to % 64) != 0
    }

    /// Whether a leg has no uplink.
    #[inline]
    pub(crate) fn is_internal(&self, leg: LegId) -> bool {
        self.link(Side::Leg(leg)).internal
    }

    /// Whether what is inside an address may have to do with the world.
    pub(crate) fn is_open(&self, inside: Ipv4Addr) -> bool {
        self.routes
            .leg(inside)
            .is_some_and(|leg| self.routes.is_source(leg, inside) && !self.is_internal(leg))
    }

    /// The node a host of a link is known to be at.
    pub(crate) fn node_at(&self, side: Side, address: Ipv4Addr) -> Option<Node> {
        self.link(side).neighbours.node(address)
    }

    #[inline]
    pub(crate) fn mac(&self, side: Side) -> MacAddr {
        self.link(side).mac
    }

    /// The largest packet of a link.
    #[inline]
    pub(crate) fn mtu(&self, side: Side) -> usize {
        self.link(side).mtu
    }

    /// The gateway's own address towards somebody on a link: that of the receiver's subnet, else the
    /// link's first.
    pub(crate) fn address(&self, side: Side, receiver: Ipv4Addr) -> Option<Ipv4Addr> {
        let Side::Leg(leg) = side else { return self.uplink_address() };
        let subnet = self.routes.subnet(receiver).filter(|subnet| subnet.leg == leg);
        subnet.map(|subnet| subnet.own).or_else(|| {
            let config = self.link(side).leg.as_ref()?;
            config.addresses.first().map(|first| first.address)
        })
    }

    #[inline]
    pub(crate) fn uplink_address(&self) -> Option<Ipv4Addr> {
        self.routes.uplink.map(|uplink| uplink.address)
    }

    /// True for the gateway's own addresses on a link.
    pub(crate) fn is_own(&self, side: Side, address: Ipv4Addr) -> bool {
        match side {
            Side::Leg(leg) => {
                let subnet = self.routes.subnet(address);
                subnet.is_some_and(|subnet| subnet.leg == leg && subnet.own == address)
            }
            Side::Uplink => self.uplink_address() == Some(address),
        }
    }

    /// True where a kernel shares the uplink's address with us.
    #[inline]
    pub(crate) fn is_shared(&self, side: Side) -> bool {
        side == Side::Uplink && self.shared
    }

    /// The uplink has this address now; what waited there waited in vain.
    pub(crate) fn set_uplink_address(&mut self, address: Option<UplinkAddress>) {
        self.routes.uplink = address;
        self.counters.waited_in_vain += self.uplink.neighbours.clear() as u64;
    }

    pub(crate) fn set_uplink_link(&mut self, mac: MacAddr, mtu: u16) {
        (self.uplink.mac, self.uplink.mtu) = (mac, usize::from(mtu));
    }

    /// Sends a frame beside the one that entered.
    pub(crate) fn send(
        &mut self,
        out: &mut dyn Output,
        side: Side,
        vnet: VnetHeader,
        frame: &[u8],
    ) {
        self.counters.extra += 1;
        self.link_mut(side).counters.extra += 1;
        out.send(side, vnet, frame);
    }

    /// A frame has come in by `from` and ended.
    #[inline]
    pub(crate) fn count(&mut self, from: Side, verdict: Verdict) {
        match verdict {
            Verdict::Leg(leg) | Verdict::Host(leg) => {
                self.link_mut(Side::Leg(leg)).counters.left += 1
            }
            Verdict::Uplink => self.link_mut(Side::Uplink).counters.left += 1,
            Verdict::Consumed(how) => self.counters.consumed(how),
            Verdict::Drop(reason) => {
                self.counters.dropped[reason.index()] += 1;
                self.link_mut(from).counters.dropped += 1;
            }
        }
    }

    /// So many frames were refused that nobody has shown here.
    pub(crate) fn ignored(&mut self, from: Side, reason: DropReason, frames: u64) {
        if matches!(from, Side::Leg(leg) if !self.has(leg)) {
            self.counters.lan_in += frames;
        } else {
            let link = self.link_mut(from);
            link.counters.entered += frames;
            link.counters.dropped += frames;
        }
        self.counters.dropped[reason.index()] += frames;
    }

    /// All that has been counted.
    pub(crate) fn tally(&self) -> Counters {
        let mut all = self.counters.clone();
        for link in &self.legs {
            all.lan_in += link.counters.entered;
            all.to_lan += link.counters.left;
            all.waited_in_vain += link.neighbours.lost;
        }
        all.uplink_in = self.uplink.counters.entered;
        all.to_uplink = self.uplink.counters.left;
        all.waited_in_vain += self.uplink.neighbours.lost;
        all
    }
}
