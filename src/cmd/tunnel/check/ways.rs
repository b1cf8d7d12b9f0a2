//! Which ways are checked: from this host to each other host of the tunnels that are meant.

use std::net::{IpAddr, Ipv4Addr};

use control::Client;
use control::api::{Hosts, Name, NameOf, Node, Topology, Tunnel};

use super::verdict::Way;
use crate::door::Which;
use crate::exit::Usage;

/// Nodes of a host that are asked, until one answers.
const MOST: usize = 3;

/// What is known of the lab.
pub(super) struct Known {
    topology: Topology,
    tunnels: Vec<Tunnel>,
    hosts: Vec<Hosts>,
    names: Vec<Name>,
    mtus: Vec<(String, u32)>,
}

/// A way to be checked.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) way: Way,
    /// What the other host is called; None where nobody says.
    pub(super) host: Option<String>,
    /// Its end; None where an address is asked that may be behind any.
    pub(super) vtep: Option<IpAddr>,
    /// The node here that asks.
    pub(super) from: String,
    /// Who may answer there: names and addresses.
    pub(super) there: Vec<(String, Ipv4Addr)>,
}

impl Known {
    pub(super) fn ask(which: &Which, client: &Client) -> anyhow::Result<Self> {
        let networks = which.answer(client.networks())?;
        Ok(Self {
            topology: which.answer(client.topology())?,
            tunnels: which.answer(client.tunnels())?,
            hosts: which.answer(client.hosts())?,
            names: which.answer(client.names())?,
            mtus: networks.into_iter().map(|network| (network.name, network.mtu)).collect(),
        })
    }

    /// The ways that `words` mean, each a VNI, another host by name or end, or an address behind one;
    /// all of them without words.
    ///
    /// # Errors
    /// [`Usage`] for a word that means none of it, and for a network without a node to check from.
    pub(super) fn ways(&self, words: &[String]) -> anyhow::Result<Vec<Asked>> {
        let mut all = Vec::new();
        for tunnel in &self.tunnels {
            for vtep in &tunnel.remotes {
                all.push((tunnel, *vtep));
            }
        }
        let mut asked = Vec::new();
        if words.is_empty() {
            for (tunnel, vtep) in all {
                asked.push(self.to_host(tunnel, vtep)?);
            }
            return Ok(asked);
        }
        for word in words {
            let (vni, address) = (word.parse::<u32>().ok(), word.parse::<IpAddr>().ok());
            let means = |(tunnel, vtep): &&(&Tunnel, IpAddr)| {
                vni == Some(tunnel.vni)
                    || address == Some(*vtep)
                    || self.name_of(tunnel, *vtep).is_some_and(|name| name == word)
            };
            let before = asked.len();
            for (tunnel, vtep) in all.iter().filter(means) {
                asked.push(self.to_host(tunnel, *vtep)?);
            }
            if asked.len() == before {
                let behind = address.and_then(|address| match address {
                    IpAddr::V4(address) => self.behind(address),
                    IpAddr::V6(_) => None,
                });
                asked.push(behind.unwrap_or_else(|| Err(self.unknown(word, &all).into()))?);
            }
        }
        Ok(asked)
    }

    fn to_host(&self, tunnel: &Tunnel, vtep: IpAddr) -> anyhow::Result<Asked> {
        let nodes = self.member(tunnel, vtep).map(|member| member.nodes.as_slice());
        let there = nodes.unwrap_or_default().iter().filter_map(|node| {
            let is = |name: &&Name| name.whose == NameOf::Node && name.name == *node;
            let known = self.names.iter().filter(is);
            let addresses = known
                .filter(|name| name.network.as_ref().is_none_or(|own| *own == tunnel.network))
                .flat_map(|name| &name.addresses);
            let mut four = addresses.filter_map(|address| match address {
                IpAddr::V4(address) => Some(*address),
                IpAddr::V6(_) => None,
            });
            Some((node.clone(), four.next()?))
        });
        let host = self.name_of(tunnel, vtep).map(str::to_owned);
        self.asked(tunnel, Some(vtep), (host, there.take(MOST).collect()))
    }

