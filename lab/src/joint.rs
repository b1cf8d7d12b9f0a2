//! Links between networks ([`::topology::Joint`]): a veth pair in the switch's namespace with a port at
//! each end, so that what leaves one network by its port comes in at the other's like any frame. Whatever
//! holds for ports holds for these: settings, VLANs, counters, traces, loops that are seen.
//!
//! Made with the lab, by its blueprint; they go with the switch's namespace.

use std::os::fd::AsFd;
use std::sync::PoisonError;
use std::time::Duration;

use ::topology::{Joint as Asked, Spec};
use ns::plan::VethOptions;
use ns::{NsId, Plan};
use switch::{PortId, Switch};
use wire::Timestamp;

use crate::domain::Domains;
use crate::error::{Error, Result};
use crate::lab::{Lab, State};
use crate::node::Plug;
use crate::plug::{self, Place};
use crate::port;

/// The kernel tells of a link that comes up within this.
const HEARD: Duration = Duration::from_secs(1);

/// A link between two networks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joint {
    /// Its name, `link1`.
    pub name: String,
    /// Its ends, each in the network of the same place.
    pub ports: [Plug; 2],
    /// The networks.
    pub networks: [String; 2],
}

impl Joint {
    /// The other end of a port of it, with the network there.
    #[must_use]
    pub fn beyond(&self, port: PortId) -> Option<(PortId, &str)> {
        let at = self.ports.iter().position(|own| own.id == port)?;
        Some((self.ports[1 - at].id, self.networks[1 - at].as_str()))
    }

    /// Its port in a network.
    #[must_use]
    pub fn port(&self, network: &str) -> Option<&Plug> {
        let at = self.networks.iter().position(|own| own == network)?;
        Some(&self.ports[at])
    }

    /// Whether one of its ports is this interface of the switch's namespace.
    pub(crate) fn has(&self, index: u32) -> bool {
        self.ports.iter().any(|port| port.index == index)
    }
}

/// The links of a lab as a plan.
pub(crate) fn planned(plan: &mut Plan, switch: NsId, spec: &Spec) -> Vec<Joint> {
    let mut pair = |asked: Asked<'_>| {
        let Asked { name, networks, mtu, .. } = asked;
        let ends = [1, 2].map(|end| format!("{name}.{end}"));
        let options = VethOptions { mtu, ..VethOptions::default() };
        let (a, b) = plan.veth((switch, &ends[0]), (switch, &ends[1]), options);
        let [first, second] = ends;
        let plug = |name, index| Plug { id: PortId::LOCAL, name, index };
        let ports = [plug(first, a), plug(second, b)];
        Joint { name, ports, networks: networks.map(str::to_owned) }
    };
    spec.joints().map(&mut pair).collect()
}

/// Plugs the ends of a link in, which are down yet.
pub(crate) fn plugged(
    switch: &Switch,
    (spec, domains): (&Spec, &Domains),
    joint: &Joint,
) -> Result<[PortId; 2]> {
    let mtu = spec.joint(&joint.name).map_or_else(|| spec.mtu(), |asked| asked.mtu);
    let plug = |at: usize| {
        let (network, port) = (joint.networks[at].as_str(), &joint.ports[at]);
        let place = Place { node: &joint.name, network, behind: None };
        plug::bridge_port(switch, (spec, domains), (port, mtu), place, port::plugged(spec.storm))
    };
    Ok([plug(0)?, plug(1)?])
}

/// Holds an end of a link that looks for loops, until [`Switch::try_out`]. One is enough: nothing passes.
pub(crate) fn held(switch: &Switch, ports: [PortId; 2]) -> Option<PortId> {
    ports.into_iter().rev().find(|port| switch.hold(*port))
}

/// The links as they run, plugged in under these numbers.
pub(crate) fn running(planned: &[Joint], ids: &[[PortId; 2]]) -> Vec<Joint> {
    let with = |(joint, ids): (&Joint, &[PortId; 2])| {
        let mut joint = joint.clone();
        joint.ports.iter_mut().zip(ids).for_each(|(port, id)| port.id = *id);
        joint
    };
    planned.iter().zip(ids).map(with).collect()
}

