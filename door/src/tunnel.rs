//! Tunnels to other hosts, for the door.

use control::api::{AddTunnel, Tunnel};

use crate::bridge;
use crate::open::{Answer, LabDoor, refusal};

fn told(door: &LabDoor, tunnel: lab::tunnel::Tunnel) -> Tunnel {
    let of_port = |switch: &switch::Switch| {
        let ports = switch.ports().into_iter();
        ports.filter(|info| info.id == tunnel.port.id).map(|info| bridge::stats(&info.stats)).next()
    };
    let stats64 = door.switch(of_port).ok().flatten().unwrap_or_default();
    Tunnel {
        ifname: tunnel.port.name,
        vni: tunnel.vni,
        local: tunnel.local,
        remotes: tunnel.remotes,
        port: tunnel.udp_port,
        network: tunnel.network,
        mtu: tunnel.mtu,
        stats64,
    }
}

pub(crate) fn tunnels(door: &LabDoor) -> Answer<Vec<Tunnel>> {
    Ok(door.lab()?.tunnels().into_iter().map(|tunnel| told(door, tunnel)).collect())
}

pub(crate) fn add_tunnel(door: &LabDoor, ask: &AddTunnel) -> Answer<Tunnel> {
    let tunnel = door.lab()?.add_tunnel(ask).map_err(|error| refusal(&error))?;
    Ok(told(door, tunnel))
}

pub(crate) fn remove_tunnel(door: &LabDoor, vni: u32) -> Answer<()> {
    door.lab()?.remove_tunnel(vni).map_err(|error| refusal(&error))
}
