//! `--join`: the other hosts of a network. All of them named, as
//! `vtep://ADDRESS[,ADDRESS…]?vni=N[&port=N][&network=NAME]`, or known by a registry, as
//! `etcd://ADDRESS[:PORT][,…]/NET[?vni=N][&port=N][&network=NAME]`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use anyhow::Context;
use control::api::AddTunnel;
use lab::Lab;
use lab::hosts::Join;

const VTEP: &str = "vtep://ADDRESS[,ADDRESS…]?vni=N[&port=N][&network=NAME]";
const ETCD: &str = "etcd://ADDRESS[:PORT][,ADDRESS…]/NET[?vni=N][&port=N][&network=NAME]";
/// etcd's port for clients (IANA).
const CLIENTS: u16 = 2379;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Joining {
    /// These hosts.
    Named(AddTunnel),
    /// Those that a registry knows.
    Etcd(Etcd),
}

/// A network in etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Etcd {
    pub(crate) members: Vec<SocketAddr>,
    pub(crate) name: String,
    pub(crate) vni: Option<u32>,
    pub(crate) port: Option<u16>,
    pub(crate) network: Option<String>,
}

impl Joining {
    /// A host that is to be reached from this one's own end.
    fn first(&self) -> IpAddr {
        let none = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        match self {
            Self::Named(tunnel) => tunnel.remotes.first().map_or(none, |first| (*first).into()),
            Self::Etcd(etcd) => etcd.members.first().map_or(none, SocketAddr::ip),
        }
    }

    /// Joins a lab to these hosts: by `vtep`, this host's end, and the name it has among them.
    pub(crate) fn go(
        &self,
        lab: &Arc<Lab>,
        (vtep, name): (Option<Ipv4Addr>, Option<&str>),
    ) -> anyhow::Result<()> {
        let first = self.first();
        let local = match vtep {
            Some(own) => own,
            None => towards(first).with_context(|| format!("no way to {first}"))?,
        };
        match self {
            Self::Named(ask) => lab.add_tunnel(&AddTunnel { local, ..ask.clone() }),
            Self::Etcd(ask) => lab.join(&Join {
                members: ask.members.clone(),
                name: ask.name.clone(),
                vni: ask.vni,
                port: ask.port,
                network: ask.network.clone(),
                vtep: local,
                host: name.map_or_else(host_name, |name| Ok(name.into()))?,
            }),
        }
        .context("--join")?;
        Ok(())
    }
}

/// Reads one. Its own end is not said there: `--vtep`, or [`towards`] the first.
pub(crate) fn read(text: &str) -> Result<Joining, String> {
    if let Some(rest) = text.strip_prefix("vtep://") {
        return named(rest).map(Joining::Named);
    }
    match text.strip_prefix("etcd://") {
        Some(rest) => etcd(rest).map(Joining::Etcd),
        None => Err(format!("{text:?} is neither {VTEP} nor {ETCD}")),
    }
}

fn named(rest: &str) -> Result<AddTunnel, String> {
    let (hosts, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut remotes = Vec::new();
    for host in hosts.split(',') {
        let address =
            host.parse().map_err(|_| format!("{host:?} is no address of IPv4: {VTEP}"))?;
        remotes.push(address);
    }
    let Query { vni, port, network } = Query::read(query, VTEP)?;
    let vni = vni.ok_or_else(|| format!("which network? ?vni=N is missing: {VTEP}"))?;
    Ok(AddTunnel { vni, local: Ipv4Addr::UNSPECIFIED, remotes, network, port })
}

fn etcd(rest: &str) -> Result<Etcd, String> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (hosts, name) = rest.split_once('/').unwrap_or((rest, ""));
    if name.is_empty() {
        return Err(format!("which network? /NET is missing: {ETCD}"));
    }
    let mut members = Vec::new();
    for host in hosts.split(',') {
        let plain = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let alone = plain.parse().map(|address: IpAddr| SocketAddr::new(address, CLIENTS));
        let member = alone.or_else(|_| host.parse());
        members.push(member.map_err(|_| format!("{host:?} is no address: {ETCD}"))?);
    }
    let Query { vni, port, network } = Query::read(query, ETCD)?;
    Ok(Etcd { members, name: name.into(), vni, port, network })
}

