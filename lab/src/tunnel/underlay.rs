//! What carries a tunnel: the host's interface that has its end, whose MTU bounds the network's packets.
//!
//! A thread hears of the host's interfaces and addresses. Where an MTU has become another, the network's
//! follows, down and up again as far as it was, for its nodes, the gateway and the tunnel's device. What
//! somebody has asked for stays as it is; that it does not fit is told in the log and by `show tunnel`.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::{Arc, Weak};

use ::topology::join::is_host;
use nix::poll::PollTimeout;
use ns::own::Changes;
use ns::vxlan;

use super::Tunnel;
use crate::error::{Doing, Error, Result};
use crate::lab::{Lab, State};
use crate::watch::{Stop, Watch, Woken};

/// What a network had before a tunnel was plugged in: its MTU, whether a file or somebody said it, and how far
/// it was let up.
pub(super) type Before = (Option<u32>, Option<u32>, u32);

/// What becomes of a network's MTU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    /// Nothing: it fits.
    Stays,
    /// Nobody asked for what it is, and this fits.
    Becomes(u32),
    /// Somebody asked for it, and it does not fit.
    Exceeds,
}

/// What becomes of an MTU of `now` that tunnels carry `fits` of. Nobody asked for it where it may be `most`
/// at the most.
fn fit(now: u32, most: Option<u32>, fits: u32) -> Fit {
    match most {
        Some(most) if most.min(fits) != now => Fit::Becomes(most.min(fits)),
        None if now > fits => Fit::Exceeds,
        _ => Fit::Stays,
    }
}

/// What a tunnel's device carries, which carried `before`: what fits, and no less than the network's packets
/// that somebody asked for, which the host then sends in pieces.
fn carried(before: u32, asked: Option<u32>, fits: u32) -> u32 {
    asked.map_or(fits, |asked| fits.max(asked.min(before)))
}

impl Lab {
    /// Refuses packets that somebody has asked for and that a tunnel from `local` does not carry; what
    /// nobody has asked for becomes what fits. Asked once more when it is plugged in, for hosts and an
    /// interface's MTU may have become others while somebody far away answered.
    pub(crate) fn check_fits(&self, network: Option<&str>, local: IpAddr) -> Result<()> {
        let (network, _) = self.network(network)?;
        let whole = underlay(&self.check_end(local)?, local)?;
        let carries = whole.saturating_sub(vxlan::overhead(local));
        fits(&self.state(), &network, (local, carries))
    }

    /// Has a network's packets fit a tunnel to be, and what it had where that was more.
    pub(super) fn make_room(
        &self,
        state: &mut State,
        network: &str,
        carries: u32,
    ) -> Result<Option<Before>> {
        let mtu = state.spec.mtu_of(network);
        let said = state.spec.network(network).and_then(|own| own.mtu);
        let most = state.domains.get(network).and_then(|domain| domain.fitted);
        if mtu.max(most.unwrap_or(mtu)) <= carries {
            return Ok(None);
        }
        if mtu > carries {
            self.change_mtu(state, network, carries)?;
        }
        if let Some(domain) = state.domains.get_mut(network) {
            domain.fitted = Some(carries);
        }
        Ok(Some((said, most, mtu)))
    }

    /// Gives a network back what it had before a tunnel that has not come about.
    pub(super) fn give_back(
        &self,
        state: &mut State,
        network: &str,
        (said, most, mtu): Before,
    ) -> Result<()> {
        self.change_mtu(state, network, mtu)?;
        if let Some(own) = state.spec.networks.get_mut(network) {
            own.mtu = said;
        }
        if let Some(domain) = state.domains.get_mut(network) {
            domain.fitted = most;
        }
        Ok(())
    }

    /// Follows what tunnels send by from now on, if nobody does.
    pub(super) fn follow_underlay(self: &Arc<Self>) -> Result<()> {
        let mut state = self.state();
        if state.host_watches.underlay.is_some() {
            return Ok(());
        }
        let outer = outer()?;
        let changes = Changes::new(outer.as_fd())?;
        let lab = Arc::downgrade(self);
        state.host_watches.underlay = Some(Watch::start("underlay", move |stop| {
            if let Err(error) = follow((changes, &outer), &stop, &lab) {
                tracing::error!("the MTU of the host's interfaces is no longer followed: {error}");
            }
        })?);
        Ok(())
    }

    /// Looks at what the tunnels send by now, and has their networks follow.
    pub(super) fn fit_tunnels(&self, state: &mut State, outer: &File) {
        // What fits all tunnels of a network, and whether that is news.
        let mut networks: BTreeMap<String, (u32, bool)> = BTreeMap::new();
        for tunnel in &mut state.tunnels {
            // One whose address is gone carries nothing; the address may come back.
            let Ok(whole) = underlay(outer, tunnel.local) else { continue };
            let fits = whole.saturating_sub(vxlan::overhead(tunnel.local));
            let news = std::mem::replace(&mut tunnel.fits, fits) != fits;
            let all = networks.entry(tunnel.network.clone()).or_insert((fits, news));
            *all = (all.0.min(fits), all.1 | news);
        }
        for (network, (fits, news)) in networks {
            if let Err(error) = self.fit_network(state, &network, (fits, news))
                && news
            {
                tracing::warn!("the tunnel of network {network} carries {fits} bytes now: {error}");
            }
        }
    }

