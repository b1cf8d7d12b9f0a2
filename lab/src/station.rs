//! The gateway as the switch's station: a thin adapter, for the two do not know each other.
//!
//! A worker of the switch holds the lock for a batch at most; `show` and the control thread look
//! inside through [`GatewayStation::gateway`].

use std::any::Any;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use ::topology::{Spec, Uplink};
use gateway::{Asked, Asker, Gateway, LegId, Node, Output, Side, Verdict};
use names::{NetworkId, Resolver, Server};
use switch::{Arrival, Handling, Ignored, Leg, Outlet, PortId, Station};
use wire::{Ethernet, FrameMut, MacAddr, Timestamp, VnetHeader};

use crate::address;
use crate::config::LabConfig;
use crate::domain::{self, Domains};
use crate::error::{Error, Result};
use crate::naming;
use crate::repeated;
use crate::resolver::{Back, Names};
use crate::uplink::Prepared;

/// The gateway's one leg among the nodes.
pub const LAN: Leg = Leg(LegId::FIRST.0);

/// The gateway with its address on the bridge.
pub struct GatewayStation {
    mac: MacAddr,
    gateway: Gateway,
    names: Option<Names>,
    /// The frame it was shown last was to a group, and it would refuse all like it.
    ignored: Option<Ignored>,
}

impl GatewayStation {
    /// A station around `gateway`, whose address on the LAN is `mac`.
    #[must_use]
    pub fn new(mac: MacAddr, gateway: Gateway) -> Self {
        Self { mac, gateway, names: None, ignored: None }
    }

    /// The same, with a resolver of names at its addresses.
    fn naming(mut self, server: Server<Back>) -> Self {
        self.gateway.serve_names();
        Self { names: Some(Names::new(server)), ..self }
    }

    /// The resolver of names.
    pub(crate) fn names(&mut self) -> Option<&mut Server<Back>> {
        self.names.as_mut().map(|names| &mut names.server)
    }

    /// Tells the resolver which network each leg is in.
    pub(crate) fn set_networks(&mut self, networks: BTreeMap<LegId, NetworkId>) {
        if let Some(names) = &mut self.names {
            names.networks = networks;
        }
    }

    /// The gateway, all that was done in its stead counted.
    pub fn gateway(&mut self) -> &mut Gateway {
        self.gateway.catch_up();
        &mut self.gateway
    }
}

struct Out<'a>(&'a mut dyn Outlet, Option<&'a mut Names>);

impl Output for Out<'_> {
    fn send(&mut self, side: Side, vnet: VnetHeader, frame: &[u8]) {
        match side {
            Side::Leg(id) => self.0.to_bridge(leg(id), vnet, frame),
            Side::Uplink => self.0.to_uplink(vnet, frame),
        }
    }

    fn ask(&mut self, from: Asker, packet: &[u8], now: Timestamp) -> Asked {
        let Self(outlet, names) = self;
        names.as_mut().map_or(Asked::Unread, |names| names.ask(*outlet, from, packet, now))
    }
}

fn handling(verdict: Verdict) -> Handling {
    match verdict {
        Verdict::Leg(id) => Handling::ToBridge(leg(id)),
        Verdict::Uplink => Handling::ToUplink,
        Verdict::Host(id) => Handling::ToHost(leg(id)),
        Verdict::Consumed(_) => Handling::Consumed,
        Verdict::Drop(reason) => Handling::Drop(reason.as_str()),
    }
}

impl Station for GatewayStation {
    fn mac(&self) -> MacAddr {
        self.mac
    }

    fn on_bridge(
        &mut self,
        from: Arrival,
        frame: &mut FrameMut<'_>,
        out: &mut dyn Outlet,
        now: Timestamp,
    ) -> Handling {
        let Arrival { port, leg: Leg(leg) } = from;
        let out = &mut Out(out, self.names.as_mut());
        let verdict = self.gateway.from_leg(LegId(leg), node(port), frame, out, now);
        self.ignored = None;
        if frame.bytes.first().is_some_and(|first| first & 1 == 1)
            && let Some(ethernet) = Ethernet::parse(frame.bytes)
            && let Some(reason) = gateway::ignores(&ethernet, verdict)
        {
            let way = repeated::ignored(Side::Leg(LegId(leg)), reason);
            self.ignored = Some(Ignored { ethertype: ethernet.ethertype(), way });
        }
        handling(verdict)
    }

    fn ignores(&self) -> Option<Ignored> {
        self.ignored
    }

    fn on_uplink(
        &mut self,
        frame: &mut FrameMut<'_>,
        out: &mut dyn Outlet,
        now: Timestamp,
    ) -> Handling {
        handling(self.gateway.from_uplink(frame, &mut Out(out, None), now))
    }

    fn repeats(&self) -> Option<switch::Repeat> {
        self.gateway.repeats().map(repeated::repeat)
    }

    fn catch_up(&mut self) {
        self.gateway.catch_up();
    }

    fn note(&self) -> Option<&dyn Any> {
        self.gateway.note().map(|note| note as &dyn Any)
    }

    fn tick(&mut self, out: &mut dyn Outlet, now: Timestamp) -> Option<Timestamp> {
        let names = self.names.as_mut().and_then(|names| names.tick(out, now));
        let gateway = self.gateway.tick(&mut Out(out, None), now);
        gateway.into_iter().chain(names).min()
    }
}

