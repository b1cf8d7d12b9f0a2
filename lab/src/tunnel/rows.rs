//! Rows of a tunnel that are set by hand, as `bridge fdb add MAC dev vxlan7 dst END self` does: frames to an
//! address go to one remote end. The kernel keeps them until they are taken out, and drops what comes
//! from that address by another end. Those of a network that etcd or BGP knows are theirs alone.

use std::net::IpAddr;
use std::os::fd::AsFd;

use ns::vxlan::{self, Change, Row};
use switch::{EntryKind, PortId};
use wire::{MacAddr, Timestamp};

use super::Tunnel;
use crate::entries;
use crate::error::{Error, Result};
use crate::lab::{Lab, State};

impl Lab {
    /// Has frames to an address go to a remote end of the tunnel at a port.
    ///
    /// # Errors
    /// [`Error::Usage`] where the port is no tunnel's, the tunnel has no such end, or etcd or BGP tells
    /// of its rows; what the kernel refuses.
    pub fn set_row(&self, port: PortId, mac: MacAddr, end: IpAddr) -> Result<()> {
        let state = self.state();
        let tunnel = by_hand(&state, port)?;
        if !tunnel.remotes.contains(&end) {
            let all: Vec<_> = tunnel.remotes.iter().map(ToString::to_string).collect();
            return Err(Error::Usage(format!(
                "{end} is no remote end of {}, which has {}",
                tunnel.port.name,
                all.join(", ")
            )));
        }
        self.change_row(tunnel, Change::Set(Row { mac: mac.0, remote: end }))
    }

    /// Takes out what was set of an address there; none is no error, nor is another port than a tunnel's.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn remove_row(&self, port: PortId, mac: MacAddr) -> Result<()> {
        let state = self.state();
        let (Ok(tunnel), Some(netns)) = (by_hand(&state, port), &self.switch_ns) else {
            return Ok(());
        };
        let rows = vxlan::rows(netns.as_fd(), tunnel.port.index)?;
        let mut here = rows.into_iter().filter(|row| row.mac == mac.0);
        here.try_for_each(|row| self.change_row(tunnel, Change::Remove(row)))
    }

    /// The tunnels whose rows are set by hand.
    #[must_use]
    pub fn tunnels_by_hand(&self) -> Vec<Tunnel> {
        let state = self.state();
        let hand = |tunnel: &&Tunnel| by_hand(&state, tunnel.port.id).is_ok();
        state.tunnels.iter().filter(hand).cloned().collect()
    }

    fn change_row(&self, tunnel: &Tunnel, change: Change) -> Result<()> {
        match &self.switch_ns {
            Some(netns) => Ok(vxlan::change(netns.as_fd(), tunnel.port.index, &[change])?),
            None => Ok(()),
        }
    }

    /// Puts the rows that the lab's file says into a tunnel that has been plugged in.
    pub(super) fn set_rows(&self, state: &State, tunnel: &Tunnel) -> Result<()> {
        let Some(network) = state.spec.network(&tunnel.network) else { return Ok(()) };
        let here = |entry: &&::topology::FdbEntry| entry.node.as_ref() == Some(&tunnel.port.name);
        let now = Timestamp::from_nanos(sys::clock::now());
        for entry in network.fdb.iter().filter(here) {
            let Some(end) = entry.dst else { continue };
            self.change_row(tunnel, Change::Set(Row { mac: entry.mac.0, remote: end }))?;
            let kind: EntryKind = entries::kind(entry.kind);
            let set = self.with_switch(|switch| {
                let id = state.domains.get(&tunnel.network)?.id;
                let (own, _) = switch.port(tunnel.port.id)?;
                let vlans = entries::vlans(network, Some(&own.vlans), entry.vlan, Vec::new);
                vlans.into_iter().try_for_each(|vlan| {
                    let scope = switch.table().scope(id, vlan)?;
                    switch.table().set(entry.mac, scope, tunnel.port.id, kind, now).then_some(())
                })
            });
            set.flatten().ok_or_else(|| {
                let mac = entry.mac;
                Error::Usage(format!("network {}: its table has no room for {mac}", tunnel.network))
            })?;
        }
        Ok(())
    }
}

/// The tunnel at a port, whose rows may be set.
fn by_hand(state: &State, port: PortId) -> Result<&Tunnel> {
    let tunnel = state.tunnels.iter().find(|tunnel| tunnel.port.id == port);
    let tunnel = tunnel.ok_or_else(|| {
        Error::Usage("it is no port of a tunnel: only what is behind one has a remote end".into())
    })?;
    if state.joined.iter().any(|joined| joined.shared.vni == tunnel.vni) {
        return Err(Error::Usage(format!(
            "{}: the registry tells which host an address is on, and its rows follow that alone",
            tunnel.port.name
        )));
    }
    Ok(tunnel)
}
