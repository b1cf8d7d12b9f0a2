//! The panes: which there are, and the table each makes of what has been seen. Pure.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use control::api::{FdbEntry, Port, PortRates, PortRole, Session};

use super::model::Model;
use super::sample::Listing;
use super::story;
use super::table::{Cell, Column, Kind, Mood, Row, Sort, Table};
use super::text;
use crate::cmd::show;

/// A pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pane {
    Ports,
    Macs,
    Nat,
    Drops,
    Events,
}

/// The panes in the order of their digits.
pub(super) const PANES: [Pane; 5] = [Pane::Ports, Pane::Macs, Pane::Nat, Pane::Drops, Pane::Events];

const fn column(title: &'static str, kind: Kind, rank: u8, least: usize) -> Column {
    Column { title, kind, rank, least }
}

/// The network behind all others, so that these keep their places.
const fn with_network<const N: usize>(of: &[Column]) -> [Column; N] {
    let mut all = [column("NETWORK", Kind::Left, 2, 7); N];
    let mut at = 0;
    while at < of.len() {
        all[at] = of[at];
        at += 1;
    }
    all
}

const PORTS: &[Column] = &[
    column("PORT", Kind::Left, 0, 6),
    column("NODE", Kind::Left, 3, 6),
    column("LINK", Kind::Left, 4, 4),
    column("RX b/s", Kind::Right, 1, 7),
    column("RX f/s", Kind::Right, 4, 6),
    column("TX b/s", Kind::Right, 1, 7),
    column("TX f/s", Kind::Right, 4, 6),
    column("ERRS", Kind::Right, 3, 4),
    column("DROPS", Kind::Right, 2, 5),
    column("RX+TX", Kind::Bars, 5, 8),
    column("RX BYTES", Kind::Right, 6, 8),
    column("TX BYTES", Kind::Right, 6, 8),
    column("MACS", Kind::Right, 6, 4),
    column("WHY DROPPED", Kind::Stretch, 7, 11),
];
/// The same in a lab of several networks.
const PORTS_OF: &[Column] = &with_network::<15>(PORTS);
/// The place of the bars among the ports' columns: sorted by, both ways together.
const TRAFFIC: usize = 9;
const PORT_DROPS: usize = 8;

const MACS: &[Column] = &[
    column("MAC", Kind::Left, 0, 17),
    column("PORT", Kind::Left, 1, 6),
    column("SEEN", Kind::Right, 2, 6),
    column("NODE", Kind::Left, 3, 6),
    column("VLAN", Kind::Right, 4, 4),
    column("STATE", Kind::Left, 5, 9),
    column("FLAGS", Kind::Stretch, 6, 6),
];
const MACS_OF: &[Column] = &with_network::<8>(MACS);
const SEEN: usize = 2;

const NAT: &[Column] = &[
    column("PROTO", Kind::Left, 1, 5),
    column("INSIDE", Kind::Left, 0, 18),
    column("NODE", Kind::Left, 6, 6),
    column("REMOTE", Kind::Left, 2, 18),
    column("OUTSIDE", Kind::Left, 8, 18),
    column("STATE", Kind::Left, 5, 11),
    column("b/s", Kind::Right, 3, 7),
    column("OUT", Kind::Right, 4, 6),
    column("IN", Kind::Right, 4, 6),
    column("AGE", Kind::Right, 9, 6),
    column("ENDS IN", Kind::Right, 7, 7),
];
const SESSION_RATE: usize = 6;

const DROPS: &[Column] = &[
    column("BY", Kind::Left, 1, 7),
    column("REASON", Kind::Left, 0, 16),
    column("f/s", Kind::Right, 3, 6),
    column("TOTAL", Kind::Right, 2, 6),
    column("AT", Kind::Stretch, 4, 8),
];
const DROP_RATE: usize = 2;
const DROP_TOTAL: usize = 3;

const EVENTS: &[Column] = &[
    column("AGO", Kind::Right, 0, 6),
    column("EVENT", Kind::Left, 1, 9),
    column("WHAT", Kind::Stretch, 2, 8),
];

impl Pane {
    /// Its place among [`PANES`].
    pub(super) fn index(self) -> usize {
        PANES.iter().position(|pane| *pane == self).unwrap_or(0)
    }

