//! A lab in memory, for the tests: fixed answers, a growing set of nodes, events on demand.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::api::*;
use crate::{CHUNK, Door, DoorError, Events, Flow, flow};

/// Added to what was written once the writer of a flow has ended.
pub(crate) const FLOW_OVER: u64 = 1 << 32;

pub(crate) struct MemoryLab {
    pub(crate) nodes: Mutex<Vec<Node>>,
    pub(crate) events: Events,
    /// Chunks of captures written, and [`FLOW_OVER`] for each that has ended.
    pub(crate) written: Arc<AtomicU64>,
    /// How many addresses the switch knows.
    pub(crate) fdb: u64,
    /// How long each call for counters takes.
    pub(crate) slow: Duration,
}

impl MemoryLab {
    pub(crate) fn with_nodes(count: u8) -> Self {
        let nodes = Mutex::new((1..=count).map(node).collect());
        Self { nodes, events: Events::new(), written: Arc::default(), fdb: 3, slow: Duration::ZERO }
    }
}

fn node(i: u8) -> Node {
    Node {
        name: format!("net{i}"),
        namespace: format!("net{i}"),
        ifname: format!("vethpeer{i}"),
        port: Some(format!("veth{i}")),
        network: Some("lan".into()),
        address: Some(Ipv4Addr::new(10, 100, 0, i * 10)),
        prefix_len: 16,
        addresses: vec![format!("10.100.0.{}/16", i * 10)],
        mac: Some(format!("02:00:00:00:00:{i:02x}")),
        up: true,
        further: Vec::new(),
    }
}

fn session() -> Session {
    Session {
        protocol: "tcp".into(),
        inside: SocketAddrV4::new(Ipv4Addr::new(10, 100, 0, 10), 40000),
        outside: SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 2), 40000),
        remote: SocketAddrV4::new(Ipv4Addr::new(8, 8, 8, 8), 443),
        state: "established".into(),
        age: 1,
        expires: 7439,
        packets_out: 3,
        packets_in: 2,
        bytes_out: 200,
        bytes_in: 100,
    }
}

fn published() -> Published {
    let inside = SocketAddrV4::new(Ipv4Addr::new(10, 100, 0, 10), 80);
    let (inside, node) = (inside.into(), Some("web".into()));
    Published { protocol: Protocol::Tcp, address: None, port: 8080, inside, node }
}

impl Door for MemoryLab {
    fn topology(&self) -> Topology {
        Topology {
            lab: "test".into(),
            kind: TopologyKind::Switch,
            pid: 1,
            uptime: 7,
            links: Vec::new(),
            nodes: self.nodes.lock().unwrap().clone(),
            gateway: Some(Host {
                forwarding: true,
                address: Ipv4Addr::new(10, 100, 0, 1),
                prefix_len: 16,
                mac: "02:00:00:00:01:00".into(),
            }),
            uplink: None,
            uplink_awaited: None,
            fast_path: None,
            host_changes: Vec::new(),
        }
    }

    fn ports(&self, page: &PageQuery) -> Result<Page<Port>, DoorError> {
        let nodes = self.nodes.lock().unwrap();
        let ports = nodes.iter().zip(1..).map(|(node, ifindex)| Port {
            ifindex,
            ifname: node.port.clone().unwrap(),
            flags: vec!["UP".into()],
            mtu: 1500,
            address: None,
            master: Some("test".into()),
            operstate: "UP".into(),
            stats64: Stats64 {
                rx: RxStats { bytes: 100, packets: 1, ..RxStats::default() },
                tx: TxStats::default(),
            },
            node: Some(node.name.clone()),
            network: Some("lan".into()),
            role: PortRole::Bridged,
            fdb_entries: 1,
            fdb_n_moved: 0,
            loops: 0,
            loop_shut: None,
            mcast_n_groups: 0,
            settings: Some(PortSettings::default()),
            vlans: Vec::new(),
            storm: StormLimits::default(),
            drops: BTreeMap::from([("runt".into(), 3)]),
            rates: Some(PortRates::default()),
        });
        Ok(Page::cut(ports.collect(), page, |port| port.ifindex.into()))
    }

    fn fdb(&self, page: &PageQuery) -> Result<Page<FdbEntry>, DoorError> {
        let from = page.cursor.unwrap_or(0);
        let to = self.fdb.min(from + page.limit() as u64);
        let entry = |n: u64| FdbEntry {
            dst: None,
            mac: format!(
                "02:00:{:02x}:{:02x}:{:02x}:{:02x}",
                n >> 24,
                n >> 16 & 255,
                n >> 8 & 255,
                n & 255
            ),
            ifname: "veth1".into(),
            node: Some("net1".into()),
            network: Some("lan".into()),
            vlan: None,
            updated: 1,
            flags: Vec::new(),
            master: Some("test".into()),
            state: String::new(),
        };
        Ok(Page { items: (from..to).map(entry).collect(), next: (to < self.fdb).then_some(to) })
    }

