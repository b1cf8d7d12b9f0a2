//! Tunnels of the kernel's own that carry packets by a protocol of IP without ports, as [`crate::route`]
//! sees them: by which protocol, and between which ends.

use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_route::link::{
    InfoData, InfoGre, InfoIpTunnel, InfoKind, InfoVti, LinkAttribute, LinkFlags, LinkInfo,
    LinkMessage,
};

const IPIP: u8 = 4;
const IPV6: u8 = 41;
const GRE: u8 = 47;
const ESP: u8 = 50;
const MPLS: u8 = 137;

/// A tunnel over IPv4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// Set up by its owner.
    pub up: bool,
    /// The protocols it speaks, by their numbers.
    pub protocols: Vec<u8>,
    /// Its own end; None for any address.
    pub local: Option<Ipv4Addr>,
    /// The other end; None for anybody.
    pub remote: Option<Ipv4Addr>,
}

impl Tunnel {
    pub(crate) fn from_message(message: &LinkMessage) -> Option<Self> {
        let info = message.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::LinkInfo(info) => Some(info),
            _ => None,
        })?;
        let kind = info.iter().find_map(|one| match one {
            LinkInfo::Kind(kind) => Some(kind),
            _ => None,
        })?;
        let data = info.iter().find_map(|one| match one {
            LinkInfo::Data(data) => Some(data),
            _ => None,
        })?;
        let up = message.header.flags.contains(LinkFlags::Up);
        let mut tunnel = Self { up, protocols: Vec::new(), local: None, remote: None };
        match data {
            InfoData::GreTun(all) | InfoData::GreTap(all) | InfoData::ErSpan(all) => {
                tunnel.protocols.push(GRE);
                all.iter().for_each(|one| tunnel.gre(one));
            }
            InfoData::Vti(all) => {
                tunnel.protocols.push(ESP);
                all.iter().for_each(|one| tunnel.vti(one));
            }
            InfoData::IpTunnel(all) if *kind == InfoKind::IpIp => {
                tunnel.protocols.extend([IPIP, MPLS]);
                all.iter().for_each(|one| tunnel.ip(one));
            }
            InfoData::IpTunnel(all) if *kind == InfoKind::SitTun => {
                tunnel.protocols.extend([IPV6, IPIP, MPLS]);
                all.iter().for_each(|one| tunnel.ip(one));
            }
            _ => return None,
        }
        Some(tunnel)
    }

    fn gre(&mut self, one: &InfoGre) {
        match one {
            InfoGre::Local(address) => self.local = named(*address),
            InfoGre::Remote(address) => self.remote = named(*address),
            _ => {}
        }
    }

    fn vti(&mut self, one: &InfoVti) {
        match one {
            InfoVti::Local(IpAddr::V4(address)) => self.local = named(*address),
            InfoVti::Remote(IpAddr::V4(address)) => self.remote = named(*address),
            _ => {}
        }
    }

    fn ip(&mut self, one: &InfoIpTunnel) {
        match one {
            InfoIpTunnel::Local(IpAddr::V4(address)) => self.local = named(*address),
            InfoIpTunnel::Remote(IpAddr::V4(address)) => self.remote = named(*address),
            InfoIpTunnel::Protocol(protocol) => {
                let number = i32::from(*protocol);
                // 0 stands for all of them.
                if let Ok(number @ 1..) = u8::try_from(number) {
                    self.protocols = vec![number];
                }
            }
            _ => {}
        }
    }
}

fn named(address: Ipv4Addr) -> Option<Ipv4Addr> {
    (!address.is_unspecified()).then_some(address)
}
