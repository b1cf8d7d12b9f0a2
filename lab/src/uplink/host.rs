//! The real uplink as a whole: looked at before anything is built, attached once the switch runs,
//! moved when the host's address or interface changes.
//!
//! What it changes on the host is told before it is done. The drop and the ring die with this
//! value, or with the process; the reserved ports are the journal's to give back.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use gateway::{NatType, Published};
use ns::route;
use ns::user::Privilege;
use switch::{Elsewhere, PortId, PortRole, PortSpec, Switch};

use super::crossing::{self, Crossing, Near};
use super::facts::{self, Facts};
use super::follow::NextHops;
use super::forwarded;
use super::occupied::{self, Claim};
use super::others;
use super::silence::{self, Means, Silence, Target};
use super::{PortBlock, reserve};
use crate::config::{LabConfig, Uplink};
use crate::error::{Doing, Error, Result};
use crate::ground::Ground;
use crate::journal::Journal;
use crate::lab::Lab;
use crate::progress::Progress;
use crate::station::{self, GatewayStation};

/// Of an uplink that is not there yet.
const MTU: u16 = 1500;

/// A real uplink that can be had.
pub(crate) struct Prepared {
    asked: Option<String>,
    block: PortBlock,
    /// Ports beside the block may be published too.
    served: bool,
    kind: NatType,
    /// None while the host has no default route.
    pub(super) facts: Option<Facts>,
    netns: Arc<OwnedFd>,
    claim: Claim,
}

impl Prepared {
    /// Looks whether the uplink that is asked for can be had; None where it is none of the host's.
    pub(crate) fn look(config: &LabConfig, ground: &Ground) -> Result<Option<Self>> {
        let spec = &config.spec;
        let Uplink::Host(asked) = &spec.uplink() else { return Ok(None) };
        let block = spec.uplink_ports;
        let refuse = |why| Error::Uplink { name: asked.clone().unwrap_or("auto".into()), why };
        if ground.privilege() == Privilege::Ordinary {
            return Err(refuse(
                "only root can share the host's address: run it with sudo, or use --uplink sim"
                    .into(),
            ));
        }
        let netns: OwnedFd = File::open("/proc/thread-self/ns/net")
            .doing(|| "holding the host's network namespace".into())?
            .into();
        let view = route::look(netns.as_fd())?;
        let facts = match facts::choose(&view, asked.as_deref(), None, &station::inside(spec)) {
            Err(why) if config.served => {
                tracing::warn!("{why}; until then there is no way out");
                None
            }
            chosen => Some(chosen?),
        };
        if let Some(Facts { name, .. }) = facts.as_ref().filter(|facts| !facts.up && !config.served)
        {
            return Err(refuse(format!("{name} is down: set it up, `ip link set {name} up`")));
        }
        let claim = occupied::claim(block, config.name.as_str())?.map_err(refuse)?;
        if let Some(dead) = reserve::left_by(ground, block, &config.name)? {
            return Err(refuse(format!(
                "lab {dead} was killed and has ports of the block {block} still: undo it first, \
                 `{} down --name {dead}`",
                crate::called::program()
            )));
        }
        if let Some(facts) = &facts {
            if let Some(taken) = occupied::socket(facts.address.address, &block.range(), None)? {
                return Err(refuse(taken.in_block(block)));
            }
            if let Some(why) = forwarded::in_block(netns.as_fd(), facts, block)? {
                return Err(refuse(why));
            }
        }
        let (asked, kind) = (asked.clone(), station::nat(spec.nat));
        let served = config.served;
        Ok(Some(Self { asked, block, served, kind, facts, netns: Arc::new(netns), claim }))
    }

    /// The gateway's side of it.
    pub(crate) fn gateway(&self) -> gateway::Uplink {
        let (mac, mtu, address) = match &self.facts {
            Some(Facts { mac, mtu, address, .. }) => (*mac, *mtu, Some(*address)),
            None => (wire::MacAddr::ZERO, MTU, None),
        };
        gateway::Uplink { mac, address, mtu, ports: self.block.range(), shared: true }
    }

