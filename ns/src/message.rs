//! Steps as rtnetlink messages: pure, one function a message.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::RawFd;

use netlink_packet_core::{
    NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkHeader,
    NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::{
    AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope,
};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, InfoVxlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{
    RouteAttribute, RouteHeader, RouteMessage, RouteMetric, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::guest::Route;
use crate::plan::End;
use crate::vxlan::{self, Vxlan};

/// A request to the kernel and the flags it is sent with.
#[derive(Debug)]
pub(crate) struct Request {
    body: RouteNetlinkMessage,
    flags: u16,
}

impl Request {
    pub(crate) fn create(body: RouteNetlinkMessage) -> Self {
        Self { body, flags: NLM_F_CREATE | NLM_F_EXCL }
    }

    /// One more beside those that are there.
    fn append(body: RouteNetlinkMessage) -> Self {
        Self { body, flags: NLM_F_CREATE | NLM_F_APPEND }
    }

    fn change(body: RouteNetlinkMessage) -> Self {
        Self { body, flags: 0 }
    }

    /// Its bytes, as number `sequence` and with these flags beside its own.
    pub(crate) fn to_bytes(&self, sequence: u32, extra: u16) -> Vec<u8> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | self.flags | extra;
        header.sequence_number = sequence;
        let mut message =
            NetlinkMessage::new(header, NetlinkPayload::InnerMessage(self.body.clone()));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        bytes
    }
}

/// A link of a kind that no kernel has: how one without veth devices answers.
#[cfg(test)]
pub(crate) fn of_no_kind() -> Request {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::IfName("none".into()));
    let kind = LinkInfo::Kind(InfoKind::Other("nosuchkind".into()));
    link.attributes.push(LinkAttribute::LinkInfo(vec![kind]));
    Request::create(RouteNetlinkMessage::NewLink(link))
}

/// A veth pair: `a` in the namespace of the socket, `b` in the namespace `b_ns`.
pub(crate) fn veth(a: &End, b: &End, b_ns: RawFd, mtu: u32) -> Request {
    let mut peer = end(b, mtu);
    peer.attributes.push(LinkAttribute::NetNsFd(b_ns));
    let mut link = end(a, mtu);
    link.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
    ]));
    Request::create(RouteNetlinkMessage::NewLink(link))
}

/// A VXLAN device, made in the namespace `ns` and sending in that of the socket.
pub(crate) fn vxlan(device: &Vxlan<'_>, ns: RawFd) -> Request {
    let mut link = LinkMessage::default();
    link.header.index = device.index;
    link.attributes.push(LinkAttribute::IfName(device.name.into()));
    link.attributes.push(LinkAttribute::Mtu(device.mtu));
    link.attributes.push(LinkAttribute::NetNsFd(ns));
    let local = match device.local {
        IpAddr::V4(address) => InfoVxlan::Local(address),
        IpAddr::V6(address) => InfoVxlan::Local6(address),
    };
    link.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Vxlan),
        LinkInfo::Data(InfoData::Vxlan(vec![
            InfoVxlan::Id(device.vni),
            local,
            InfoVxlan::Port(device.port),
            InfoVxlan::Learning(device.learning),
        ])),
    ]));
    Request::create(RouteNetlinkMessage::NewLink(link))
}

/// One more end of a VXLAN device to which goes what nobody is known for.
pub(crate) fn vxlan_remote(index: u32, remote: IpAddr) -> Request {
    Request::append(RouteNetlinkMessage::NewNeighbour(of_fdb(index, [0; 6], remote)))
}

/// A row of a VXLAN device's table.
fn of_fdb(index: u32, mac: [u8; 6], remote: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = index;
    message.header.state = NeighbourState::Permanent;
    message.header.flags = NeighbourFlags::Own;
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.to_vec()));
    message.attributes.push(NeighbourAttribute::Destination(remote.into()));
    message
}

/// A change of a row of a VXLAN device's table.
pub(crate) fn fdb(index: u32, change: &vxlan::Change) -> Request {
    let of = |row: &vxlan::Row| of_fdb(index, row.mac, row.remote);
    match change {
        vxlan::Change::Set(row) => Request {
            body: RouteNetlinkMessage::NewNeighbour(of(row)),
            flags: NLM_F_CREATE | NLM_F_REPLACE,
        },
        vxlan::Change::Append(row) => Request::append(RouteNetlinkMessage::NewNeighbour(of(row))),
        vxlan::Change::Remove(row) => Request::change(RouteNetlinkMessage::DelNeighbour(of(row))),
    }
}

