//! The scenarios through the gateway: net1 on the LAN, 8.8.8.8 beyond the masquerade.

use std::net::{Ipv4Addr, UdpSocket};

use anyhow::Result;

use super::{Values, lan};
use crate::args::Args;
use crate::load::{datagrams, frames, tcp};
use crate::peers::Lab;

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 100, 0, 1);
const PORT: u16 = 9;

pub fn tcp_1(lab: &Lab, args: &Args) -> Result<Values> {
    lan::bulk("nat/tcp/1", lab, args, 1, false)
}

pub fn tcp_4(lab: &Lab, args: &Args) -> Result<Values> {
    lan::bulk("nat/tcp/4", lab, args, 4, false)
}

pub fn rtt_flood(lab: &Lab, args: &Args) -> Result<Values> {
    lan::round_trips("nat/rtt", lab, None, args.window(0.6))
}

pub fn connections(lab: &Lab, args: &Args) -> Result<Values> {
    let rate = tcp::connections(&lab.nodes[0], &lab.nodes[1], 4, args.window(0.6))?;
    Ok(vec![("nat/connections".into(), rate)])
}

/// One flow of 60-byte frames (UDP, 18 bytes of payload) flat out. A socket takes them in beyond,
/// so that no "port unreachable" comes back.
pub fn udp_60(lab: &Lab, args: &Args) -> Result<Values> {
    let (inside, outside) = (&lab.nodes[0], &lab.nodes[1]);
    let address = outside.address;
    let sink = outside.run(move || Ok(UdpSocket::bind((address, PORT))?))?;
    let to = datagrams::neighbour(inside, GATEWAY)?;
    let frame = datagrams::smallest(to, inside.mac()?, inside.address, (address, PORT));
    let receivers = std::slice::from_ref(outside);
    let seen = frames::send(inside, receivers, &frame, None, args.window(0.6))?;
    drop(sink);
    Ok(vec![
        ("nat/udp/60".into(), seen.delivered / 1e3),
        ("nat/udp/60/lost".into(), seen.lost()),
        ("nat/udp/60/cpu".into(), seen.cpu_per_million),
    ])
}