    fn fit_network(
        &self,
        state: &mut State,
        network: &str,
        (fits, news): (u32, bool),
    ) -> Result<()> {
        let now = state.spec.mtu_of(network);
        let asked = asked(state, network);
        let fitted = state.domains.get(network).and_then(|domain| domain.fitted);
        let most = if asked.is_some() { None } else { Some(fitted.unwrap_or(now)) };
        match fit(now, most, fits) {
            Fit::Becomes(mtu) => {
                // The tunnel carries longer packets before nodes send them.
                if mtu > now {
                    self.fit_devices(state, network, asked)?;
                }
                self.change_mtu(state, network, mtu)?;
                if let Some(domain) = state.domains.get_mut(network) {
                    domain.fitted = most;
                }
                tracing::warn!(
                    "network {network}: packets of {mtu} bytes, no longer {now}, for the MTU of the \
                     interface that carries its tunnel has changed"
                );
            }
            Fit::Exceeds if news => tracing::warn!(
                "network {network} is to have packets of {now} bytes, and its tunnel carries {fits} in one \
                 piece: `uswitch network set {network} --mtu {fits}`, or raise the MTU of the interface \
                 that carries it"
            ),
            Fit::Exceeds | Fit::Stays => {}
        }
        self.fit_devices(state, network, asked)
    }

    /// Has the devices of a network's tunnels carry what fits, and their ports let that out.
    fn fit_devices(&self, state: &mut State, network: &str, asked: Option<u32>) -> Result<()> {
        let Some(switch_ns) = &self.switch_ns else { return Ok(()) };
        let here = |tunnel: &&mut Tunnel| tunnel.network == network;
        for tunnel in state.tunnels.iter_mut().filter(here) {
            let mtu = carried(tunnel.mtu, asked, tunnel.fits);
            if mtu == tunnel.mtu {
                continue;
            }
            ns::link::set_mtu(switch_ns.as_fd(), &tunnel.port.name, mtu)?;
            self.with_switch(|switch| switch.set_mtu(tunnel.port.id, mtu)).transpose()?;
            tunnel.mtu = mtu;
        }
        Ok(())
    }
}

/// A network is to have packets that a tunnel from an address of this host does not carry in one piece.
pub(crate) fn exceeds((network, asked): (&str, u32), (local, carries): (IpAddr, u32)) -> Error {
    Error::Usage(format!(
        "network {network} is to have packets of {asked} bytes, and a tunnel from {local} carries \
         {carries}: say MTU {carries}, or raise that of the interface with {local} to {}",
        asked.saturating_add(vxlan::overhead(local))
    ))
}

fn follow(
    (mut changes, outer): (Changes, &File),
    stop: &Stop,
    lab: &Weak<Lab>,
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    while stop.wait(changes.as_fd(), PollTimeout::NONE)? != Woken::Stop {
        changes.take()?;
        let Some(lab) = lab.upgrade() else { break };
        lab.fit_tunnels(&mut lab.state(), outer);
    }
    Ok(())
}

/// Whether what somebody has asked for is carried by a tunnel from `local` that carries so much.
pub(super) fn fits(state: &State, network: &str, (local, carries): (IpAddr, u32)) -> Result<()> {
    match asked(state, network) {
        Some(asked) if asked > carries => Err(exceeds((network, asked), (local, carries))),
        _ => Ok(()),
    }
}

/// The MTU that somebody has asked for in a network: its own, or the lab's.
fn asked(state: &State, network: &str) -> Option<u32> {
    if state.domains.get(network).is_some_and(|domain| domain.fitted.is_some()) {
        return None;
    }
    let own = state.spec.network(network).and_then(|own| own.mtu);
    own.or(state.spec.mtu)
}

/// The namespace that tunnels send by.
pub(super) fn outer() -> Result<File> {
    File::open("/proc/self/ns/net").doing(|| "opening the host's namespace".into())
}

/// The MTU of the host's interface that has this address.
pub(super) fn underlay(outer: &File, local: IpAddr) -> Result<u32> {
    let addresses = ns::own::by_link(outer.as_fd())?;
    let own = addresses.iter().find(|(_, address)| *address == local);
    let links = ns::link::list(outer.as_fd())?;
    let link = own.and_then(|(index, _)| links.iter().find(|link| link.index == *index));
    link.map(|link| link.mtu).ok_or_else(|| {
        // Those by which others may reach this host, and are of the kind that was asked for.
        let of_kind = |own: &IpAddr| own.is_ipv4() == local.is_ipv4() && is_host(*own);
        let all = addresses.iter().map(|(_, own)| own).filter(|own| of_kind(own));
        let all: Vec<_> = all.map(ToString::to_string).collect();
        let all = if all.is_empty() { "none".into() } else { all.join(", ") };
        Error::Usage(format!("{local} is no address of this host, which has {all}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mtu_that_nobody_asked_for_follows_down_and_up_again_as_far_as_it_was() {
        for (now, most, fits, becomes) in [
            (1450, Some(1450), 1350, Fit::Becomes(1350)),
            (1350, Some(1450), 1400, Fit::Becomes(1400)),
            (1350, Some(1450), 8950, Fit::Becomes(1450)),
            (1450, Some(1450), 8950, Fit::Stays),
            (1450, Some(1450), 1450, Fit::Stays),
            (1450, None, 1350, Fit::Exceeds),
            (1350, None, 1350, Fit::Stays),
            (1350, None, 8950, Fit::Stays),
        ] {
            assert_eq!(fit(now, most, fits), becomes, "{now} {most:?} {fits}");
        }
    }

    #[test]
    fn a_device_carries_what_was_asked_for_and_else_what_fits() {
        assert_eq!(carried(1450, None, 1350), 1350);
        assert_eq!(carried(1350, None, 8950), 8950);
        assert_eq!(carried(1450, Some(1450), 1350), 1450);
        assert_eq!(carried(1450, Some(1400), 1350), 1400);
        assert_eq!(carried(1450, Some(1500), 1350), 1450);
        assert_eq!(carried(1450, Some(1400), 8950), 8950);
    }
}
