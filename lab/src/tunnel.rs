//! Tunnels to other hosts: a VXLAN device of the kernel as a port of the switch (RFC 7348).
//!
//! The device lies in the switch's namespace and sends by the host's routes. Frames for addresses that
//! nobody is known for go to all remote ends; the kernel learns behind which end an address is. It goes
//! with the switch's namespace, however the lab ends.

mod barred;
mod far;
mod members;
mod routed;
mod rows;
mod underlay;

use std::collections::BTreeSet;
use std::fs::File;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;

use ::topology::join::{self, is_host};
use control::api::AddTunnel;
use ns::user::Privilege;
use ns::vxlan::{self, Vxlan};
use switch::{PortId, PortSettings, PortSpec, Reach};

use crate::domain;
use crate::error::{Error, Result};
use crate::hosts::Joined;
use crate::lab::{Lab, State};
use crate::node::Plug;
use crate::port;

pub use self::far::Far;
pub(crate) use self::members::Members;
pub use self::members::Senders;
pub(crate) use self::underlay::exceeds;
use self::underlay::{fits, underlay};

/// VXLAN's own port (IANA).
pub const PORT: u16 = 4789;
/// The longest frame that a tunnel's device takes whole, in bytes: with the headers of a tunnel over IPv6
/// (70) it stays a packet.
const LONGEST: u32 = 65_535 - 128;
/// The largest number of a network, 24 bits.
const LARGEST: u32 = (1 << 24) - 1;

/// A tunnel of the running lab.
#[derive(Clone, Debug)]
pub struct Tunnel {
    /// The number of its network outside.
    pub vni: u32,
    /// The host's address that it sends from.
    pub local: IpAddr,
    /// Its remote ends.
    pub remotes: Vec<IpAddr>,
    /// The UDP port of all ends.
    pub udp_port: u16,
    /// The network here that it belongs to.
    pub network: String,
    /// The largest packet it carries, in bytes.
    pub mtu: u32,
    /// The largest that the host's interface sends in one piece, in bytes.
    pub fits: u32,
    /// The MTU of its network, in bytes.
    pub network_mtu: u32,
    /// Its port of the switch.
    pub port: Plug,
    /// Lets in what members send; None where the kernel has no such filter.
    pub(crate) members: Option<Arc<Members>>,
}

impl Tunnel {
    /// Who may send to it, and who has tried.
    #[must_use]
    pub fn senders(&self) -> Senders {
        self.members.as_ref().map_or(Senders::Open, |members| members.senders())
    }
}

impl Lab {
    /// Plugs in a tunnel to other hosts. Where the network's packets are too large for it, and nobody has asked
    /// for them, the network's MTU becomes what the tunnel carries.
    ///
    /// # Errors
    /// [`Error::Usage`] for what makes no sense, without root, and where the host has no such address;
    /// [`Error::NoSwitch`], [`Error::NoNetwork`]; what the kernel says. Nothing has changed then.
    pub fn add_tunnel(self: &Arc<Self>, ask: &AddTunnel) -> Result<Tunnel> {
        if ask.remotes.is_empty() {
            return Err(Error::Usage("a tunnel leads somewhere: name a remote end".into()));
        }
        self.check_fits(ask.network.as_deref(), ask.local)?;
        let tunnel = self.plug_in_tunnel(ask, true)?;
        let AddTunnel { vni, local, remotes, network, port } = ask.clone();
        let local = Some(local);
        self.state().spec.tunnels.push(join::Tunnel { vni, remotes, local, network, port });
        Ok(tunnel)
    }

