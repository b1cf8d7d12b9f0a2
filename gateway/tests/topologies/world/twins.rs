//! One life, lived by two gateways: one that has somebody beside it, and one that sees every packet.

use std::net::Ipv4Addr;
use std::time::Duration;

use gateway::{Config, LegConfig, LegId, Outcome, Policy, Probe, Repeat, Repeated, Side};
use wire::{MacAddr, tcp};

use super::beside::{Beside, Flow, node_of};
use super::packet::{ACK, arp_reply};
use super::{Out, Pkt, ROUTER, Seen, UPLINK_MAC, World, config, mac};

const OTHER_MAC: MacAddr = MacAddr([2, 0, 0, 1, 0, 1]);
pub const OTHER: LegId = LegId(1);
pub const HOSTS: [&str; 5] = ["10.100.0.10", "10.100.0.20", "10.100.0.30", "10.1.0.2", "10.1.0.3"];

/// One life, twice.
pub struct Twins {
    /// The one that has somebody beside it, and the one that has not.
    pub worlds: [World; 2],
    pub beside: Beside,
    /// Whether hosts answer when they are asked for.
    pub answer: bool,
    pub sent: u8,
}

impl Twins {
    pub fn new() -> Self {
        Self::of(config())
    }

    pub fn of(config: Config) -> Self {
        let world = || {
            let mut config = config.clone();
            config.legs[0].1.policy = Policy { routed: vec![OTHER], ..Policy::default() };
            config.legs.push((OTHER, other(1500, false, true)));
            let mut world = World::new(config);
            for host in ["10.1.0.2", "10.1.0.3"] {
                world.knock(1, host, "10.1.0.1");
            }
            world
        };
        let (mut worlds, beside) = ([world(), world()], Beside::default());
        worlds[0].gateway.repeat_by(Box::new(beside.clone()));
        Self { worlds, beside, answer: true, sent: 0 }
    }

    /// The same to both, with the same outcome.
    #[track_caller]
    pub fn both<T: std::fmt::Debug + PartialEq>(&mut self, change: impl Fn(&mut World) -> T) -> T {
        let [first, second] = &mut self.worlds;
        // As the lab does, before anything is looked at.
        first.gateway.catch_up();
        let (one, other) = (change(first), change(second));
        assert_eq!(one, other);
        one
    }

    fn own(&self, side: Side) -> Option<MacAddr> {
        match side {
            Side::Uplink => Some(UPLINK_MAC),
            Side::Leg(id) => {
                let mut legs = self.worlds[1].gateway.legs();
                Some(legs.find(|view| view.id == id)?.config.mac)
            }
        }
    }

    /// A packet comes to both.
    pub fn send(&mut self, side: Side, packet: &Pkt) {
        let Some(own) = self.own(side) else { return };
        let node = node_of(side, packet.src);
        let from = mac(if side == Side::Uplink { ROUTER } else { packet.src });
        let frame = packet.frame(own, from);
        let [first, second] = &mut self.worlds;
        let plain = second.put_from((side, node), packet.vnet, frame.clone());
        let by_kernel = self.beside.kernel().carries((side, node), [own, from], packet, first.now);
        if let Some((to, next, made)) = by_kernel {
            assert_eq!(plain.verdict.side(), Some(to), "{packet:?}: {}", plain.lines());
            assert!(plain.arps.is_empty() && plain.redirects.is_empty());
            let made = Seen::of(&made.frame(next, MacAddr::ZERO));
            assert_eq!(plain.one(), made);
            return;
        }
        let generation = self.beside.kernel().generation;
        let out = first.put_from((side, node), packet.vnet, frame);
        assert_eq!(out.verdict, plain.verdict, "{packet:?}");
        assert_eq!(out.frames, plain.frames, "{packet:?}");
        let repeat = first.gateway.repeats().copied();
        if let Some(repeat) = repeat
            && let [(_, _, sent), ..] = &out.frames[..]
        {
            let leaves = MacAddr(sent[..6].try_into().unwrap());
            let (way, seen, ended, answered) = (repeat.way, first.now, None, false);
            let owed = Repeated { way, frames: 0, packets: 0, bytes: 0, seen, ended, answered };
            let (from, came, over, ended) = ((side, node), [own, from], false, false);
            let (answered, awaits, source) =
                (None, false, MacAddr(sent[6..12].try_into().unwrap()));
            let mut kernel = self.beside.kernel();
            let flow = Flow {
                generation,
                from,
                came,
                leaves,
                repeat,
                over,
                ended,
                answered,
                awaits,
                owed,
            };
            kernel.put(flow, [leaves, source]);
        }
        self.hear(&out, &plain);
    }

    /// Hosts that are asked for answer.
    fn hear(&mut self, out: &Out, plain: &Out) {
        let asked = |out: &Out| {
            let asked = out.arps.iter().map(|(side, arp)| (*side, arp.sender, arp.target));
            asked.collect::<Vec<_>>()
        };
        assert_eq!(asked(out), asked(plain));
        asked(out).into_iter().for_each(|asked| self.reply(asked));
    }

    fn reply(&mut self, (side, asker, target): (Side, Ipv4Addr, Ipv4Addr)) {
        let there = HOSTS.iter().any(|host| target.to_string() == *host) || target == ROUTER;
        let Some(own) = self.own(side).filter(|_| there && self.answer) else { return };
        let frame = arp_reply(own, mac(target), target, asker);
        self.both(|world| world.put(side, Default::default(), frame.clone()).verdict);
    }

    pub fn pass(&mut self, span: Duration) {
        let [first, second] = &mut self.worlds;
        first.gateway.catch_up();
        let (one, other) = (first.pass(span), second.pass(span));
        assert_eq!(one, other);
        for (side, _, frame) in one.iter().filter(|(_, _, frame)| frame[12..14] == [8, 6]) {
            let arp = wire::Arp::parse(&frame[14..]).unwrap();
            self.reply((*side, arp.sender, arp.target));
        }
    }

    /// Nothing that can be seen tells the two apart, and what holds is what would happen.
    pub fn compare(&mut self) {
        self.both(|world| {
            let (gateway, now) = (&world.gateway, world.now);
            let legs: Vec<_> = gateway.legs().map(|leg| (leg.id, leg.counters)).collect();
            (gateway.counters(), legs, gateway.neighbours(now))
        });
        self.both(|world| world.sessions());
        let (kernel, [_, plain]) = (self.beside.kernel(), &self.worlds);
        let now = plain.now;
        for flow in kernel.flows.iter().filter(|flow| kernel.holds(flow, now)) {
            let Repeat { protocol, came: [src, dst], leaves, way, .. } = flow.repeat;
            let (side, node) = flow.from;
            let (flags, length, ttl, dont_fragment) = (tcp::Flags(ACK), 100, 64, true);
            let protocol = protocol.into();
            let probe = Probe { side, protocol, src, dst, flags, length, ttl, dont_fragment };
            let outcome = plain.gateway.preview_from(node, &probe, now).outcome;
            let [src, dst] = leaves;
            let (side, hop, mac) = (way.to, way.hop, Some(flow.leaves));
            assert_eq!(outcome, Outcome::Leaves { side, src, dst, hop, mac }, "{flow:?}");
        }
    }
}

pub fn other(mtu: u16, internal: bool, routed: bool) -> LegConfig {
    let routed = routed.then_some(LegId::FIRST).into_iter().collect();
    let policy = Policy { internal, routed, ..Policy::default() };
    let config = LegConfig::new(OTHER_MAC, Ipv4Addr::new(10, 1, 0, 1), 24);
    LegConfig { mtu, policy, ..config }
}