impl Lab {
    /// The links between networks.
    #[must_use]
    pub fn joints(&self) -> Vec<Joint> {
        self.state().joints.clone()
    }

    /// Has the links of a network take the MTU that follows from its own; what they had before.
    pub(crate) fn follow_joints(&self, state: &State, network: &str) -> Result<()> {
        let mut done = Vec::new();
        for joint in state.joints.iter().filter(|own| own.port(network).is_some()) {
            let Some(mtu) = state.spec.joint(&joint.name).map(|asked| asked.mtu) else { continue };
            let mut ports = joint.ports.iter();
            let before = self.with_switch(|switch| switch.port(joint.ports[0].id));
            let before = before.flatten().map(|(spec, _)| spec.mtu);
            let Some(before) = before.filter(|before| *before != mtu) else { continue };
            done.push((joint, before));
            if let Err(error) = ports.try_for_each(|port| self.set_port_mtu(port, mtu)) {
                for (joint, before) in done {
                    for port in &joint.ports {
                        if let Err(error) = self.set_port_mtu(port, before) {
                            tracing::warn!("{error}");
                        }
                    }
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Sets the MTU of an end, and of its port.
    fn set_port_mtu(&self, port: &Plug, mtu: u32) -> Result<()> {
        if let Some(switch_ns) = &self.switch_ns {
            ns::link::set_mtu(switch_ns.as_fd(), &port.name, mtu)?;
        }
        match self.with_switch(|switch| switch.set_mtu(port.id, mtu)) {
            Some(told) => Ok(told?),
            None => Ok(()),
        }
    }

    /// Pulls the cable of a link, or plugs it in; false where there is no such link.
    pub(crate) fn set_joint(&self, name: &str, network: Option<&str>, up: bool) -> Result<bool> {
        let _trial = up.then(|| self.trial.lock().unwrap_or_else(PoisonError::into_inner));
        let state = self.state();
        let Some(joint) = state.joints.iter().find(|joint| joint.name == name) else {
            return Ok(false);
        };
        let meant =
            match network {
                None => joint.ports.iter().collect::<Vec<_>>(),
                Some(network) => vec![joint.port(network).ok_or_else(|| {
                    Error::Usage(format!("{name} has no end in network {network}"))
                })?],
            };
        let ports = joint.ports.each_ref().map(|port| port.id);
        let held = match up && !self.are_up(ports) {
            true => self.with_switch(|switch| held(switch, ports)).flatten(),
            false => None,
        };
        if held.is_some() {
            self.with_switch(Switch::sync).transpose()?;
        }
        let done = self.switch_ns.as_ref().map_or(Ok(()), |switch_ns| {
            let netns = switch_ns.as_fd();
            meant.into_iter().try_for_each(|port| ns::link::set_up(netns, port.index, up))
        });
        // Whoever tells the switch of links may want it.
        drop(state);
        self.hear()?;
        // Of the end beside one that is pulled or plugged in, the kernel tells later.
        self.list_links()?;
        if let Some(held) = held {
            self.await_up(ports);
            self.with_switch(|switch| switch.try_out(held)).transpose()?;
        }
        done?;
        Ok(true)
    }

    fn are_up(&self, ends: [PortId; 2]) -> bool {
        let ports = self.with_switch(|switch| switch.ports()).unwrap_or_default();
        ports.iter().filter(|info| info.up && ends.contains(&info.id)).count() == ends.len()
    }

    /// Waits for a while until the switch has heard that both ends of a link are up.
    fn await_up(&self, ends: [PortId; 2]) {
        let now = || Timestamp::from_nanos(sys::clock::now());
        let begun = now();
        while !self.are_up(ends) && now().since(begun) < HEARD {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl State {
    /// One end of a link is gone, and the other with it: its ports.
    pub(crate) fn joint_gone(&mut self, index: u32) -> Option<[PortId; 2]> {
        let place = self.joints.iter().position(|joint| joint.has(index))?;
        let joint = self.joints.remove(place);
        tracing::warn!("{}: its interfaces are gone", joint.name);
        Some(joint.ports.map(|port| port.id))
    }
}
