//! The server beside clients whose TCP is smoltcp's too, over links in memory, in virtual time.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use smoltcp::socket::tcp::State;

use client::Client;

use super::*;
use crate::stream::MOST as STREAMS;
use crate::zone::{Host, Network, Place, Zone};

mod client;

const LAN: NetworkId = NetworkId(0);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

fn zone() -> Zone {
    let mut zone = Zone::new("demo");
    let network = Network { gateway: vec![GATEWAY.into()], beyond: true, ..Network::default() };
    zone.set_network(LAN, network);
    let put = |zone: &mut Zone, name: &str, last: u8| {
        let places = vec![Place::In(LAN, IpAddr::from([10, 0, 0, last]))];
        zone.put(Host { name: name.into(), aliases: vec![], places });
    };
    (0..9).for_each(|n| put(&mut zone, &format!("n{n}"), 10 + n));
    zone
}

/// A query for the address of `name`, under an identifier.
fn query(id: u16, name: &str) -> Vec<u8> {
    let mut query = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query[..2].copy_from_slice(&id.to_be_bytes());
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    query
}

/// Others, as the test plays them: what they were asked, and what they say.
#[derive(Clone, Default)]
struct Others(Arc<Mutex<(VecDeque<Request>, VecDeque<Response>)>>);

impl Upstream for Others {
    fn ask(&mut self, request: Request) -> bool {
        self.0.lock().unwrap().0.push_back(request);
        true
    }

    fn take(&mut self) -> Option<Response> {
        self.0.lock().unwrap().1.pop_front()
    }
}

impl Others {
    fn asked(&self) -> Option<Request> {
        self.0.lock().unwrap().0.pop_front()
    }

    fn say(&self, ticket: Ticket, message: Option<Vec<u8>>) {
        self.0.lock().unwrap().1.push_back(Response { ticket, message });
    }
}

struct World {
    server: Server<u8>,
    others: Others,
    now: Timestamp,
    sent: Vec<(u8, Vec<u8>)>,
}

impl World {
    fn new() -> Self {
        let others = Others::default();
        let upstream: Box<dyn Upstream> = Box::new(others.clone());
        let server = Server::new(Resolver::new(zone(), true), Some(upstream), 7);
        Self { server, others, now: Timestamp::from_nanos(1_000_000_000), sent: Vec::new() }
    }

    fn packet(&mut self, way: u8, packet: &[u8]) -> Outcome {
        let Self { server, now, sent, .. } = self;
        server.packet((way, LAN, 1500), packet, &mut |w, p| sent.push((w, p.to_vec())), *now)
    }

    fn tick(&mut self) -> Option<Timestamp> {
        let Self { server, now, sent, .. } = self;
        server.tick(&mut |w, p| sent.push((w, p.to_vec())), *now)
    }

    /// A query in a datagram from a client on a port.
    fn datagram(&mut self, way: u8, port: u16, message: &[u8]) -> Outcome {
        let from = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 100 + way), port);
        let packet = datagram::write(from, SocketAddrV4::new(GATEWAY, PORT), message).unwrap();
        self.packet(way, &packet)
    }

    /// The replies that left in datagrams: way, port, message.
    fn replies(&mut self) -> Vec<(u8, u16, Vec<u8>)> {
        let replies = self.sent.drain(..).filter_map(|(way, packet)| {
            let datagram = datagram::read(&packet)?;
            assert_eq!(datagram.from, SocketAddrV4::new(GATEWAY, PORT));
            Some((way, datagram.to.port(), datagram.message.to_vec()))
        });
        replies.collect()
    }

    fn pass(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
    }
}

fn code(message: &[u8]) -> u8 {
    message[3] & 0xf
}

#[test]
fn a_datagram_is_answered_where_it_came_from() {
    let mut world = World::new();
    assert_eq!(world.datagram(3, 4000, &query(9, "n1")), Outcome::Answered);
    let replies = world.replies();
    assert_eq!(replies.len(), 1);
    let (way, port, reply) = &replies[0];
    assert_eq!((*way, *port, &reply[..2], code(reply)), (3, 4000, &[0, 9][..], 0));
    assert!(reply.ends_with(&[10, 0, 0, 11]));
    for nothing in [&[][..], &[0; 11], &[0xff; 12]] {
        assert_eq!(world.datagram(3, 4000, nothing), Outcome::Malformed);
    }
    assert!(world.replies().is_empty());
    let counters = world.server.counters();
    assert_eq!((counters.queries(), counters.answered, counters.malformed), (1, 1, 3));
}