    /// Reserves, silences and attaches; each told before it is done.
    pub(crate) fn begin(
        self,
        (switch, station): (&Switch, &Mutex<GatewayStation>),
        (near, next_index): (Option<Near>, &mut u32),
        journal: &mut Journal,
        tell: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Host> {
        let Self { asked, block, served, kind, facts, netns, claim } = self;
        let means = Means::of(kind, near.as_ref().map(|near| Arc::clone(&near.held)));
        let mut host = Host {
            asked,
            block,
            served,
            netns,
            means,
            near,
            live: None,
            next_hops: NextHops::default(),
            forgotten: 0,
            _claim: claim,
        };
        for change in host.to_change(facts.as_ref()) {
            tell(Progress::Host(change));
        }
        let what = || format!("reserving the ports {block} of the host");
        let reserved = reserve::plan(block).doing(what)?;
        journal.reserve(reserved.clone())?;
        reserve::add(&reserved).doing(what)?;
        {
            let mut station = station.lock().unwrap_or_else(PoisonError::into_inner);
            station.gateway().tell_ours(host.means.hears());
            let link_local = facts.as_ref().map(|facts| facts.link_local.clone());
            station.gateway().set_link_local(link_local.unwrap_or_default());
        }
        host.live = facts.map(|facts| host.attach(switch, facts, next_index)).transpose()?;
        Ok(host)
    }
}

/// The real uplink of a running lab.
pub(crate) struct Host {
    pub(super) asked: Option<String>,
    block: PortBlock,
    served: bool,
    netns: Arc<OwnedFd>,
    /// How its stack is kept silent.
    means: Means,
    /// Where the kernel's way to the nodes is to be; None without a fast path.
    near: Option<Near>,
    live: Option<Live>,
    /// Next hops of the routes that were seen last, for whoever hears of them.
    pub(super) next_hops: NextHops,
    /// Sessions forgotten because an address went.
    forgotten: u64,
    _claim: Claim,
}

/// Attached to an interface.
struct Live {
    facts: Facts,
    port: PortId,
    _silence: Silence,
    crossing: Option<Crossing>,
}

impl Host {
    /// The namespace it lies in.
    pub(crate) fn netns(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.netns)
    }

    /// Its port of the switch, while there is one.
    pub(crate) fn port(&self) -> Option<PortId> {
        self.live.as_ref().map(|live| live.port)
    }

    /// The interface, while there is one.
    pub(crate) fn interface(&self) -> Option<&str> {
        self.live.as_ref().map(|live| live.facts.name.as_str())
    }