    /// Says why this host can have no end of a tunnel at `local`.
    pub(crate) fn check_end(&self, local: IpAddr) -> Result<File> {
        if self.switch_ns.is_none() {
            return Err(Error::NoSwitch(self.config().name.to_string()));
        }
        if self.ground().privilege() == Privilege::Ordinary {
            let line =
                "a tunnel sends by the host's network, which takes root: run the lab as root";
            return Err(Error::Usage(line.into()));
        }
        if local.is_loopback() {
            return Err(Error::Usage(format!(
                "{local} is an address of this host alone: say the one by which the others reach it"
            )));
        }
        if !is_host(local) {
            return Err(Error::Usage(format!(
                "{local} is no address by which other hosts reach this one"
            )));
        }
        let outer = underlay::outer()?;
        underlay(&outer, local)?;
        Ok(outer)
    }

    /// Plugs a tunnel in. One without remote ends learns nothing: its rows are set. One that comes `anew`
    /// leaves an MTU that somebody has asked for meanwhile; an earlier process had the others.
    pub(crate) fn plug_in_tunnel(self: &Arc<Self>, ask: &AddTunnel, anew: bool) -> Result<Tunnel> {
        let lab = || self.config().name.to_string();
        let Some(switch_ns) = &self.switch_ns else { return Err(Error::NoSwitch(lab())) };
        check(ask)?;
        let (network, domain) = self.network(ask.network.as_deref())?;
        let outer = self.check_end(ask.local)?;
        self.check_port(ask)?;
        let whole = underlay(&outer, ask.local)?;
        let mtu = whole.saturating_sub(vxlan::overhead(ask.local));
        self.follow_underlay()?;
        let members = members(&outer, ask);
        let mut guard = self.state();
        let state = &mut *guard;
        if anew {
            fits(state, &network, (ask.local, mtu))?;
        }
        let before = self.make_room(state, &network, mtu).map_err(|error| match error {
            Error::Usage(line) => Error::Usage(format!(
                "{line}; a tunnel from {} carries no more, for its interface has MTU {whole}",
                ask.local
            )),
            other => other,
        })?;
        let place = (ask, network.as_str(), domain.id);
        let plugged = self.plug_tunnel(state, place, (mtu, members), |device, remotes| {
            vxlan::create(outer.as_fd(), switch_ns.as_fd(), device, remotes).map_err(Error::from)
        });
        match (&plugged, before) {
            (Err(_), Some(before)) => self.give_back(state, &network, before)?,
            // What has become of the interface before the tunnel was among those that follow it.
            (Ok(_), _) => self.fit_tunnels(state, &outer),
            (Err(_), None) => {}
        }
        plugged
    }

    /// Deletes the tunnels' devices with the lab. They would go with the switch's namespace too, but the
    /// kernel takes its time with that, and their numbers are the host's. Those of a namespace that
    /// outlives the process go on.
    pub(crate) fn unmake_tunnels(&self, state: &mut State) -> Vec<Error> {
        let own = self.switch_ns.as_ref().filter(|_| !self.config().served);
        let Some(netns) = own else { return Vec::new() };
        let tunnels = state.tunnels.drain(..);
        let deleted = tunnels.map(|tunnel| ns::link::delete(netns.as_fd(), tunnel.port.index));
        deleted.filter_map(|done| done.err().map(Error::from)).collect()
    }