    fn fast_flows(&self, _: &PageQuery) -> Result<Page<FastFlow>, DoorError> {
        Ok(Page { items: Vec::new(), next: None })
    }

    fn neighbours(&self, _: &PageQuery) -> Result<Page<Neighbour>, DoorError> {
        let items = vec![Neighbour {
            dst: Ipv4Addr::new(10, 100, 0, 10),
            dev: "lan".into(),
            lladdr: Some("02:00:00:00:00:01".into()),
            state: vec!["REACHABLE".into()],
            age: 2,
            waiting: 0,
        }];
        Ok(Page { items, next: None })
    }

    fn sessions(&self, _: &PageQuery) -> Result<Page<Session>, DoorError> {
        Ok(Page { items: vec![session()], next: None })
    }

    fn routes(&self) -> Result<Vec<Route>, DoorError> {
        Err(DoorError::Unsupported("this lab has no gateway".into()))
    }

    fn names(&self, _: &PageQuery) -> Result<Page<Name>, DoorError> {
        let name = Name {
            name: "net1".into(),
            fqdn: "net1.test".into(),
            aliases: Vec::new(),
            whose: NameOf::Node,
            network: Some("lan".into()),
            addresses: vec![Ipv4Addr::new(10, 100, 0, 10).into()],
        };
        Ok(Page { items: vec![name], next: None })
    }

    fn counters(&self) -> Counters {
        std::thread::sleep(self.slow);
        let drops = BTreeMap::from([("runt".into(), 3)]);
        let switch = SwitchCounters { received: 5, forwarded: 2, drops, ..Default::default() };
        Counters { switch: Some(switch), gateway: Some(GatewayCounters::default()) }
    }

    fn ports_counted(&self) -> (Vec<Port>, Counters) {
        let ports = self.ports(&PageQuery::default());
        (ports.map(|page| page.items).unwrap_or_default(), self.counters())
    }

    fn published(&self) -> Result<Vec<Published>, DoorError> {
        Ok(vec![published()])
    }

    fn publish(&self, ask: &Publish) -> Result<Published, DoorError> {
        match ask.port {
            8080 => Err(DoorError::Conflict("tcp port 8080 is published already".into())),
            port => Ok(Published { port, ..published() }),
        }
    }

    fn unpublish(&self, _: Protocol, port: u16) -> Result<(), DoorError> {
        let missing = || DoorError::NotFound(format!("tcp port {port} is not published"));
        (port == 8080).then_some(()).ok_or_else(missing)
    }

    fn add_node(&self, _: &AddNode) -> Result<Node, DoorError> {
        let mut nodes = self.nodes.lock().unwrap();
        let new = node(u8::try_from(nodes.len()).unwrap() + 1);
        nodes.push(new.clone());
        Ok(new)
    }

    fn remove_node(&self, name: &str) -> Result<(), DoorError> {
        let mut nodes = self.nodes.lock().unwrap();
        let place = nodes.iter().position(|node| node.name == name);
        let place = place.ok_or_else(|| DoorError::NotFound(format!("there is no node {name}")))?;
        nodes.remove(place);
        Ok(())
    }

    fn tunnels(&self) -> Result<Vec<Tunnel>, DoorError> {
        Ok(Vec::new())
    }

    fn hosts(&self) -> Result<Vec<Hosts>, DoorError> {
        Ok(Vec::new())
    }

    fn add_tunnel(&self, ask: &AddTunnel) -> Result<Tunnel, DoorError> {
        Ok(Tunnel {
            ifname: format!("vxlan{}", ask.vni),
            vni: ask.vni,
            local: ask.local,
            remotes: ask.remotes.clone(),
            port: ask.port.unwrap_or(4789),
            network: "lan".into(),
            mtu: 1450,
            fits: 1450,
            network_mtu: 1450,
            senders: "members".into(),
            foreign: 0,
            foreign_from: None,
            foreign_by: None,
            stats64: Stats64::default(),
        })
    }

    fn remove_tunnel(&self, vni: u32) -> Result<(), DoorError> {
        Err(DoorError::NotFound(format!("no tunnel {vni}")))
    }

    fn set_link(&self, node: &str, _: &SetLink) -> Result<(), DoorError> {
        match node {
            "net1" => Ok(()),
            _ => Err(DoorError::NotFound(format!("no node {node}"))),
        }
    }

    fn set_gateway(&self, ask: &SetGateway) -> Result<Routing, DoorError> {
        let nat = ask.nat.clone().unwrap_or_else(|| "port-restricted-cone".into());
        Ok(Routing { forwarding: ask.forwarding.unwrap_or(true), nat })
    }

    fn flush_nat(&self, ask: &FlushNat) -> Result<Flushed, DoorError> {
        Ok(Flushed { flushed: if ask.node.is_some() { 1 } else { 2 } })
    }