    /// The link by which the kernel gets there from the switch's namespace, while there is one.
    pub(crate) fn crossing(&self) -> Option<&'static str> {
        self.live.as_ref()?.crossing.as_ref().map(|_| crossing::NEAR)
    }

    /// Why a port cannot be published: since the lab began a socket of the host has it, or the host
    /// forwards it.
    pub(crate) fn in_the_way(&self, protocol: &str, port: u16) -> Result<Option<String>> {
        let Some(live) = &self.live else { return Ok(None) };
        let address = live.facts.address.address;
        let taken = sys::netns::inside(self.netns.as_fd(), || {
            Ok(occupied::socket(address, &(port..=port), Some(protocol)))
        });
        let taken = taken.doing(|| "looking for sockets of the host".into())??;
        if let Some(taken) = taken {
            return Ok(Some(taken.published()));
        }
        forwarded::published(self.netns.as_fd(), &live.facts, protocol, port)
    }

    /// Keeps of ports that are held at the host's kernel those whose visitors from outside can be the
    /// NAT's: the kernel is told of them, and no rule of the host's has them elsewhere. Of those that have a
    /// rule it says which; an error where rules cannot be read.
    pub(crate) fn yields<T>(
        &self,
        asked: &mut Vec<(T, Published)>,
    ) -> Vec<(Published, Result<String>)> {
        asked.retain(|(_, new)| self.means.holds(self.block, new.port));
        let Some(live) = &self.live else { return Vec::new() };
        let ports = || asked.iter().map(|(_, new)| new.port);
        let (Some(first), Some(last)) = (ports().min(), ports().max()) else { return Vec::new() };
        let netns = self.netns.as_fd();
        if forwarded::any(netns, &live.facts, first..=last).is_ok_and(|any| !any) {
            return Vec::new();
        }
        let mut theirs = Vec::new();
        asked.retain(|(_, new)| {
            let found = forwarded::published(netns, &live.facts, new.protocol.as_str(), new.port);
            let why = found.transpose();
            let is_free = why.is_none();
            theirs.extend(why.map(|why| (*new, why)));
            is_free
        });
        theirs
    }

    /// What is changed on the host now.
    pub(crate) fn changes(&self) -> Vec<String> {
        self.to_change(self.live.as_ref().map(|live| &live.facts))
    }

    /// What is changed there for an uplink, a line each.
    fn to_change(&self, facts: Option<&Facts>) -> Vec<String> {
        let block = self.block;
        let mut all =
            vec![format!("ports {block} are reserved (net.ipv4.ip_local_reserved_ports)")];
        let Some(facts) = facts else { return all };
        let (name, address) = (&facts.name, facts.address.address);
        let beside = if self.served { " and those of containers" } else { "" };
        all.push(format!(
            "what the NAT answers of TCP and UDP to {address}, ports {block}{beside}, by {name} is \
             kept from its stack ({})",
            self.means.as_str()
        ));
        if self.near.is_some() {
            let crossing = crossing::name(block);
            all.push(format!(
                "an interface {crossing}, without addresses, is the kernel's way from {name} to the \
                 nodes (--fast-path)"
            ));
        }
        all
    }

    /// The stack is silent before the ring hears, so that it never answers what the ring gets.
    fn attach(&self, switch: &Switch, facts: Facts, next_index: &mut u32) -> Result<Live> {
        let address = facts.address.address;
        let (index, block) = (facts.index, self.block);
        let target = Target { index, interface: &facts.name, address, block };
        let silence = silence::begin(self.netns.as_fd(), target, &self.means).map_err(|error| Error::Uplink {
            name: facts.name.clone(),
            why: format!(
                "its stack cannot be kept silent: that takes tcx (Linux 6.6, CAP_BPF) or nftables \
                 with owners (Linux 5.12, CAP_NET_ADMIN): {error}"
            ),
        })?;
        let ends = (block, facts.name.as_str());
        let cross = |near: &Near| near.cross(self.netns.as_fd(), ends, next_index);
        let crossing = self.near.as_ref().map(cross).transpose()?.flatten();
        let by = crossing.as_ref().map(|made| made.told(address, block));
        let pass = self.means.pass(address, block).map_err(|error| Error::Uplink {
            name: facts.name.clone(),
            why: format!("what comes for the lab cannot be told from what is the host's: {error}"),
        })?;
        let port = switch.add_port(PortSpec {
            role: PortRole::Routed,
            netns: Some(Elsewhere { netns: self.netns(), pass, crossing: by }),
            ..PortSpec::bridged(facts.name.clone(), facts.index, facts.mtu.into())
        })?;
        if !facts.carrier {
            switch.set_link(port, false)?;
        }
        Ok(Live { facts, port, _silence: silence, crossing })
    }

    /// Lets go of the interface. The ring goes before the silence does.
    fn detach(&mut self, switch: &Switch) {
        if let Some(live) = self.live.take()
            && let Err(error) = switch.remove_port(live.port)
        {
            tracing::warn!("uplink {}: {error}", live.facts.name);
        }
    }

    /// Looks at the host again and follows what has changed.
    /// True where it is at another place now.
    pub(crate) fn refresh(
        &mut self,
        lab: &Lab,
        inside: &[(Ipv4Addr, u8)],
        next_index: &mut u32,
    ) -> bool {
        let view = match route::look(self.netns.as_fd()) {
            Ok(view) => view,
            Err(error) => {
                tracing::error!("the uplink is not followed: {error}");
                return false;
            }
        };
        self.next_hops.saw(&view);
        let place = |host: &Self| {
            host.live.as_ref().map(|live| (live.facts.index, live.facts.address.address))
        };
        let before = place(self);
        let last = self.live.as_ref().map(|live| live.facts.name.clone());
        let now = facts::choose(&view, self.asked.as_deref(), last.as_deref(), inside);
        lab.with_switch(|switch| match now {
            Ok(facts) => {
                others::leave(lab, &view, facts.address.address);
                self.follow(lab, switch, facts, next_index);
            }
            Err(error) => self.lose(lab, switch, &error),
        });
        place(self) != before
    }

    fn follow(&mut self, lab: &Lab, switch: &Switch, new: Facts, next_index: &mut u32) {
        let place = |facts: &Facts| (facts.index, facts.address.address);
        match &mut self.live {
            Some(live) if live.facts == new => return,
            Some(live) if place(&live.facts) == place(&new) => {
                let told = switch
                    .set_link(live.port, new.carrier)
                    .and_then(|()| switch.set_mtu(live.port, new.mtu.into()));
                if let Err(error) = told {
                    tracing::warn!("uplink {}: {error}", new.name);
                }
                live.facts = new.clone();
            }
            _ => {
                let old = self.live.as_ref().map(|live| live.facts.clone());
                // Nothing leaves under the old address by the new interface, nor the other way.
                let moved = old.as_ref().map(|old| old.address.address);
                let forgotten = if moved == Some(new.address.address) { 0 } else { forget(lab) };
                self.forgotten += forgotten;
                self.detach(switch);
                match self.attach(switch, new.clone(), next_index) {
                    Ok(live) => self.live = Some(live),
                    Err(error) => {
                        forget(lab);
                        return tracing::error!("{error}");
                    }
                }
                tracing::warn!(
                    "uplink {}: the address is {} now; {forgotten} sessions forgotten",
                    new.name,
                    new.address.address
                );
            }
        }
        let Facts { mac, mtu, address, link_local, .. } = new;
        lab.with_gateway(|gateway| {
            gateway.set_uplink_link(mac, mtu);
            gateway.set_link_local(link_local);
            gateway.set_uplink_address(Some(address), now())
        });
    }

    fn lose(&mut self, lab: &Lab, switch: &Switch, why: &Error) {
        if self.live.is_none() {
            return;
        }
        let forgotten = forget(lab);
        self.forgotten += forgotten;
        self.detach(switch);
        tracing::warn!("{why}; {forgotten} sessions forgotten");
    }

    /// Sessions forgotten because an address went.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

/// The uplink has no address; says how many sessions that ended.
fn forget(lab: &Lab) -> u64 {
    lab.with_gateway(|gateway| gateway.set_uplink_address(None, now())).unwrap_or(0)
}

fn now() -> wire::Timestamp {
    wire::Timestamp::from_nanos(sys::clock::now())
}
