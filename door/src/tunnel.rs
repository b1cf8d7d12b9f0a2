//! Tunnels to other hosts, for the door.

use control::api::{AddTunnel, EventKind, Hosts, MemberHost, Tunnel};
use lab::tunnel::Senders;

use crate::bridge;
use crate::open::{Answer, LabDoor, now, refusal};

fn told(door: &LabDoor, tunnel: lab::tunnel::Tunnel) -> Tunnel {
    let of_port = |switch: &switch::Switch| {
        let ports = switch.ports().into_iter();
        ports.filter(|info| info.id == tunnel.port.id).map(|info| bridge::stats(&info.stats)).next()
    };
    let stats64 = door.switch(of_port).ok().flatten().unwrap_or_default();
    let (senders, foreign, foreign_from, foreign_by) = match tunnel.senders() {
        Senders::Members { foreign, last, by } => ("members", foreign, last, by),
        Senders::Open => ("open", 0, None, None),
    };
    Tunnel {
        ifname: tunnel.port.name,
        vni: tunnel.vni,
        local: tunnel.local,
        remotes: tunnel.remotes,
        port: tunnel.udp_port,
        network: tunnel.network,
        mtu: tunnel.mtu,
        fits: tunnel.fits,
        network_mtu: tunnel.network_mtu,
        senders: senders.into(),
        foreign,
        foreign_from,
        foreign_by,
        stats64,
    }
}

pub(crate) fn tunnels(door: &LabDoor) -> Answer<Vec<Tunnel>> {
    Ok(door.lab()?.tunnels().into_iter().map(|tunnel| told(door, tunnel)).collect())
}

/// The networks of several hosts that the lab is in.
pub(crate) fn hosts(door: &LabDoor) -> Answer<Vec<Hosts>> {
    Ok(door.lab()?.hosts().into_iter().map(of_several).collect())
}

fn of_several(
    lab::hosts::OfSeveral { join, vni, network, status }: lab::hosts::OfSeveral,
) -> Hosts {
    let mut addresses = status.addresses();
    let host = |member: lab::hosts::Member| MemberHost {
        own: member.name == join.host,
        addresses: addresses.remove(&member.name).unwrap_or_default(),
        name: member.name,
        vtep: member.vtep,
        nodes: member.nodes,
    };
    let since = status.alone.as_ref().map(|(since, _)| now().since(*since).as_secs());
    Hosts {
        registry: {
            let scheme = join.scheme();
            join.members.iter().map(|member| format!("{scheme}://{member}")).collect()
        },
        speaks: status.speaks,
        state: match (&status.out, since) {
            (Some(_), _) => "out",
            (None, Some(_)) => "alone",
            (None, None) => "joined",
        }
        .into(),
        alone: since,
        why: status.out.or(status.alone.map(|(_, why)| why)).or(status.amiss),
        revision: status.revision,
        rows: status.rows as u64,
        repairs: status.repairs,
        leases_lost: status.leases_lost,
        cut_off: status.cut_off,
        hosts: status.members.into_iter().map(host).collect(),
        name: join.name,
        network,
        vni,
    }
}

/// What happened among the hosts, in the door's words.
pub(crate) fn happened(event: lab::hosts::Event) -> EventKind {
    use lab::hosts::Event;
    match event {
        Event::Came(host, vtep) => EventKind::HostCame { host, vtep },
        Event::Went(host) => EventKind::HostWent { host },
        Event::Alone(why) => EventKind::RegistryAlone { why },
        Event::Back => EventKind::RegistryBack,
        Event::Repaired(count) => EventKind::RowsRepaired { count: count as u64 },
        Event::CutOff(node, why) => EventKind::NodeCutOff { node, why },
        Event::Restored(node) => EventKind::NodeRestored { node },
    }
}

pub(crate) fn add_tunnel(door: &LabDoor, ask: &AddTunnel) -> Answer<Tunnel> {
    let tunnel = door.lab()?.add_tunnel(ask).map_err(|error| refusal(&error))?;
    Ok(told(door, tunnel))
}

pub(crate) fn remove_tunnel(door: &LabDoor, vni: u32) -> Answer<()> {
    door.lab()?.remove_tunnel(vni).map_err(|error| refusal(&error))
}