    fn plug_tunnel(
        &self,
        state: &mut State,
        (ask, network, id): (&AddTunnel, &str, switch::NetworkId),
        (mtu, members): (u32, Option<Arc<Members>>),
        make: impl FnOnce(&Vxlan<'_>, &[IpAddr]) -> Result<()>,
    ) -> Result<Tunnel> {
        let Some(switch_ns) = &self.switch_ns else {
            return Err(Error::NoSwitch(self.config().name.to_string()));
        };
        let udp_port = ask.port.unwrap_or(PORT);
        // Of another UDP port the kernel would take one more; its name would be the same.
        if state.tunnels.iter().any(|t| t.vni == ask.vni) {
            return Err(Error::Usage(format!("there is a tunnel with VNI {} already", ask.vni)));
        }
        let (name, index) = (format!("vxlan{}", ask.vni), state.next_index);
        let local = ask.local;
        let learning = !ask.remotes.is_empty();
        let device =
            Vxlan { name: &name, index, vni: ask.vni, local, port: udp_port, mtu, learning };
        let remotes = &ask.remotes;
        // One that an earlier process left in a namespace that outlives it.
        if let Some(left) = ns::link::find(switch_ns.as_fd(), &name)? {
            ns::link::delete(switch_ns.as_fd(), left)?;
        }
        make(&device, remotes)?;
        state.next_index += 1;
        // Where rows are set, so is who is behind them: questions for them are answered here.
        let neigh_suppress = !learning;
        let plugged = port::plugged(self.config().spec.storm);
        // Who is behind it is one of those who do not reach each other.
        let apart = state.spec.network(network).is_some_and(|own| own.isolated);
        let isolation = apart.then_some(port::ISOLATED);
        let reach = Reach::Far;
        let settings = PortSettings { learning, neigh_suppress, isolation, reach, ..plugged };
        let plug = || -> Result<PortId> {
            let (settings, vlans) = domain::of_port(&state.spec, &name, network, settings)?;
            let spec = PortSpec::bridged(name.clone(), index, mtu);
            let longest = Some(LONGEST);
            let spec = PortSpec { up: false, network: id, settings, vlans, longest, ..spec };
            let plugged = self.with_switch(|switch| {
                let id = switch.add_port(spec)?;
                switch.sync()?;
                Ok::<_, switch::Error>(id)
            });
            let lab = || Error::NotRunning(self.config().name.to_string());
            let id = plugged.ok_or_else(lab)??;
            ns::link::set_up(switch_ns.as_fd(), index, true)?;
            match self.with_switch(|switch| switch.set_link(id, true)) {
                Some(told) => told.map(|()| id).map_err(Error::from),
                None => Err(lab()),
            }
        };
        let id = plug().inspect_err(|_| {
            // The switch lets go of the port when the link is gone.
            let _ = ns::link::delete(switch_ns.as_fd(), index);
        })?;
        let tunnel = Tunnel {
            vni: ask.vni,
            local: ask.local,
            remotes: ask.remotes.clone(),
            udp_port,
            network: network.into(),
            mtu,
            fits: mtu,
            network_mtu: state.spec.mtu_of(network),
            port: Plug { id, name, index },
            members,
        };
        state.tunnels.push(tunnel.clone());
        self.fit_gso(state, network);
        self.tell_gateway(state);
        if let Err(error) = self.set_rows(state, &tunnel) {
            tracing::warn!("{}: {error}", tunnel.port.name);
        }
        Ok(tunnel)
    }

    /// Takes a tunnel out; the network's MTU stays what it is.
    ///
    /// # Errors
    /// [`Error::Usage`] where there is none of this number; what the kernel says.
    pub fn remove_tunnel(&self, vni: u32) -> Result<()> {
        let mut state = self.state();
        let place = state.tunnels.iter().position(|tunnel| tunnel.vni == vni);
        let is = |joined: &Joined| joined.shared.vni == vni;
        let joined = state.joined.iter().position(is).map(|place| state.joined.remove(place));
        // Somebody else may have deleted the device of a network that this host is in all the same.
        if place.is_none() && joined.is_none() {
            let all: Vec<_> = state.tunnels.iter().map(|tunnel| tunnel.vni.to_string()).collect();
            let all = if all.is_empty() { "none".into() } else { all.join(", ") };
            return Err(Error::Usage(format!("there is no tunnel with VNI {vni}; there is {all}")));
        }
        let tunnel = place.map(|place| state.tunnels.remove(place));
        if let Some(tunnel) = &tunnel {
            self.fit_gso(&state, &tunnel.network);
        }
        let of_it = |number: u32| number == vni;
        state.spec.tunnels.retain(|own| !of_it(own.vni));
        let named = joined.is_some();
        self.tell_gateway(&state);
        state.spec.join.take_if(|own| match own {
            join::Join::Named(own) => of_it(own.vni),
            join::Join::Etcd(_) | join::Join::Bgp(_) => named,
        });
        drop(state);
        // It waits for a thread that may ask for the state.
        let was_joined = joined.is_some();
        drop(joined);
        if was_joined {
            self.tell_known()?;
        }
        let Some(tunnel) = tunnel else { return Ok(()) };
        if let Some(Err(error)) = self.with_switch(|switch| switch.remove_port(tunnel.port.id)) {
            tracing::warn!("{}: {error}", tunnel.port.name);
        }
        match &self.switch_ns {
            Some(netns) => Ok(ns::link::delete(netns.as_fd(), tunnel.port.index)?),
            None => Ok(()),
        }
    }

    /// The tunnels there are.
    #[must_use]
    pub fn tunnels(&self) -> Vec<Tunnel> {
        let state = self.state();
        let mut tunnels = state.tunnels.clone();
        for tunnel in &mut tunnels {
            tunnel.network_mtu = state.spec.mtu_of(&tunnel.network);
        }
        for joined in &state.joined {
            let own = joined.shared.join.vtep;
            let ends = joined.shared.status().members.iter().map(|member| member.vtep).collect();
            let is = |tunnel: &&mut Tunnel| tunnel.vni == joined.shared.vni;
            if let Some(tunnel) = tunnels.iter_mut().find(is) {
                tunnel.remotes = ends;
                tunnel.remotes.retain(|end| *end != own);
            }
        }
        tunnels
    }

    /// Has the nodes of a network make GSO frames that its tunnels take, where the kernel repeats what
    /// is decided: the switch cuts longer ones, the kernel does not.
    pub(crate) fn fit_gso(&self, state: &State, network: &str) {
        if self.fast.path.is_none() {
            return;
        }
        let large = !state.tunnels.iter().any(|tunnel| tunnel.network == network);
        for held in &state.nodes {
            let own = held.node.interfaces.iter();
            for own in own.filter(|i| i.network.as_deref() == Some(network)) {
                let set = held
                    .home
                    .descriptor()
                    .and_then(|home| Ok(ns::link::set_gso(home.as_fd(), &own.name, large)?));
                if let Err(error) = set {
                    tracing::warn!("node {}: {error}", held.node.name);
                }
            }
        }
    }
}

/// Has what comes to a tunnel looked at, before there is one.
fn members(outer: &File, ask: &AddTunnel) -> Option<Arc<Members>> {
    let of = (ask.vni, ask.port.unwrap_or(PORT), ask.local);
    match Members::begin(outer, of, ask.remotes.iter().copied().collect()) {
        Ok(members) => Some(Arc::new(members)),
        Err(error) => {
            tracing::warn!("tunnel {} takes frames from everybody: {error}", ask.vni);
            None
        }
    }
}

/// Refuses what cannot be a tunnel.
fn check(ask: &AddTunnel) -> Result<()> {
    let refuse = |line: String| Err(Error::Usage(line));
    if !(1..=LARGEST).contains(&ask.vni) {
        return refuse(format!("VNI {}: they are numbered from 1 to {LARGEST}", ask.vni));
    }
    if ask.port == Some(0) {
        return refuse("port 0 is none: VXLAN has 4789".into());
    }
    let mut seen = BTreeSet::new();
    for remote in &ask.remotes {
        if !is_host(*remote) {
            return refuse(format!("{remote} is no host's address"));
        }
        if remote.is_ipv4() != ask.local.is_ipv4() {
            return refuse(format!(
                "{} and {remote}: the ends of a tunnel are all of IPv4 or all of IPv6",
                ask.local
            ));
        }
        if *remote == ask.local {
            return refuse(format!("{remote} is this host's own end, and no remote one"));
        }
        if !seen.insert(remote) {
            return refuse(format!("remote end {remote} twice"));
        }
    }
    Ok(())
}