    /// An address in the network of a tunnel. It has to be behind its other end where there is but one.
    fn behind(&self, address: Ipv4Addr) -> Option<anyhow::Result<Asked>> {
        // Who is here, the gateway of each host among them, is behind no tunnel.
        let here = |name: &&Name| {
            let whose = match name.whose {
                NameOf::Gateway => true,
                NameOf::Node => self.topology.nodes.iter().any(|node| node.name == name.name),
                NameOf::Beyond => false,
            };
            whose && name.addresses.contains(&IpAddr::V4(address))
        };
        if self.names.iter().any(|name| here(&name)) {
            return None;
        }
        let tunnel = self.tunnels.iter().find(|tunnel| {
            let nodes = self.nodes_in(&tunnel.network);
            nodes.into_iter().any(|(_, own, length)| {
                let shift = 32_u32.saturating_sub(length.into());
                let net = |ip: Ipv4Addr| ip.to_bits().checked_shr(shift).unwrap_or(0);
                net(own) == net(address)
            })
        })?;
        let vtep = match tunnel.remotes[..] {
            [vtep] => Some(vtep),
            _ => None,
        };
        let host = vtep.and_then(|vtep| self.name_of(tunnel, vtep)).map(str::to_owned);
        Some(self.asked(tunnel, vtep, (host, vec![(address.to_string(), address)])))
    }

    fn asked(
        &self,
        tunnel: &Tunnel,
        vtep: Option<IpAddr>,
        (host, there): (Option<String>, Vec<(String, Ipv4Addr)>),
    ) -> anyhow::Result<Asked> {
        let network = tunnel.network.clone();
        let from = self.nodes_in(&network).first().map(|(node, ..)| node.name.clone()).ok_or_else(|| {
            Usage(format!(
                "network {network} has no node here to check from that others hear: `uswitch add NODE`"
            ))
        })?;
        let own = self.mtus.iter().find(|(name, _)| *name == network).map(|(_, mtu)| *mtu);
        let packet = own.filter(|mtu| *mtu > 0).unwrap_or(tunnel.mtu).min(tunnel.mtu);
        let way = Way {
            vni: tunnel.vni,
            udp_port: tunnel.port,
            local: tunnel.local,
            network,
            packet,
            outer: packet + ns::vxlan::overhead(tunnel.local),
            node: there.first().map(|(name, _)| name.clone()).unwrap_or_default(),
        };
        Ok(Asked { way, host, vtep, from, there })
    }

    /// The nodes here that are in a network with an address of IPv4, by whichever interface, up and not cut off.
    fn nodes_in(&self, network: &str) -> Vec<(&Node, Ipv4Addr, u8)> {
        let apart = |name: &str| self.hosts.iter().any(|hosts| hosts.cut_off.contains_key(name));
        let nodes = self.topology.nodes.iter().filter(|node| !apart(&node.name));
        let legs = nodes.flat_map(|node| {
            let first =
                (node.network.as_deref(), node.address.filter(|_| node.up), node.prefix_len);
            let further = node.further.iter();
            let further = further.map(|leg| (leg.network.as_deref(), leg.address, leg.prefix_len));
            further.chain([first]).map(move |leg| (node, leg))
        });
        let own = legs.filter(|(_, (own, ..))| *own == Some(network));
        own.filter_map(|(node, (_, address, length))| Some((node, address?, length))).collect()
    }

    fn member(&self, tunnel: &Tunnel, vtep: IpAddr) -> Option<&control::api::MemberHost> {
        let hosts = self.hosts.iter().find(|hosts| hosts.vni == tunnel.vni)?;
        hosts.hosts.iter().find(|host| host.vtep == vtep && !host.own)
    }

    fn name_of(&self, tunnel: &Tunnel, vtep: IpAddr) -> Option<&str> {
        self.member(tunnel, vtep).map(|member| member.name.as_str())
    }

    fn unknown(&self, word: &str, all: &[(&Tunnel, IpAddr)]) -> Usage {
        let others: Vec<_> = all
            .iter()
            .map(|(tunnel, vtep)| match self.name_of(tunnel, *vtep) {
                Some(name) => format!("{name} {vtep}"),
                None => vtep.to_string(),
            })
            .collect();
        let others = if others.is_empty() { "none".into() } else { others.join(", ") };
        Usage(format!(
            "{word} is no VNI here, no other host ({others}), and no address in a tunnel's network"
        ))
    }
}