/// The tables of all bridges and VXLAN devices of the namespace.
pub(crate) fn get_fdb() -> Request {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    Request::change(RouteNetlinkMessage::GetNeighbour(message))
}

/// A row as a table has it; None for one that leads to no other end.
pub(crate) fn fdb_row(message: &NeighbourMessage) -> Option<vxlan::Row> {
    let (mut mac, mut remote) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::LinkLayerAddress(bytes) => mac = bytes.as_slice().try_into().ok(),
            NeighbourAttribute::Destination(NeighbourAddress::Inet(to)) => {
                remote = Some(IpAddr::V4(*to));
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(to)) => {
                remote = Some(IpAddr::V6(*to));
            }
            NeighbourAttribute::Destination(NeighbourAddress::Other(bytes)) => {
                let four = <[u8; 4]>::try_from(bytes.as_slice()).map(IpAddr::from);
                let six = <[u8; 16]>::try_from(bytes.as_slice()).map(IpAddr::from);
                remote = four.or(six).ok();
            }
            _ => {}
        }
    }
    Some(vxlan::Row { mac: mac?, remote: remote? })
}

/// Largest IPv4 GSO frame of a link (BIG TCP): a stack hands on up to so much as one frame where
/// 64 KiB is the default, and each frame costs the switch about the same. A kernel before 6.3
/// does not know the attribute and passes over it.
const LARGEST_GSO: u32 = 192 * 1024;

/// `GSO_LEGACY_MAX_SIZE` of linux/netdevice.h: what every device takes.
const ORDINARY_GSO: u32 = 64 * 1024;

fn end(end: &End, mtu: u32) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.header.index = end.index;
    link.attributes.push(LinkAttribute::IfName(end.name.clone()));
    link.attributes.push(LinkAttribute::Mtu(mtu));
    link.attributes.push(LinkAttribute::GsoIpv4MaxSize(LARGEST_GSO));
    if let Some(mac) = end.mac {
        link.attributes.push(LinkAttribute::Address(mac.to_vec()));
    }
    link
}

/// An interface up or down.
pub(crate) fn set_up(index: u32, up: bool) -> Request {
    let mut link = LinkMessage::default();
    link.header.index = index;
    link.header.change_mask = LinkFlags::Up;
    if up {
        link.header.flags = LinkFlags::Up;
    }
    Request::change(RouteNetlinkMessage::SetLink(link))
}

/// The hardware address of the interface of this name.
pub(crate) fn set_mac(name: &str, mac: [u8; 6]) -> Request {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::IfName(name.into()));
    link.attributes.push(LinkAttribute::Address(mac.to_vec()));
    Request::change(RouteNetlinkMessage::SetLink(link))
}

/// The MTU of the interface of this name: without an index the kernel looks for the name.
pub(crate) fn set_mtu(name: &str, mtu: u32) -> Request {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::IfName(name.into()));
    link.attributes.push(LinkAttribute::Mtu(mtu));
    Request::change(RouteNetlinkMessage::SetLink(link))
}

/// The largest IPv4 GSO frame of the interface of this name: of 64 KiB, or of what links have.
pub(crate) fn set_gso(name: &str, large: bool) -> Request {
    let mut link = LinkMessage::default();
    link.attributes.push(LinkAttribute::IfName(name.into()));
    let size = if large { LARGEST_GSO } else { ORDINARY_GSO };
    link.attributes.push(LinkAttribute::GsoIpv4MaxSize(size));
    Request::change(RouteNetlinkMessage::SetLink(link))
}

/// An interface away; of a veth pair both ends go.
pub(crate) fn delete_link(index: u32) -> Request {
    let mut link = LinkMessage::default();
    link.header.index = index;
    Request::change(RouteNetlinkMessage::DelLink(link))
}

/// Of one link. The kernel (6.8 and newer) does first what it still has to do for its carrier.
pub(crate) fn get_link(index: u32) -> Request {
    let mut message = LinkMessage::default();
    message.header.index = index;
    Request::change(RouteNetlinkMessage::GetLink(message))
}

/// Every link of the namespace.
pub(crate) fn get_links() -> Request {
    Request::change(RouteNetlinkMessage::GetLink(LinkMessage::default()))
}

/// Every IPv4 address of the namespace.
pub(crate) fn get_addresses() -> Request {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    Request::change(RouteNetlinkMessage::GetAddress(message))
}

