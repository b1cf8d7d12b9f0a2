use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use wire::tcp::Flags;

use super::*;
use crate::config::{Limits, NatConfig};
use crate::nat::Nat;
use crate::nat::filter::NatType;
use crate::nat::forget::Flushing;
use crate::nat::publish::Published;
use crate::nat::realm::Load;
use crate::node::Node;

/// What was told and not taken back, each so many times; of a published port without a remote.
type Told = HashMap<Key, i32>;
type Key = (IpProtocol, u16, Option<Endpoint>);

#[derive(Clone, Debug, Default)]
struct Mirror(Arc<Mutex<Told>>);

impl Mirror {
    fn count(&mut self, key: Key, is: bool) {
        let mut told = self.0.lock().unwrap();
        let count = told.entry(key).or_insert(0);
        *count += if is { 1 } else { -1 };
        assert!(*count >= 0, "{key:?} taken back before it was told");
        if *count == 0 {
            told.remove(&key);
        }
    }

    fn told(&self) -> Told {
        self.0.lock().unwrap().clone()
    }
}

impl Ours for Mirror {
    fn session(&mut self, protocol: Protocol, port: u16, remote: Endpoint, is: bool) {
        self.count((protocol.into(), port, Some(remote)), is);
    }

    fn published(&mut self, protocol: Protocol, port: u16, is: bool) {
        self.count((protocol.into(), port, None), is);
    }

    fn held(&mut self, protocol: Protocol, port: u16, is: bool) {
        self.count((protocol.into(), port, None), is);
    }

    fn by_address(&mut self, protocol: IpProtocol, remote: Ipv4Addr, is: bool) {
        self.count((protocol, 0, Some(Endpoint::new(remote, 0))), is);
    }
}

fn end(text: &str) -> Endpoint {
    let at: std::net::SocketAddrV4 = text.parse().unwrap();
    Endpoint::new(*at.ip(), at.port())
}

const REMOTE: &str = "8.8.8.8:53";

fn nat() -> (Nat, Mirror) {
    let mut nat = Nat::new(&NatConfig::default(), &(2000..=2011), Limits::default(), 1);
    let mirror = Mirror::default();
    nat.tell_ours(Box::new(mirror.clone()));
    (nat, mirror)
}

fn send(nat: &mut Nat, protocol: Protocol, from: &str, now: Timestamp) -> u16 {
    let flags = (protocol == Protocol::Tcp).then_some(Flags(Flags::ACK));
    let load = Load { flags, packets: 1, bytes: 60 };
    nat.running(protocol, Node::NOBODY, (end(from), end(REMOTE)), load, now)
        .unwrap()
        .unwrap_or_else(|| {
            nat.open(protocol, Node::NOBODY, (end(from), end(REMOTE)), load, now).unwrap()
        })
}

fn session(protocol: Protocol, port: u16) -> Key {
    (protocol.into(), port, Some(end(REMOTE)))
}

#[test]
fn a_session_is_told_from_its_first_packet_to_its_end() {
    let (mut nat, mirror) = nat();
    let start = Timestamp::ZERO + Duration::from_secs(10);
    let udp = send(&mut nat, Protocol::Udp, "10.100.0.10:2000", start);
    let tcp = send(&mut nat, Protocol::Tcp, "10.100.0.10:2001", start);
    send(&mut nat, Protocol::Icmp, "10.100.0.10:2002", start);
    let both = Told::from([(session(Protocol::Udp, udp), 1), (session(Protocol::Tcp, tcp), 1)]);
    assert_eq!(mirror.told(), both, "and ICMP is not told of");
    let mut latecomer = Mirror::default();
    nat.tell_ours(Box::new(latecomer.clone()));
    assert_eq!(latecomer.told(), both, "what is there at present");
    latecomer.count((Protocol::Udp.into(), 1, None), true);
    for after in [230, 290, 310] {
        nat.expire(start + Duration::from_secs(after));
        let told = latecomer.told();
        assert_eq!(told.contains_key(&session(Protocol::Tcp, tcp)), after < 240);
        assert_eq!(told.contains_key(&session(Protocol::Udp, udp)), after < 300);
    }
    assert_eq!(latecomer.told().len(), 1);
}

