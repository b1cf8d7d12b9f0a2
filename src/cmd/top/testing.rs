//! A lab on paper, for the tests of `top`: two nodes that exchange a megabit a second, a third
//! whose link is down, a session to 8.8.8.8, a few drops and events.

use std::time::Duration;

use control::api::{
    Counters, Event, EventKind, FdbEntry, GatewayCounters, Host, NatUsage, Node, Port, PortRole,
    RxStats, Session, Stats64, SwitchCounters, Topology, TopologyKind, TxStats, Uplink,
};

use super::model::Model;
use super::sample::{Listing, Sample};

/// The wall clock at the first look.
const DAWN: u64 = 1_700_000_000_000_000_000;

/// A look `second` seconds after the first.
pub(super) fn look(second: u64) -> Sample {
    look_at(second, 3)
}

/// The same of a lab of `nodes` nodes; the third, if there is one, is unplugged.
pub(super) fn look_at(second: u64, nodes: u32) -> Sample {
    let mut ports: Vec<_> = (1..=nodes).map(|number| port(number, second)).collect();
    if let Some(third) = ports.get_mut(2) {
        third.operstate = "DOWN".into();
        third.stats64 = Stats64::default();
    }
    let drops = |reason: &str, count| (reason.to_owned(), count);
    if let Some(second_port) = ports.get_mut(1) {
        second_port.drops = [drops("same_port", 2), drops("truncated", 5 * second)].into();
        second_port.stats64.rx.dropped = 2;
        second_port.stats64.rx.errors = 5 * second;
    }
    let switch = SwitchCounters {
        received: 1_500 * second,
        forwarded: 1_400 * second,
        flooded: 12,
        local: 80,
        uplink: 3,
        drops: [drops("same_port", 2), drops("truncated", 5 * second)].into(),
        fdb_entries: 2,
        fdb_limit: 65_536,
        workers: 1,
        ..SwitchCounters::default()
    };
    let mut gateway = GatewayCounters::default();
    gateway.drops.insert("no_route".into(), 7);
    gateway.nat.usage.insert("icmp".into(), NatUsage { sessions: 1, mappings: 1 });
    gateway.nat.usage.insert("tcp".into(), NatUsage::default());
    Sample {
        at: Duration::from_secs(1000 + second),
        wall: DAWN + second * 1_000_000_000,
        topology: topology(nodes, second),
        ports,
        counters: Counters { switch: Some(switch), gateway: Some(gateway) },
        fdb: Some(Listing { items: [1, 2].map(|number| entry(number, second)).into(), cut: false }),
        sessions: Some(Listing { items: vec![session(second)], cut: false }),
    }
}

fn topology(nodes: u32, second: u64) -> Topology {
    Topology {
        fast_path: None,
        lab: "uswitch".into(),
        kind: TopologyKind::Switch,
        pid: 4242,
        uptime: 3725 + second,
        links: Vec::new(),
        nodes: (1..=nodes).map(node).collect(),
        gateway: Some(Host {
            forwarding: true,
            address: [10, 100, 0, 1].into(),
            prefix_len: 16,
            mac: "02:00:0a:64:00:01".into(),
        }),
        uplink: Some(Uplink {
            name: "sim".into(),
            address: [203, 0, 113, 2].into(),
            prefix_len: 24,
            next_hop: Some([203, 0, 113, 1].into()),
            nat: "port-restricted-cone".into(),
            answers: vec![[8, 8, 8, 8].into()],
        }),
        uplink_awaited: None,
        host_changes: Vec::new(),
    }
}

fn node(number: u32) -> Node {
    Node {
        name: format!("net{number}"),
        namespace: format!("net{number}"),
        ifname: format!("vethpeer{number}"),
        port: Some(format!("veth{number}")),
        network: Some("lan".into()),
        address: Some([10, 100, 0, 10].into()),
        prefix_len: 16,
        addresses: vec!["10.100.0.10/16".into()],
        mac: None,
        up: number != 3,
        further: Vec::new(),
    }
}

/// Port 1 sends a megabit a second to port 2, which sends a tenth of it back.
fn port(number: u32, second: u64) -> Port {
    let (out, back) = if number == 1 { (125_000, 12_500) } else { (12_500, 125_000) };
    let count = |bytes: u64| (bytes * second, bytes * second / 125);
    let (rx, tx) = (count(out), count(back));
    Port {
        ifindex: number + 1,
        ifname: format!("veth{number}"),
        flags: vec!["UP".into()],
        mtu: 1500,
        master: Some("uswitch".into()),
        operstate: "UP".into(),
        stats64: Stats64 {
            rx: RxStats { bytes: rx.0, packets: rx.1, ..RxStats::default() },
            tx: TxStats { bytes: tx.0, packets: tx.1, ..TxStats::default() },
        },
        node: Some(format!("net{number}")),
        network: Some("lan".into()),
        role: PortRole::Bridged,
        fdb_n_moved: 0,
        loops: 0,
        loop_shut: None,
        mcast_n_groups: 0,
        address: None,
        fdb_entries: 1,
        settings: None,
        vlans: Vec::new(),
        storm: control::api::StormLimits::default(),
        drops: [].into(),
        rates: None,
    }
}

fn entry(number: u32, second: u64) -> FdbEntry {
    FdbEntry {
        dst: None,
        mac: format!("02:00:0a:64:00:{:02x}", number * 10),
        ifname: format!("veth{number}"),
        node: Some(format!("net{number}")),
        network: Some("lan".into()),
        vlan: None,
        updated: u64::from(number) * second,
        flags: Vec::new(),
        master: Some("uswitch".into()),
        state: String::new(),
    }
}

fn session(second: u64) -> Session {
    let at = |address: [u8; 4], port| std::net::SocketAddrV4::new(address.into(), port);
    Session {
        protocol: "icmp".into(),
        inside: at([10, 100, 0, 10], 7),
        outside: at([203, 0, 113, 2], 1024),
        remote: at([8, 8, 8, 8], 7),
        state: "established".into(),
        age: second,
        expires: 30,
        packets_out: second,
        packets_in: second,
        bytes_out: 84 * second,
        bytes_in: 84 * second,
    }
}

/// Something that happened `second` seconds after the first look.
pub(super) fn event(second: u64, kind: EventKind) -> Event {
    Event { time: DAWN + second * 1_000_000_000, kind }
}

/// Three looks, and some events between them.
pub(super) fn seen() -> Model {
    let mut model = Model::new(look(0));
    let mac = "02:00:0a:64:00:0a".to_owned();
    model
        .tell(event(0, EventKind::Learned { network: None, mac, vlan: 0, ifname: "veth1".into() }));
    model.tell(event(1, EventKind::SessionOpened { session: Box::new(session(0)) }));
    model.take(look(1));
    model.tell(event(2, EventKind::PortDown { network: None, ifname: "veth3".into() }));
    model.take(look(2));
    model
}