    pub(super) fn title(self) -> &'static str {
        ["Ports", "MACs", "NAT", "Drops", "Events"][self.index()]
    }

    pub(super) fn columns(self) -> &'static [Column] {
        [PORTS, MACS, NAT, DROPS, EVENTS][self.index()]
    }

    /// How it is sorted unless asked: the busiest first. Events stay as they come.
    pub(super) fn sort(self) -> Option<Sort> {
        self.sort_by('P')
    }

    /// What a letter sorts it by: P what is busiest, N the name, D what is dropped.
    pub(super) fn sort_by(self, letter: char) -> Option<Sort> {
        let falling = |column| Some(Sort { column, falling: true });
        let rising = |column| Some(Sort { column, falling: false });
        match (self, letter) {
            (Self::Ports, 'P') => falling(TRAFFIC),
            (Self::Macs, 'P') => rising(SEEN),
            (Self::Nat, 'P') => falling(SESSION_RATE),
            (Self::Drops, 'P') => falling(DROP_RATE),
            (Self::Ports, 'D') => falling(PORT_DROPS),
            (Self::Drops, 'D') => falling(DROP_TOTAL),
            (Self::Ports | Self::Macs, 'N') => rising(0),
            (Self::Nat | Self::Drops, 'N') => rising(1),
            _ => None,
        }
    }

    /// What it shows, unsorted.
    pub(super) fn table(self, model: &Model) -> Table {
        let sample = model.now();
        match self {
            Self::Ports => {
                let columns = if several(model) { PORTS_OF } else { PORTS };
                let rows = sample.ports.iter().map(|port| {
                    let mut row = port_row(model, port);
                    row.cells.push(network(&port.network));
                    row.cells.truncate(columns.len());
                    row
                });
                whole(columns, rows, "no ports")
            }
            Self::Macs => {
                let columns = if several(model) { MACS_OF } else { MACS };
                let full = sample.counters.switch.as_ref().map_or(0, |switch| switch.fdb_entries);
                let row = |entry: &FdbEntry| {
                    let mut row = mac_row(entry);
                    row.cells.push(network(&entry.network));
                    row.cells.truncate(columns.len());
                    row
                };
                listed(columns, sample.fdb.as_ref(), row, full, "no address is known yet")
            }
            Self::Nat if sample.topology.gateway.is_none() => {
                whole(NAT, [].into_iter(), "this lab has no gateway")
            }
            Self::Nat => {
                let nodes = sample.topology.nodes.iter();
                let nodes: Nodes<'_> =
                    nodes.filter_map(|node| Some((node.address?, &*node.name))).collect();
                let row = |session: &Session| session_row(model, &nodes, session);
                listed(NAT, sample.sessions.as_ref(), row, sessions(model), "no sessions")
            }
            Self::Drops => whole(DROPS, drop_rows(model), "nothing has been dropped"),
            Self::Events => whole(EVENTS, event_rows(model), "nothing has happened yet"),
        }
    }
}

/// Whether there is more than one network, so that it is worth saying which.
fn several(model: &Model) -> bool {
    show::several_networks(model.now().ports.iter())
}

fn network(of: &Option<String>) -> Cell {
    match of {
        Some(network) => Cell::words(network),
        None => Cell::words("-").in_mood(Mood::Dim),
    }
}

/// NAT sessions there are, by the counters.
pub(super) fn sessions(model: &Model) -> u64 {
    let gateway = model.now().counters.gateway.as_ref();
    gateway.map_or(0, |gateway| gateway.nat.usage.values().map(|usage| usage.sessions).sum())
}

fn whole(columns: &'static [Column], rows: impl Iterator<Item = Row>, empty: &str) -> Table {
    Table { columns, rows: rows.collect(), empty: empty.into(), note: None }
}

fn listed<T>(
    columns: &'static [Column],
    listing: Option<&Listing<T>>,
    row: impl Fn(&T) -> Row,
    full: u64,
    empty: &str,
) -> Table {
    let Some(listing) = listing else { return whole(columns, [].into_iter(), "asking …") };
    let count = listing.items.len();
    let note = listing.cut.then(|| format!("{count} of {} asked for", text::grouped(full)));
    Table { note, ..whole(columns, listing.items.iter().map(row), empty) }
}

/// Nodes by their addresses.
type Nodes<'a> = HashMap<Ipv4Addr, &'a str>;