#[test]
fn what_is_flushed_is_waited_for_and_what_goes_on_stays() {
    let (mut nat, mirror) = nat();
    let start = Timestamp::ZERO + Duration::from_secs(10);
    let ports = ["10.100.0.10:2000", "10.100.0.10:2001"];
    let ports = ports.map(|from| send(&mut nat, Protocol::Tcp, from, start));
    let later = start + Duration::from_secs(100);
    nat.flush(None, start);
    nat.expire(later);
    for port in ports {
        assert_eq!(mirror.told()[&session(Protocol::Tcp, port)], 1, "nobody else answers");
    }
    assert_eq!(send(&mut nat, Protocol::Tcp, "10.100.0.10:2000", later), ports[0]);
    let due = nat.expire(later).unwrap();
    assert!(due <= start + PATIENCE, "{due:?}");
    nat.expire(start + PATIENCE);
    assert_eq!(mirror.told(), Told::from([(session(Protocol::Tcp, ports[0]), 1)]));
    // A new address: nothing of the old one is waited for.
    nat.flush(None, later);
    nat.ours.forget();
    assert_eq!(mirror.told(), Told::new());
}

#[test]
fn what_is_flushed_of_one_node_is_waited_for_and_others_stay() {
    let (mut nat, mirror) = nat();
    let start = Timestamp::ZERO + Duration::from_secs(10);
    let tcp = send(&mut nat, Protocol::Tcp, "10.100.0.10:2000", start);
    let udp = send(&mut nat, Protocol::Udp, "10.100.0.10:2000", start);
    let all = mirror.told();
    let of = |protocol: Protocol, node: Option<u16>| Flushing {
        nodes: node.map(|own| [Node(own)].into()),
        protocol: Some(protocol.into()),
    };
    assert_eq!(nat.flush_some(&of(Protocol::Tcp, Some(9)), start), 0, "none of its");
    assert_eq!(nat.flush_some(&of(Protocol::Icmp, None), start), 0);
    assert_eq!(nat.flush_some(&of(Protocol::Tcp, Some(Node::NOBODY.0)), start), 1);
    assert_eq!(nat.flush_some(&of(Protocol::Tcp, None), start), 0, "it is gone");
    assert_eq!(nat.counters.flushed, 1);
    // Nobody else answers what comes of it still.
    assert_eq!(mirror.told(), all);
    assert_eq!(send(&mut nat, Protocol::Udp, "10.100.0.10:2000", start), udp, "it has stayed");
    nat.expire(start + PATIENCE);
    assert!(!mirror.told().contains_key(&session(Protocol::Tcp, tcp)));
    assert_eq!(nat.flush_some(&of(Protocol::Udp, None), start), 1);
}

#[test]
fn a_published_port_is_told_until_it_is_withdrawn() {
    let (mut nat, mirror) = nat();
    let wanted = |port| Published {
        protocol: Protocol::Udp,
        address: None,
        port,
        inside: end("10.100.0.10:80"),
    };
    nat.publish((Node::NOBODY, false), wanted(2005), true).unwrap();
    nat.publish((Node::NOBODY, false), wanted(2005), true).unwrap_err();
    nat.flush(None, Timestamp::ZERO);
    assert_eq!(mirror.told(), Told::from([((Protocol::Udp.into(), 2005, None), 1)]));
    let latecomer = Mirror::default();
    nat.tell_ours(Box::new(latecomer.clone()));
    assert_eq!(latecomer.told(), mirror.told());
    nat.unpublish(Protocol::Udp, 2005);
    nat.unpublish(Protocol::Udp, 2005);
    assert_eq!(latecomer.told(), Told::new());
}

