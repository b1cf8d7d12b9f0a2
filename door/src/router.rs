//! What the gateway knows, for the door: page by page, for workers wait meanwhile.

use std::net::{Ipv4Addr, SocketAddrV4};

use control::api::{Neighbour, Page, PageQuery, Protocol, Published, Route, Session};
use gateway::{Cursor, NeighbourView, RouteView, SessionView, Side};
use lab::led::Led;
use wire::Timestamp;

use crate::open::{Answer, LabDoor, now};

/// The gateway's sides, by what they are called: its legs by their networks' names.
fn sides(door: &LabDoor) -> Answer<Vec<(Side, String)>> {
    let mut sides = Vec::new();
    for (network, domain) in door.lab()?.networks() {
        sides.extend(domain.legs.iter().map(|(_, leg)| (Side::Leg(*leg), network.clone())));
    }
    // In the order of their numbers, for that is the order of pages.
    sides.sort_by_key(|(side, _)| base(*side));
    sides.push((Side::Uplink, "uplink".into()));
    Ok(sides)
}

/// Where the keys of a side's addresses begin.
fn base(side: Side) -> u64 {
    match side {
        Side::Leg(leg) => u64::from(leg.0) << 32,
        Side::Uplink => 1 << 48,
    }
}

pub(crate) fn neighbours(door: &LabDoor, page: &PageQuery) -> Answer<Page<Neighbour>> {
    // The cursor: the side, then the address.
    let from = page.cursor.unwrap_or(0);
    let limit = page.limit();
    let now = now();
    let mut found: Vec<(u64, Neighbour)> = Vec::new();
    for (side, name) in sides(door)? {
        let base = base(side);
        let Some(first) = from.max(base).checked_sub(base).and_then(|at| u32::try_from(at).ok())
        else {
            continue;
        };
        // One more than is shown, which says where the next page starts.
        let wanted = (limit + 1).saturating_sub(found.len());
        let views = door
            .gateway(|gateway| gateway.neighbours_from(side, Ipv4Addr::from(first), wanted, now))?;
        let row =
            |view: NeighbourView| (base + u64::from(view.address.to_bits()), told(view, &name));
        found.extend(views.into_iter().map(row));
    }
    let next = found.get(limit).map(|(key, _)| *key);
    found.truncate(limit);
    Ok(Page { items: found.into_iter().map(|(_, row)| row).collect(), next })
}

fn told(view: NeighbourView, side: &str) -> Neighbour {
    let state = match view.state {
        "probing" => "PROBE".into(),
        other => other.to_ascii_uppercase(),
    };
    Neighbour {
        dst: view.address,
        dev: side.into(),
        lladdr: view.mac.map(|mac| mac.to_string()),
        state: vec![state],
        age: view.age.as_secs(),
        waiting: view.waiting as u64,
    }
}

pub(crate) fn sessions(door: &LabDoor, page: &PageQuery) -> Answer<Page<Session>> {
    let now = now();
    let mut cursor = Cursor(page.cursor.unwrap_or(0));
    let mut items = Vec::new();
    // The lock is let go between two looks; the table has an end, so this does too.
    loop {
        let limit = page.limit() - items.len();
        let (views, next, own) = door.gateway(|gateway| {
            let (views, next) = gateway.sessions(cursor, limit, now);
            (views, next, gateway.uplink_address())
        })?;
        let own = own.map_or(Ipv4Addr::UNSPECIFIED, |own| own.address);
        items.extend(views.iter().map(|view| session(view, own)));
        match next {
            Some(next) if items.len() < page.limit() => cursor = next,
            next => return Ok(Page { items, next: next.map(|next| next.0) }),
        }
    }
}

fn session(view: &SessionView, own: Ipv4Addr) -> Session {
    Session {
        protocol: view.protocol.to_string(),
        inside: socket(view.inside),
        outside: SocketAddrV4::new(own, view.outside_port),
        remote: socket(view.remote),
        state: view.state.as_str().into(),
        age: view.age.as_secs(),
        expires: view.remaining.as_secs(),
        packets_out: view.packets_out.into(),
        packets_in: view.packets_in.into(),
        bytes_out: view.bytes_out,
        bytes_in: view.bytes_in,
    }
}