fn plain(cells: Vec<Cell>) -> Row {
    Row { cells, history: Vec::new() }
}

fn port_row(model: &Model, port: &Port) -> Row {
    let rates = model.port_rates(port);
    let rate = |of: &dyn Fn(&PortRates) -> u64| Cell::rate(rates.as_ref().map(of));
    let up = port.operstate == "UP";
    let mood = if up { Mood::Good } else { Mood::Bad };
    let node = match (&port.node, port.role) {
        (Some(node), _) => Cell::words(node),
        (None, PortRole::Routed) => Cell::words("uplink").in_mood(Mood::Dim),
        (None, PortRole::Bridged) => Cell::words("-").in_mood(Mood::Dim),
    };
    let stats = &port.stats64;
    let why: Vec<_> =
        port.drops.iter().map(|(why, count)| format!("{why} {}", text::short(*count))).collect();
    let bytes = |count| Cell::number(count, text::short(count));
    let cells = vec![
        Cell::words(&port.ifname),
        node,
        Cell::words(port.operstate.to_lowercase()).in_mood(mood),
        rate(&|rates| rates.rx.bits_per_second),
        rate(&|rates| rates.rx.packets_per_second),
        rate(&|rates| rates.tx.bits_per_second),
        rate(&|rates| rates.tx.packets_per_second),
        Cell::trouble(stats.rx.errors + stats.tx.errors),
        Cell::trouble(stats.rx.dropped + stats.tx.dropped),
        rate(&|rates| rates.rx.bits_per_second.saturating_add(rates.tx.bits_per_second)),
        bytes(stats.rx.bytes),
        bytes(stats.tx.bytes),
        Cell::number(port.fdb_entries.into(), text::short(port.fdb_entries.into())),
        Cell::words(why.join(", ")),
    ];
    Row { cells, history: model.history(port) }
}

fn mac_row(entry: &FdbEntry) -> Row {
    let state = if entry.state.is_empty() { "learned" } else { &entry.state };
    plain(vec![
        Cell::words(&entry.mac),
        Cell::words(&entry.ifname),
        Cell::number(entry.updated, crate::units::span(entry.updated)),
        Cell::words(entry.node.as_deref().unwrap_or_default()),
        match entry.vlan {
            Some(vlan) => Cell::number(vlan.into(), vlan.to_string()),
            None => Cell::number(0, "-".into()).in_mood(Mood::Dim),
        },
        Cell::words(state).in_mood(Mood::Dim),
        Cell::words(entry.flags.join(" ")),
    ])
}

fn session_row(model: &Model, nodes: &Nodes<'_>, session: &Session) -> Row {
    let bytes = |count| Cell::number(count, text::short(count));
    let [inside, outside, remote] = session.ends();
    plain(vec![
        Cell::words(&session.protocol),
        Cell::words(inside),
        Cell::words(nodes.get(session.inside.ip()).copied().unwrap_or_default()),
        Cell::words(remote),
        Cell::words(outside),
        Cell::words(&session.state).in_mood(Mood::Dim),
        Cell::rate(model.session_rate(session)),
        bytes(session.bytes_out),
        bytes(session.bytes_in),
        Cell::number(session.age, crate::units::span(session.age)),
        Cell::number(session.expires, crate::units::span(session.expires)),
    ])
}

fn drop_rows(model: &Model) -> impl Iterator<Item = Row> {
    model.drops().into_iter().map(|drop| {
        let at = drop.at.iter().map(|(port, count)| format!("{port} {}", text::short(*count)));
        let falling = if drop.rate.unwrap_or(0) > 0 { Mood::Bad } else { Mood::Plain };
        plain(vec![
            Cell::words(drop.by),
            Cell::words(&drop.reason),
            Cell::rate(drop.rate).in_mood(falling),
            Cell::number(drop.count, text::grouped(drop.count)),
            Cell::words(at.collect::<Vec<_>>().join(", ")),
        ])
    })
}

fn event_rows(model: &Model) -> impl Iterator<Item = Row> {
    model.events().map(|(ago, event)| {
        let (name, what, mood) = story::words(event);
        let ago = Cell::number(ago, crate::units::span(ago)).in_mood(Mood::Dim);
        plain(vec![ago, Cell::words(name).in_mood(mood), Cell::words(what)])
    })
}