#[test]
fn a_port_that_is_held_goes_before_a_session_and_takes_its_own_along() {
    let (mut nat, mirror) = nat();
    let start = Timestamp::ZERO + Duration::from_secs(10);
    // A host of the inside has the port by chance, and keeps it towards its remote.
    let port = send(&mut nat, Protocol::Udp, "10.100.0.10:2005", start);
    let wanted =
        Published { protocol: Protocol::Udp, address: None, port, inside: end("10.100.0.20:53") };
    nat.publish((Node::NOBODY, false), wanted, true).unwrap_err();
    nat.publish((Node::NOBODY, true), wanted, true).unwrap();
    let load = Load { flags: None, packets: 1, bytes: 1 };
    let back = nat.plan_in(Protocol::Udp, (port, end(REMOTE)), load, start).unwrap();
    let (_, inside) = nat.realm(Protocol::Udp).inside_of(port, &back);
    assert_eq!(inside, end("10.100.0.10:2005"));
    // Others are led to the published one, from the block or not.
    let beside = Published { port: 80, protocol: Protocol::Tcp, ..wanted };
    nat.publish((Node::NOBODY, true), beside, true).unwrap();
    let knock = |flags| Load { flags: Some(Flags(flags)), packets: 1, bytes: 1 };
    let client = end("8.8.4.4:4000");
    let at = (beside.port, client);
    // The kernel may have the connection of a segment that opens none.
    nat.plan_in(Protocol::Tcp, at, knock(Flags::ACK), start).unwrap_err();
    let plan = nat.plan_in(Protocol::Tcp, at, knock(Flags::SYN), start).unwrap();
    let to = nat.commit_in(Protocol::Tcp, at, plan, knock(Flags::SYN), start);
    assert_eq!(to, Ok(beside.inside));
    let key = (Protocol::Tcp.into(), beside.port, Some(client));
    assert_eq!(mirror.told()[&key], 1);
    nat.unpublish(Protocol::Tcp, beside.port);
    nat.unpublish(Protocol::Udp, port);
    assert_eq!(mirror.told(), Told::from([(session(Protocol::Udp, port), 1)]));
    assert_eq!(nat.realm(Protocol::Tcp).table.live(), 0);
}

#[test]
fn a_port_of_another_address_is_not_told() {
    let (mut nat, mirror) = nat();
    let own = Some([192, 0, 2, 2].into());
    let inside = end("10.100.0.10:80");
    let wanted = Published { protocol: Protocol::Tcp, address: own, port: 80, inside };
    nat.publish((Node::NOBODY, true), wanted, true).unwrap();
    let told = Told::from([((Protocol::Tcp.into(), 80, None), 1)]);
    assert_eq!(mirror.told(), told);
    nat.flush(Some([192, 0, 2, 3].into()), Timestamp::ZERO);
    assert_eq!(mirror.told(), Told::new());
    nat.flush(own, Timestamp::ZERO);
    assert_eq!(mirror.told(), told);
    nat.unpublish(Protocol::Tcp, 80);
    assert_eq!(mirror.told(), Told::new());
}

#[test]
fn flushes_without_end_are_waited_for_up_to_a_bound() {
    let (mut nat, mirror) = nat();
    for _ in 0..3 * LATE {
        nat.ours.session(Protocol::Udp, 2000, end(REMOTE), true);
        nat.ours.flushed(Protocol::Udp, 2000, end(REMOTE), Timestamp::ZERO);
    }
    assert_eq!(nat.ours.late.len(), LATE);
    assert_eq!(mirror.told().into_values().sum::<i32>(), i32::try_from(LATE).unwrap());
}

#[test]
fn every_filter_is_told_the_same() {
    for kind in NatType::ALL {
        let config = NatConfig { kind, ..NatConfig::default() };
        let mut nat = Nat::new(&config, &(2000..=2011), Limits::default(), 1);
        let mirror = Mirror::default();
        nat.tell_ours(Box::new(mirror.clone()));
        let port = send(&mut nat, Protocol::Udp, "10.100.0.10:2000", Timestamp::ZERO);
        assert_eq!(mirror.told(), Told::from([(session(Protocol::Udp, port), 1)]), "{kind}");
    }
}