/// The session an event is about, as it was then.
pub(crate) fn session_of(event: &gateway::Event, own: Ipv4Addr, now: Timestamp) -> Session {
    Session {
        protocol: event.protocol.to_string(),
        inside: socket(event.inside),
        outside: SocketAddrV4::new(own, event.outside_port),
        remote: socket(event.remote),
        state: event.state.as_str().into(),
        age: now.as_secs().saturating_sub(event.opened.into()),
        expires: event.expires.since(now).as_secs(),
        packets_out: event.packets_out.into(),
        packets_in: event.packets_in.into(),
        bytes_out: event.bytes_out,
        bytes_in: event.bytes_in,
    }
}

fn socket(endpoint: gateway::Endpoint) -> SocketAddrV4 {
    SocketAddrV4::new(endpoint.address, endpoint.port)
}

/// The gateway's protocol in the door's words.
pub(crate) fn protocol(protocol: gateway::Protocol) -> Protocol {
    match protocol {
        gateway::Protocol::Tcp => Protocol::Tcp,
        gateway::Protocol::Udp => Protocol::Udp,
        gateway::Protocol::Icmp => Protocol::Icmp,
    }
}

/// The other way around.
pub(crate) fn theirs(protocol: Protocol) -> gateway::Protocol {
    match protocol {
        Protocol::Tcp => gateway::Protocol::Tcp,
        Protocol::Udp => gateway::Protocol::Udp,
        Protocol::Icmp => gateway::Protocol::Icmp,
    }
}

pub(crate) fn routes(door: &LabDoor) -> Answer<Vec<Route>> {
    let views = door.gateway(|gateway| gateway.routes())?;
    let sides = sides(door)?;
    let named = |side: Side| {
        let found = sides.iter().find(|(of, _)| *of == side);
        found.map_or_else(|| side.to_string(), |(_, name)| name.clone())
    };
    let row = |view: RouteView| Route {
        dst: match view.prefix_len {
            0 => "default".into(),
            length => format!("{}/{length}", view.prefix),
        },
        gateway: view.via,
        dev: named(view.side),
        prefsrc: view.own,
        flags: Vec::new(),
    };
    Ok(views.into_iter().map(row).collect())
}

/// What the gateway leads to nodes, and ports of the host's that lead to containers.
pub(crate) fn published(door: &LabDoor) -> Answer<Vec<Published>> {
    let lab = door.lab()?;
    let mut all: Vec<_> = lab.led().iter().map(of_host).collect();
    // A port of the host's may be the gateway's too, for what comes from outside.
    for one in mapped(door)? {
        let same = |led: &Published| (led.protocol, led.port) == (one.protocol, one.port);
        if !all.iter().any(same) {
            all.push(one);
        }
    }
    let nodes = lab.nodes();
    for one in &mut all {
        let owner = nodes.iter().find(|node| {
            let mut own = node.interfaces.iter().flat_map(|interface| &interface.addresses);
            own.any(|own| own.ip == one.inside.ip())
        });
        one.node = owner.map(|node| node.name.clone());
    }
    all.sort_by_key(|one| (one.port, one.protocol.to_string(), one.address));
    Ok(all)
}

/// What the gateway leads to nodes.
pub(crate) fn mapped(door: &LabDoor) -> Answer<Vec<Published>> {
    let list = door.gateway(|gateway| gateway.published().to_vec())?;
    Ok(list.iter().map(shown).collect())
}

pub(crate) fn shown(published: &gateway::Published) -> Published {
    Published {
        protocol: protocol(published.protocol),
        address: published.address.map(Into::into),
        port: published.port,
        inside: socket(published.inside).into(),
        node: None,
    }
}

fn of_host(led: &Led) -> Published {
    let Led { protocol, address, port, inside } = *led;
    Published { protocol, address, port, inside, node: None }
}