/// What stands behind the question mark.
#[derive(Default)]
struct Query {
    vni: Option<u32>,
    port: Option<u16>,
    network: Option<String>,
}

impl Query {
    fn read(query: &str, form: &str) -> Result<Self, String> {
        let mut read = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let number = |what: &str| format!("{value:?} is no {what}");
            match key {
                "vni" => {
                    let vni = value.parse().ok().filter(|vni| (1..1 << 24).contains(vni));
                    read.vni = Some(vni.ok_or_else(|| number("VNI: 1 to 16777215"))?);
                }
                "port" => {
                    let port = value.parse().ok().filter(|port| *port > 0);
                    read.port = Some(port.ok_or_else(|| number("port: 1 to 65535"))?);
                }
                "network" => read.network = Some(value.into()),
                _ => return Err(format!("{key:?} is none of vni, port, network: {form}")),
            }
        }
        Ok(read)
    }
}

/// The address by which this host would speak to another; nothing is sent.
///
/// # Errors
/// ENETUNREACH where there is no way there.
fn towards(remote: IpAddr) -> io::Result<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((remote, lab::tunnel::PORT))?;
    match socket.local_addr()?.ip() {
        IpAddr::V4(address) => Ok(address),
        IpAddr::V6(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
    }
}

/// What this host is called, as far as its first dot.
///
/// # Errors
/// Where it has no name that others can read.
fn host_name() -> io::Result<String> {
    let name = nix::unistd::gethostname()?.into_string();
    let name =
        name.map_err(|_| io::Error::other("the host's name cannot be read: `--host-name`"))?;
    Ok(name.split('.').next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_the_network_are_read() {
        let text = "vtep://10.0.0.2,10.0.0.3?vni=100&network=dmz&port=8472";
        let Joining::Named(ask) = read(text).unwrap() else { panic!("{text}") };
        assert_eq!(ask.remotes, [Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 3)]);
        assert_eq!((ask.vni, ask.port, ask.network.as_deref()), (100, Some(8472), Some("dmz")));
    }

    #[test]
    fn members_and_their_network_are_read() {
        let text = "etcd://10.0.0.2,[fd00::1],10.0.0.3:2380,[fd00::2]:2381/prod?vni=7&network=dmz";
        let Joining::Etcd(ask) = read(text).unwrap() else { panic!("{text}") };
        let members: Vec<_> = ask.members.iter().map(ToString::to_string).collect();
        assert_eq!(members, ["10.0.0.2:2379", "[fd00::1]:2379", "10.0.0.3:2380", "[fd00::2]:2381"]);
        assert_eq!(
            (ask.name.as_str(), ask.vni, ask.network.as_deref()),
            ("prod", Some(7), Some("dmz"))
        );
        let Joining::Etcd(ask) = read("etcd://10.0.0.2/prod").unwrap() else { panic!() };
        assert_eq!((ask.vni, ask.port, ask.network), (None, None, None));
    }

    #[test]
    fn what_is_none_is_told() {
        for (text, says) in [
            ("10.0.0.2", "is neither vtep://"),
            ("etcd://10.0.0.2", "/NET is missing"),
            ("etcd://10.0.0.2/?vni=1", "/NET is missing"),
            ("etcd://host/net", "no address"),
            ("etcd://10.0.0.2:x/net", "no address"),
            ("etcd://10.0.0.2/net?vin=1", "none of vni"),
            ("vtep://10.0.0.2", "vni=N is missing"),
            ("vtep://host?vni=1", "no address"),
            ("etcd://10.0.0.2/net?vni=0", "no VNI: 1 to"),
            ("etcd://10.0.0.2/net?vni=16777216", "no VNI: 1 to"),
            ("etcd://10.0.0.2/net?port=0", "no port: 1 to"),
            ("vtep://10.0.0.2?vni=x", "no VNI"),
            ("vtep://10.0.0.2?vin=1", "none of vni"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(says), "{text}: {said}");
        }
    }
}