#[test]
fn a_stream_carries_many_questions_cut_anywhere() {
    let (mut world, mut client) = (World::new(), Client::new(1));
    let handle = client.connect();
    client.talk(&mut world);
    assert_eq!(client.socket(handle).state(), State::Established);
    let questions: Vec<u8> = (0..9u16)
        .flat_map(|n| {
            let message = query(n, &format!("n{n}.demo"));
            [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], &message].concat()
        })
        .collect();
    for piece in questions.chunks(7) {
        client.socket(handle).send_slice(piece).unwrap();
        client.talk(&mut world);
    }
    let heard = client.heard(handle);
    let ids: Vec<_> = heard.iter().map(|reply| reply[1]).collect();
    assert_eq!(ids, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(heard.iter().all(|reply| code(reply) == 0 && reply[7] == 1));
    // Closed by the client, it leaves nothing behind.
    client.socket(handle).close();
    client.talk(&mut world);
    assert_eq!(world.server.usage(), (0, 0));
}

#[test]
fn a_long_answer_of_others_goes_through_a_stream() {
    let (mut world, mut client) = (World::new(), Client::new(1));
    let handle = client.connect();
    client.talk(&mut world);
    client.ask(handle, &query(5, "big.example"));
    client.talk(&mut world);
    let Request { ticket, query: asked, .. } = world.others.asked().unwrap();
    let mut long = asked;
    long[2] |= 0x80;
    long.resize(65_535, 7);
    world.others.say(ticket, Some(long.clone()));
    client.talk(&mut world);
    let heard = client.heard(handle);
    assert_eq!(heard.len(), 1);
    assert_eq!((&heard[0][..2], &heard[0][2..]), (&[0, 5][..], &long[2..]));
}

#[test]
fn each_hosts_questions_go_to_its_own_servers() {
    let mut world = World::new();
    let own = vec![IpAddr::from([192, 0, 2, 53])];
    let zone = world.server.resolver_mut().zone_mut();
    let places = vec![Place::In(LAN, IpAddr::from([10, 0, 0, 101]))];
    zone.put(Host { name: "one".into(), aliases: vec![], places });
    zone.set_servers("one", [(LAN, own.clone())].into());
    for (way, servers) in [(0, vec![]), (1, own.clone())] {
        world.datagram(way, 4000, &query(1, "www.example"));
        assert_eq!(world.others.asked().unwrap().servers, servers, "{way}");
        // What is known here is asked of nobody.
        assert_eq!(world.datagram(way, 4000, &query(2, "n3")), Outcome::Answered);
    }
    // By TCP too: its client has the address of `one`.
    let mut client = Client::new(1);
    let handle = client.connect();
    client.talk(&mut world);
    client.ask(handle, &query(5, "big.example"));
    client.talk(&mut world);
    assert_eq!(world.others.asked().unwrap().servers, own);
    world.server.resolver_mut().zone_mut().remove("one");
    world.datagram(1, 4001, &query(1, "www.example"));
    assert_eq!(world.others.asked().unwrap().servers, Vec::<IpAddr>::new());
}

#[test]
fn what_waits_is_asked_once_and_answered_under_the_newest_identifier() {
    let mut world = World::new();
    for (id, outcome) in [(1, Outcome::Forwarded), (1, Outcome::Repeated), (2, Outcome::Repeated)] {
        assert_eq!(world.datagram(0, 4000, &query(id, "www.example")), outcome);
    }
    world.datagram(0, 4001, &query(3, "www.example"));
    let first = world.others.asked().unwrap();
    let second = world.others.asked().unwrap();
    assert_eq!((world.others.asked(), world.server.usage()), (None, (0, 2)));
    let mut answer = first.query.clone();
    answer[2] |= 0x80;
    world.others.say(first.ticket, Some(answer));
    world.others.say(second.ticket, None);
    world.others.say(Ticket(99), None);
    world.tick();
    let replies: Vec<_> = world
        .replies()
        .into_iter()
        .map(|(_, port, reply)| (port, reply[1], code(&reply)))
        .collect();
    assert_eq!(replies, [(4000, 2, 0), (4001, 3, 2)]);
    // Whoever never speaks is not waited for for ever.
    world.datagram(0, 4000, &query(4, "www.example"));
    let next = world.tick().unwrap();
    world.now = next;
    world.tick();
    assert_eq!(world.replies().iter().map(|(.., reply)| code(reply)).collect::<Vec<_>>(), [2]);
    assert_eq!(world.server.usage(), (0, 0));
}

#[test]
fn who_asks_too_much_takes_no_room_from_others() {
    let mut world = World::new();
    for port in 0..300 {
        world.datagram(1, 1000 + port, &query(port, "slow.example"));
    }
    assert_eq!(world.server.usage(), (0, MOST));
    assert_eq!(world.replies().len(), 300 - MOST, "told SERVFAIL");
    let counters = world.server.counters();
    assert_eq!((counters.queries(), counters.crowded, counters.failed), (300, 300 - 128, 0));
    // Others have room up to their half.
    for port in 0..100 {
        world.datagram(2, 1000 + port, &query(port, "slow.example"));
    }
    assert_eq!(world.server.usage(), (0, MOST));
    let told = world.replies();
    let ways = |way: u8| told.iter().filter(|(w, ..)| *w == way).count();
    assert_eq!((ways(1), ways(2)), (MOST / 2, 100 - MOST / 2));
    assert_eq!(world.server.counters().failed, MOST as u64 / 2, "those that gave way");
}

