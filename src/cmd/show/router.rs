//! What the gateway knows: sessions, published ports, neighbours, routes. Lines of text.

use std::net::IpAddr;

use control::api::{Neighbour, Published, Route, Session};

use super::lines;
use crate::paint::Paint;
use crate::table::Table;
use crate::units;

pub(super) fn nat(published: &[Published], sessions: &[Session], paint: Paint) -> Vec<String> {
    let mut text = Vec::new();
    if !published.is_empty() {
        text.extend(self::published(published, paint));
        text.push(String::new());
    }
    let mut table = Table::new(&[
        "PROTO", "INSIDE", "OUTSIDE", "REMOTE", "STATE", ">AGE", ">EXPIRES", ">OUT", ">BYTES",
        ">IN", ">BYTES",
    ]);
    for session in sessions {
        let [inside, outside, remote] = session.ends();
        table.row([
            session.protocol.clone(),
            inside,
            outside,
            remote,
            session.state.clone(),
            units::span(session.age),
            units::span(session.expires),
            session.packets_out.to_string(),
            units::bytes(session.bytes_out),
            session.packets_in.to_string(),
            units::bytes(session.bytes_in),
        ]);
    }
    text.extend(lines(&table, paint));
    text
}

pub(super) fn published(list: &[Published], paint: Paint) -> Vec<String> {
    let mut table = Table::new(&["PUBLISHED", "LEADS TO", "NODE"]);
    for one in list {
        let address = match one.address {
            None => String::new(),
            Some(IpAddr::V4(own)) => format!("{own}:"),
            Some(IpAddr::V6(own)) => format!("[{own}]:"),
        };
        table.row([
            format!("{address}{}/{}", one.port, one.protocol),
            one.inside.to_string(),
            one.node.clone().unwrap_or_else(|| "-".into()),
        ]);
    }
    lines(&table, paint)
}

pub(super) fn neighbours(list: &[Neighbour], paint: Paint) -> Vec<String> {
    let mut table = Table::new(&["ADDRESS", "SIDE", "MAC", "STATE", ">AGE", ">WAITING"]);
    for one in list {
        table.row([
            one.dst.to_string(),
            one.dev.clone(),
            one.lladdr.clone().unwrap_or_else(|| "-".into()),
            one.state.join(" ").to_ascii_lowercase(),
            units::span(one.age),
            one.waiting.to_string(),
        ]);
    }
    lines(&table, paint)
}

pub(super) fn routes(list: &[Route], paint: Paint) -> Vec<String> {
    let mut table = Table::new(&["DESTINATION", "VIA", "SIDE", "SOURCE"]);
    let or_dash = |address: Option<std::net::Ipv4Addr>| {
        address.map_or_else(|| "-".into(), |address| address.to_string())
    };
    for one in list {
        table.row([one.dst.clone(), or_dash(one.gateway), one.dev.clone(), or_dash(one.prefsrc)]);
    }
    lines(&table, paint)
}