/// Every address of the namespace, of both families.
pub(crate) fn get_all_addresses() -> Request {
    Request::change(RouteNetlinkMessage::GetAddress(AddressMessage::default()))
}

/// Every IPv4 route of the namespace.
pub(crate) fn get_routes() -> Request {
    get_routes_of(AddressFamily::Inet)
}

/// Every route of a family.
pub(crate) fn get_routes_of(family: AddressFamily) -> Request {
    let mut message = RouteMessage::default();
    message.header.address_family = family;
    Request::change(RouteNetlinkMessage::GetRoute(message))
}

/// An address on an interface. The kernel does not ask whether another has one of IPv6.
pub(crate) fn address(index: u32, address: IpAddr, prefix: u8) -> Request {
    let mut message = AddressMessage::default();
    message.header.family = family(address);
    message.header.index = index;
    message.header.prefix_len = prefix;
    message.header.scope = AddressScope::Universe;
    message.attributes.push(AddressAttribute::Local(address));
    message.attributes.push(AddressAttribute::Address(address));
    match address {
        IpAddr::V4(address) if prefix < 31 => {
            let broadcast = Ipv4Addr::from(u32::from(address) | u32::MAX >> prefix);
            message.attributes.push(AddressAttribute::Broadcast(broadcast));
        }
        IpAddr::V4(_) => {}
        IpAddr::V6(_) => message.header.flags = AddressHeaderFlags::Nodad,
    }
    Request::create(RouteNetlinkMessage::NewAddress(message))
}

/// A route out of an interface, with all that can be said of it.
pub(crate) fn route_of(index: u32, route: &Route) -> Request {
    let (to, prefix) = route.to;
    let mut message = RouteMessage::default();
    let header = &mut message.header;
    header.address_family = family(to);
    header.destination_prefix_length = prefix;
    header.protocol = RouteProtocol::Static;
    header.kind = RouteType::Unicast;
    let scope =
        if route.via.is_none() && to.is_ipv4() { RouteScope::Link } else { RouteScope::Universe };
    header.scope = route.scope.map_or(scope, Into::into);
    header.table = RouteHeader::RT_TABLE_MAIN;
    let attributes = &mut message.attributes;
    if let Some(table) = route.table {
        // One that does not fit the header stands in the attribute alone (RT_TABLE_UNSPEC).
        header.table = u8::try_from(table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
        attributes.push(RouteAttribute::Table(table));
    }
    if prefix > 0 {
        attributes.push(RouteAttribute::Destination(to.into()));
    }
    attributes.extend(route.via.map(|via| RouteAttribute::Gateway(via.into())));
    attributes.push(RouteAttribute::Oif(index));
    attributes.extend(route.metric.map(RouteAttribute::Priority));
    let metrics = route.mtu.map(RouteMetric::Mtu).into_iter();
    let metrics: Vec<_> = metrics.chain(route.advmss.map(RouteMetric::Advmss)).collect();
    if !metrics.is_empty() {
        attributes.push(RouteAttribute::Metrics(metrics));
    }
    Request::create(RouteNetlinkMessage::NewRoute(message))
}

/// A route by `via`, out of the interface where one is named; to everywhere else for None.
pub(crate) fn route(to: Option<(IpAddr, u8)>, via: IpAddr, index: u32) -> Request {
    let mut message = RouteMessage::default();
    message.header.address_family = family(via);
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Static;
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    if let Some((to, prefix)) = to {
        message.header.destination_prefix_length = prefix;
        message.attributes.push(RouteAttribute::Destination(to.into()));
    }
    message.attributes.push(RouteAttribute::Gateway(via.into()));
    message.attributes.push(RouteAttribute::Oif(index));
    Request::create(RouteNetlinkMessage::NewRoute(message))
}

fn family(of: IpAddr) -> AddressFamily {
    if of.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

/// Every IPv4 neighbour of the namespace.
pub(crate) fn get_neighbours() -> Request {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Inet;
    Request::change(RouteNetlinkMessage::GetNeighbour(message))
}

/// Every neighbour of IPv6.
pub(crate) fn get_neighbours_v6() -> Request {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Inet6;
    Request::change(RouteNetlinkMessage::GetNeighbour(message))
}

/// A neighbour forgotten.
pub(crate) fn delete_neighbour(index: u32, address: Ipv4Addr) -> Request {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.ifindex = index;
    let destination = NeighbourAttribute::Destination(NeighbourAddress::Inet(address));
    message.attributes.push(destination);
    Request::change(RouteNetlinkMessage::DelNeighbour(message))
}