/// The switch's name for one of the gateway's legs: the two count alike.
#[must_use]
pub fn leg(LegId(id): LegId) -> Leg {
    Leg(id)
}

/// The gateway's name for what is plugged in at a port.
#[must_use]
pub fn node(port: PortId) -> Node {
    Node(port.0.saturating_add(1))
}

/// Who asks for names at a port, by number.
#[must_use]
pub(crate) fn asker(port: PortId) -> u64 {
    node(port).0.into()
}

/// The other way around.
#[must_use]
pub(crate) fn port(Node(node): Node) -> PortId {
    PortId(node.saturating_sub(1))
}

/// The gateway's hardware address in a network: that of its first address there, or in a VLAN of it.
#[must_use]
pub fn mac_in(spec: &Spec, network: &str) -> Option<MacAddr> {
    spec.network(network)?.all_gateways().into_iter().find_map(|address| match address.ip {
        IpAddr::V4(own) => Some(address::mac(own)),
        IpAddr::V6(_) => None,
    })
}

/// The gateway's first address of IPv4 in a network, or in a VLAN of it, with the prefix length.
#[must_use]
pub fn gateway_in(spec: &Spec, network: &str) -> Option<(Ipv4Addr, u8)> {
    spec.network(network)?.all_gateways().into_iter().find_map(|address| match address.ip {
        IpAddr::V4(own) => Some((own, address.prefix.unwrap_or(32))),
        IpAddr::V6(_) => None,
    })
}

/// The gateway's first address in the lab, with the prefix length.
#[must_use]
pub fn first_gateway(spec: &Spec) -> Option<(Ipv4Addr, u8)> {
    spec.networks.keys().find_map(|network| gateway_in(spec, network))
}

/// What a lab has for its own of IPv4: the gateway's addresses, and the subnets where it has none,
/// with the lengths of their prefixes.
pub(crate) fn inside(spec: &Spec) -> Vec<(Ipv4Addr, u8)> {
    let mut all = Vec::new();
    for (name, network) in &spec.networks {
        let own = gateway_in(spec, name);
        all.extend(own);
        all.extend(network.all_subnets().filter_map(|subnet| match subnet.network() {
            IpAddr::V4(address) if own.is_none_or(|(own, _)| !subnet.contains(own.into())) => {
                Some((address, subnet.prefix()))
            }
            _ => None,
        }));
    }
    all
}

/// The gateway of a lab, in its station.
pub(crate) fn of(
    config: &LabConfig,
    domains: &Domains,
    host: Option<&Prepared>,
) -> Result<Arc<Mutex<GatewayStation>>> {
    let spec = &config.spec;
    let first = spec.networks.keys().next().and_then(|first| mac_in(spec, first));
    let mac = first.unwrap_or(MacAddr::ZERO);
    let outside: MacAddr = address::mac(address::SIM_GATEWAY);
    let mut told = gateway::Config::simulated(mac, outside);
    let mtu = u16::try_from(spec.mtu()).unwrap_or(u16::MAX);
    let legs = domains.keys().flat_map(|name| domain::of_gateway(spec, domains, name));
    told.legs = legs.collect();
    told.nat.kind = nat(spec.nat);
    told.limits.sessions = spec.nat_sessions;
    match (spec.uplink(), &mut told.uplink) {
        (Uplink::Sim, Some(uplink)) => uplink.mtu = mtu,
        _ => told.uplink = host.map(Prepared::gateway),
    }
    let gateway = Gateway::new(told, rand::random()).map_err(|no| Error::Usage(no.to_string()))?;
    // With a real uplink there are others to be asked, once the switch runs.
    let further = matches!(spec.uplink(), Uplink::Host(_));
    let names = Server::new(Resolver::new(naming::zone(config), further), None, rand::random());
    Ok(Arc::new(Mutex::new(GatewayStation::new(mac, gateway).naming(names))))
}

/// How the NAT maps and filters, in the gateway's words.
pub(crate) fn nat(kind: ::topology::NatType) -> gateway::NatType {
    use ::topology::NatType as Asked;
    match kind {
        Asked::FullCone => gateway::NatType::FullCone,
        Asked::RestrictedCone => gateway::NatType::RestrictedCone,
        Asked::PortRestrictedCone => gateway::NatType::PortRestrictedCone,
        Asked::Symmetric => gateway::NatType::Symmetric,
    }
}

/// What the switch and the gateway are, in words.
pub(crate) fn words(config: &LabConfig, host: Option<&Prepared>) -> String {
    let spec = &config.spec;
    let networks = spec.networks.keys();
    let gateways: Vec<_> = networks.filter_map(|network| gateway_in(spec, network)).collect();
    let mut own = match gateways.as_slice() {
        [] => return "switch, no gateway".into(),
        [(address, prefix)] => format!("switch and gateway {address}/{prefix}"),
        [(address, prefix), (other, its)] => {
            format!("switch and gateway {address}/{prefix} and {other}/{its}")
        }
        [(address, prefix), rest @ ..] => {
            format!("switch and gateway {address}/{prefix}, and in {} more networks", rest.len())
        }
    };
    own.push_str(&match spec.uplink() {
        Uplink::Sim => format!(", masquerading behind {}", address::SIM_GATEWAY),
        Uplink::None => ", no uplink".into(),
        Uplink::Host(_) => {
            format!(", masquerading behind {}", host.map(Prepared::words).unwrap_or_default())
        }
    });
    own
}
