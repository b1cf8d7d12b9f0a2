//! What a spec says of other hosts, done: the lab joins them, and has its tunnels.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::Arc;

use ::topology::join;
use control::api::AddTunnel;

use super::{Access, Credentials, Join, Kind};
use crate::error::{Doing, Error, Result};
use crate::lab::Lab;
use crate::tunnel::{PORT, Tunnel};

/// This host among the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// Its address; None for that by which it speaks with the first of them.
    pub vtep: Option<IpAddr>,
    /// What it is called; None for its hostname, as far as the first dot.
    pub host: Option<String>,
    /// What it has to show to etcd, beside what a URL says.
    pub credentials: Credentials,
}

/// Refuses what this build cannot join, before anything is made.
///
/// # Errors
/// [`Error::Usage`], which names the build that can.
pub fn check_build(join: &join::Join) -> Result<()> {
    match join {
        join::Join::Bgp(_) if !cfg!(feature = "evpn") => Err(without_evpn()),
        _ => Ok(()),
    }
}

pub(super) fn without_evpn() -> Error {
    Error::Usage(
        "bgp://: this uswitch was built without EVPN; its packages have it, and so has \
         `cargo build --release --features evpn`"
            .into(),
    )
}

impl Lab {
    /// Joins the hosts that the lab's spec names, and plugs in its tunnels.
    ///
    /// # Errors
    /// Those of [`Lab::join`] and [`Lab::add_tunnel`]; [`Error::Io`] where there is no way to them.
    pub fn reach_hosts(self: &Arc<Self>, end: &End) -> Result<()> {
        let (join, tunnels) = self.with_spec(|spec| (spec.join.clone(), spec.tunnels.clone()));
        let tunnels: Result<Vec<_>> =
            tunnels.iter().map(|tunnel| asked(tunnel, tunnel.local)).collect();
        let tunnels = tunnels?;
        // Before the first one: the MTU that a tunnel leaves its network is not one that was asked for.
        for asked in &tunnels {
            self.check_fits(asked.network.as_deref(), asked.local)?;
        }
        if let Some(join) = &join {
            self.reach(join, join.network(), end)?;
        }
        tunnels.iter().try_for_each(|asked| self.plug_in_tunnel(asked, true).map(drop))
    }

    /// Has a network of the lab, or the first, reach other hosts.
    ///
    /// # Errors
    /// Those of [`Lab::reach_hosts`].
    pub fn reach(
        self: &Arc<Self>,
        join: &join::Join,
        network: Option<&str>,
        end: &End,
    ) -> Result<Tunnel> {
        match join {
            join::Join::Named(tunnel) => {
                self.check_fits(network, asked(tunnel, end.vtep.or(tunnel.local))?.local)?;
                self.reach_again(join, (network, 0), end)
            }
            join::Join::Etcd(etcd) => self.join(&ask(etcd, network, end)?),
            join::Join::Bgp(bgp) => self.reach_bgp(bgp, network, end, true),
        }
    }

    /// The same of a network that an earlier process of this lab has had reach them, as number `vni`:
    /// whether etcd answers and what it says is seen later ([`Lab::rejoin`]).
    ///
    /// # Errors
    /// Those of [`Lab::rejoin`] and [`Lab::add_tunnel`]; [`Error::Io`] where there is no way to them.
    pub fn reach_again(
        self: &Arc<Self>,
        join: &join::Join,
        (network, vni): (Option<&str>, u32),
        end: &End,
    ) -> Result<Tunnel> {
        match join {
            join::Join::Named(tunnel) => {
                let asked = asked(tunnel, end.vtep.or(tunnel.local))?;
                let network = network.map(str::to_owned);
                self.plug_in_tunnel(&AddTunnel { network, ..asked }, false)
            }
            join::Join::Etcd(etcd) => self.rejoin(&ask(etcd, network, end)?, vni),
            join::Join::Bgp(bgp) => self.reach_bgp(bgp, network, end, false),
        }
    }
}

/// A network of etcd's, for this host.
fn ask(etcd: &join::Etcd, network: Option<&str>, end: &End) -> Result<Join> {
    let join::Etcd { members, name, vni, port, .. } = etcd.clone();
    let access = Arc::new(Access::open(&etcd.access, &end.credentials)?);
    let first = members.first().map_or(Ipv4Addr::UNSPECIFIED.into(), |first| first.ip());
    Ok(Join {
        kind: Kind::Etcd,
        members,
        access,
        name,
        vni,
        port,
        network: network.map(str::to_owned),
        vtep: end.vtep.map_or_else(|| towards(first), Ok)?,
        host: end.host.clone().map_or_else(host_name, Ok)?,
    })
}

fn asked(tunnel: &join::Tunnel, local: Option<IpAddr>) -> Result<AddTunnel> {
    let join::Tunnel { vni, remotes, network, port, .. } = tunnel.clone();
    let first = remotes.first().copied().unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    let local = local.map_or_else(|| towards(first), Ok)?;
    Ok(AddTunnel { vni, local, remotes, network, port })
}

/// The address by which this host would speak to another; nothing is sent.
pub(super) fn towards(remote: IpAddr) -> Result<IpAddr> {
    let ask = || {
        let any: IpAddr = match remote {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect((remote, PORT))?;
        Ok::<_, io::Error>(socket.local_addr()?.ip())
    };
    ask().doing(|| format!("no way to {remote}"))
}

/// What this host is called, as far as its first dot.
fn host_name() -> Result<String> {
    let name = nix::unistd::gethostname().map_err(io::Error::from);
    let name = name.doing(|| "asking for this host's name".into())?.into_string();
    let name = name.map_err(|_| {
        Error::Usage("the host's name cannot be read: say another, `--host-name`".into())
    })?;
    Ok(name.split('.').next().unwrap_or_default().to_owned())
}