#[test]
fn connections_give_way_first_those_of_who_has_most() {
    let mut world = World::new();
    let (mut greedy, mut modest) = (Client::new(1), Client::new(2));
    let own = modest.connect();
    modest.talk(&mut world);
    let mut handles = Vec::new();
    for _ in 0..STREAMS + 8 {
        handles.push(greedy.connect());
        world.pass(1);
        greedy.talk(&mut world);
    }
    assert_eq!(world.server.usage().0, STREAMS);
    modest.ask(own, &query(1, "n1"));
    modest.talk(&mut world);
    assert_eq!(modest.heard(own).len(), 1);
    // The oldest of the other were reset, the newest stand.
    let states: Vec<_> = handles.iter().map(|h| greedy.socket(*h).state()).collect();
    assert!(states[..9].iter().all(|state| *state == State::Closed), "{states:?}");
    assert!(states[9..].iter().all(|state| *state == State::Established), "{states:?}");
    assert_eq!(world.server.counters().gave_way, 9);
}

#[test]
fn a_silent_connection_ends() {
    let (mut world, mut client) = (World::new(), Client::new(1));
    let handle = client.connect();
    client.talk(&mut world);
    world.pass(9_999);
    client.talk(&mut world);
    assert_eq!(client.socket(handle).state(), State::Established);
    world.pass(1);
    client.talk(&mut world);
    assert_eq!(client.socket(handle).state(), State::CloseWait);
    // Also one whose peer has gone without a word.
    let lost = client.connect();
    client.talk(&mut world);
    let _ = lost;
    let mut ticks = 0;
    while let Some(next) = world.tick() {
        world.now = next.max(world.now + Duration::from_micros(1));
        world.sent.clear();
        ticks += 1;
        assert!(ticks < 200, "it never ends");
    }
    assert_eq!(world.server.usage(), (0, 0));
}

#[test]
fn a_connection_is_of_the_way_it_came_by() {
    let (mut world, mut client) = (World::new(), Client::new(1));
    let handle = client.connect();
    client.talk(&mut world);
    client.ask(handle, &query(1, "n1"));
    let packet = client.packets(world.now).pop().unwrap();
    world.packet(9, &packet);
    assert_eq!((world.sent.len(), world.server.counters().queries()), (0, 0));
    world.packet(1, &packet);
    assert_eq!(world.server.counters().queries(), 1);
    assert!(!world.sent.is_empty() && world.sent.iter().all(|(way, _)| *way == 1));
}

#[test]
fn what_belongs_to_no_connection_is_reset_to_its_sender() {
    let (mut world, mut client) = (World::new(), Client::new(1));
    client.connect();
    client.talk(&mut world);
    let mut other = World::new();
    let handle = client.connect();
    client.talk(&mut world);
    client.ask(handle, &query(1, "n1"));
    client.talk(&mut other);
    assert_eq!(client.socket(handle).state(), State::Closed);
    assert_eq!(other.server.usage(), (0, 0));
}

#[test]
fn a_query_longer_than_any_ends_the_connection() {
    let (mut world, mut client) = (World::new(), Client::new(1));
    let handle = client.connect();
    client.talk(&mut world);
    client.socket(handle).send_slice(&[0xff; 6000]).unwrap();
    client.talk(&mut world);
    assert_eq!(client.socket(handle).state(), State::Closed);
    assert_eq!(world.server.usage(), (0, 0));
}

proptest! {
    #[test]
    fn any_segments_in_any_order_open_no_more_than_there_is_room_for(
        steps in prop::collection::vec(
            (0u8..4, 1u16..60, 0u8..64, any::<u32>(), any::<u32>(), 0usize..60, 0u64..4000), 0..80)
    ) {
        let mut world = World::new();
        for (way, port, flags, sequence, ack, length, later) in steps {
            let from = [10, 0, 0, 100 + way];
            let builder = etherparse::PacketBuilder::ipv4(from, GATEWAY.octets(), 64);
            let mut tcp = etherparse::TcpHeader::new(port, PORT, sequence % 8, 1024);
            tcp.acknowledgment_number = ack;
            (tcp.fin, tcp.syn, tcp.rst) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
            (tcp.psh, tcp.ack, tcp.urg) = (flags & 8 != 0, flags & 16 != 0, flags & 32 != 0);
            let mut packet = Vec::new();
            builder.tcp_header(tcp).write(&mut packet, &vec![0; length]).unwrap();
            world.packet(way, &packet);
            prop_assert!(world.server.usage().0 <= STREAMS);
            world.pass(later);
            world.tick();
        }
        let mut ticks = 0;
        while let Some(next) = world.tick() {
            world.now = next.max(world.now + Duration::from_micros(1));
            world.sent.clear();
            ticks += 1;
            prop_assert!(ticks < 3000);
        }
        prop_assert_eq!(world.server.usage(), (0, 0));
    }
}