    fn flush_fdb(&self, ask: &FlushFdb) -> Result<Flushed, DoorError> {
        Ok(Flushed { flushed: if ask.port.is_some() { 1 } else { self.fdb } })
    }

    fn set_port(&self, port: &str, _: &SetPort) -> Result<Port, DoorError> {
        let ports = self.ports(&PageQuery::default())?.items;
        let named = |candidate: &Port| candidate.ifname == port;
        let missing = || DoorError::NotFound(format!("there is no port {port}"));
        ports.into_iter().find(named).ok_or_else(missing)
    }

    fn move_port(&self, port: &str, ask: &MovePort) -> Result<Port, DoorError> {
        let port = self.set_port(port, &ask.settings)?;
        Ok(Port { network: ask.network.clone(), ..port })
    }

    fn add_vlan(&self, _: &str, ask: &AddVlan) -> Result<(), DoorError> {
        let refused = || DoorError::Invalid(format!("{} is no VLAN: 1 to 4094", ask.vlan));
        (1..4095).contains(&ask.vlan).then_some(()).ok_or_else(refused)
    }

    fn del_vlan(&self, _: &str, _: u16, _: u16) -> Result<(), DoorError> {
        Ok(())
    }

    fn set_fdb(&self, _: &SetFdb) -> Result<(), DoorError> {
        Ok(())
    }

    fn mdb(&self) -> Result<Mdb, DoorError> {
        Ok(Mdb::default())
    }

    fn set_mdb(&self, ask: &SetMdb) -> Result<(), DoorError> {
        let missing = || DoorError::NotFound(format!("there is no port {}", ask.port));
        (ask.port == "veth1").then_some(()).ok_or_else(missing)
    }

    fn del_mdb(&self, ask: &SetMdb) -> Result<(), DoorError> {
        self.set_mdb(ask)
    }

    fn known(&self) -> Result<Vec<Known>, DoorError> {
        Ok(Vec::new())
    }

    fn set_known(&self, _: &Known) -> Result<(), DoorError> {
        Ok(())
    }

    fn del_fdb(&self, _: &DelFdb) -> Result<Flushed, DoorError> {
        Ok(Flushed { flushed: 1 })
    }

    fn spec(&self) -> Result<Spec, DoorError> {
        Ok(Spec::default())
    }

    fn networks(&self) -> Result<Vec<Network>, DoorError> {
        Ok(vec![Network { name: "lan".into(), ..Network::default() }])
    }

    fn add_network(&self, ask: &AddNetwork) -> Result<Network, DoorError> {
        Ok(Network { name: ask.name.clone(), ..Network::default() })
    }

    fn remove_network(&self, _: &str) -> Result<(), DoorError> {
        Ok(())
    }

    fn set_network(&self, name: &str, _: &SetNetwork) -> Result<Network, DoorError> {
        Ok(Network { name: name.into(), ..Network::default() })
    }

    fn capture(&self, ask: &CaptureAsk) -> Result<Flow, DoorError> {
        if ask.filter == "nonsense" {
            return Err(DoorError::Invalid("filter: no such word: nonsense".into()));
        }
        let (writer, flow) = flow(7);
        let count = ask.count.unwrap_or(u64::MAX);
        let written = Arc::clone(&self.written);
        std::thread::spawn(move || {
            for _ in 0..count {
                if !writer.write(vec![0x5a; CHUNK]) {
                    break;
                }
                written.fetch_add(1, Ordering::Relaxed);
            }
            written.fetch_add(FLOW_OVER, Ordering::Relaxed);
        });
        Ok(flow)
    }

    fn trace(&self, ask: &TraceAsk) -> Result<Flow, DoorError> {
        let (writer, flow) = flow(8);
        let count = ask.count.unwrap_or(1);
        std::thread::spawn(move || {
            for lost in 0..count {
                let line = serde_json::to_string(&TraceLine::Lost { count: lost }).unwrap();
                if !writer.write((line + "\n").into_bytes()) {
                    return;
                }
            }
        });
        Ok(flow)
    }

    fn end_flow(&self, id: u64) -> Result<(), DoorError> {
        let missing = || DoorError::NotFound(format!("there is no flow {id}"));
        (id == 7).then_some(()).ok_or_else(missing)
    }

    fn home(&self, node: &str) -> Result<Home, DoorError> {
        let known = self.nodes.lock().unwrap().iter().any(|own| own.name == node);
        let home = || Home { node: node.into(), path: None, device: 4, inode: 4_026_531_840 };
        known.then(home).ok_or_else(|| DoorError::NotFound(format!("there is no node {node}")))
    }

    fn explain(&self, ask: &ExplainAsk) -> Result<Walk, DoorError> {
        Ok(Walk { port: ask.from.clone(), verdict: Verdict::Forwarded, ..Walk::default() })
    }

    fn events(&self) -> &Events {
        &self.events
    }
}
