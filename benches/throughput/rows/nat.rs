//! The scenarios through the gateway: net1 on the LAN, 8.8.8.8 beyond the masquerade.

use std::net::{Ipv4Addr, UdpSocket};

use anyhow::Result;

use super::{Values, lan};
use crate::args::Args;
use crate::load::frames::Delivery;
use crate::load::{datagrams, frames, tcp};
use crate::peers::Lab;
use crate::topology::Node;

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 100, 0, 1);
const PORT: u16 = 9;
/// As many as a node may have where it is alone: half the table.
const SESSIONS: u16 = 30_000;

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

/// One flow of 60-byte frames (UDP, 18 bytes of payload) flat out.
pub fn udp_60(lab: &Lab, args: &Args) -> Result<Values> {
    let sink = sink(&lab.nodes[1])?;
    let seen = one_flow(lab, args)?;
    drop(sink);
    Ok(vec![
        ("nat/udp/60".into(), seen.delivered / 1e3),
        ("nat/udp/60/lost".into(), seen.lost()),
        ("nat/udp/60/cpu".into(), seen.cpu_per_million),
    ])
}

/// The same, alone and with so many other sessions of the node open.
pub fn sessions(lab: &Lab, args: &Args) -> Result<Values> {
    let sink = sink(&lab.nodes[1])?;
    let alone = one_flow(lab, args)?;
    frames::send_each(&lab.nodes[0], datagrams_from(lab, 1024..1024 + SESSIONS)?)?;
    let beside = one_flow(lab, args)?;
    drop(sink);
    Ok(vec![
        ("full/sessions/few".into(), alone.delivered / 1e3),
        ("full/sessions/many".into(), beside.delivered / 1e3),
    ])
}

/// The same in a table of a million, half of which one node may have.
pub fn million(lab: &Lab, args: &Args) -> Result<Values> {
    const SERVERS: u16 = 8;
    let sink = sink(&lab.nodes[1])?;
    let others: Vec<_> =
        (1..=SERVERS).map(|n| sink_at(&lab.nodes[1], PORT + n)).collect::<Result<_>>()?;
    let alone = one_flow(lab, args)?;
    for server in 1..=SERVERS {
        let all = datagrams_to(lab, PORT + server, 1024..u16::MAX)?;
        frames::send_each(&lab.nodes[0], all)?;
    }
    let beside = one_flow(lab, args)?;
    drop((sink, others));
    Ok(vec![
        ("full/million/few".into(), alone.delivered / 1e3),
        ("full/million/many".into(), beside.delivered / 1e3),
    ])
}

/// Each datagram of another port than the one before: what nothing can be repeated of.
pub fn scan(lab: &Lab, args: &Args) -> Result<Values> {
    let sink = sink(&lab.nodes[1])?;
    let all = datagrams_from(lab, 1024..u16::MAX)?;
    let receivers = std::slice::from_ref(&lab.nodes[1]);
    let seen = frames::send(&lab.nodes[0], receivers, &all, None, args.window(0.6))?;
    drop(sink);
    Ok(vec![
        ("nat/scan".into(), seen.delivered / 1e3),
        ("nat/scan/lost".into(), seen.lost()),
        ("nat/scan/cpu".into(), seen.cpu_per_million),
    ])
}

/// Takes the datagrams in beyond, so that no "port unreachable" comes back.
fn sink(outside: &Node) -> Result<UdpSocket> {
    sink_at(outside, PORT)
}

fn sink_at(outside: &Node, port: u16) -> Result<UdpSocket> {
    let address = outside.address;
    outside.run(move || Ok(UdpSocket::bind((address, port))?))
}

fn one_flow(lab: &Lab, args: &Args) -> Result<Delivery> {
    let frames = datagrams_from(lab, std::iter::once(datagrams::SOURCE))?;
    let receivers = std::slice::from_ref(&lab.nodes[1]);
    frames::send(&lab.nodes[0], receivers, &frames, None, args.window(0.6))
}

/// Datagrams of 60 bytes, each from one of these ports of the node.
fn datagrams_from(lab: &Lab, ports: impl Iterator<Item = u16>) -> Result<Vec<Vec<u8>>> {
    datagrams_to(lab, PORT, ports)
}

fn datagrams_to(lab: &Lab, port: u16, ports: impl Iterator<Item = u16>) -> Result<Vec<Vec<u8>>> {
    let (inside, outside) = (&lab.nodes[0], &lab.nodes[1]);
    let (to, own) = (datagrams::neighbour(inside, GATEWAY)?, inside.mac()?);
    let target = (outside.address, port);
    Ok(ports.map(|port| datagrams::smallest(to, own, (inside.address, port), target)).collect())
}
