//! Whatever nodes send to port 53, by datagram and by stream, and whatever others respond: nothing
//! panics, replies go back to whom asked and fit, and all that was begun comes to an end.

#![no_main]

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use names::{
    Exchange, Host, Network, NetworkId, Place, Request, Resolver, Response, Server, Socket, Subnet,
    Upstream, Zone,
};
use wire::{Ipv4, Timestamp, udp};

/// From whom, how, ports and flags, the bytes, time that passes.
type Step = (u8, u8, u16, u8, Vec<u8>, u16);

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

fn zone() -> Zone {
    let mut zone = Zone::new("demo");
    for n in 0..2u8 {
        let network = Network {
            gateway: vec![IpAddr::from([10, n, 0, 1])],
            subnets: vec![Subnet { address: IpAddr::from([10, n, 0, 0]), length: 16 }],
            ..Network::default()
        };
        // One of the two is internal.
        let network = Network { beyond: n == 0, ..network };
        zone.set_network(NetworkId(n.into()), network);
        let places = (0..40).map(|k| Place::In(NetworkId(n.into()), IpAddr::from([10, n, 1, k])));
        zone.put(Host {
            name: format!("n{n}"),
            aliases: vec!["x".into()],
            places: places.collect(),
        });
    }
    zone
}

/// A query, nearly: a name of a few that matter, or what the input says.
fn query(kind: u8, flags: u8, rest: &[u8]) -> Vec<u8> {
    let names: [&[u8]; 4] =
        [b"\x02n0\x00", b"\x02n1\x04DEMO\x00", b"\x03www\x07example\x00", b"\x00"];
    let mut query = vec![kind, flags, flags & 0x79, 0, 0, 1, 0, 0, 0, 0, 0, kind & 1];
    query.extend(names[usize::from(kind / 2 % 4)]);
    query.extend([0, flags, 0, 1]);
    if kind & 1 != 0 {
        query.extend([0, 0, 41, flags, 0, 0, 0, 0, 0, 0, 0]);
    }
    if kind > 200 { rest.to_vec() } else { [&query[..], rest].concat() }
}

fuzz_target!(|steps: Vec<Step>| {
    let others = Others::default();
    let upstream: Box<dyn Upstream> = Box::new(others.clone());
    let mut server = Server::new(Resolver::new(zone(), true), Some(upstream), 1);
    let mut exchange = Exchange::default();
    let mut ids = 0u16;
    let mut draw = move || {
        ids = ids.wrapping_add(1);
        ids
    };
    server.keep_questions(true);
    let mut now = Timestamp::from_nanos(1);
    for (way, how, port, flags, mut rest, later) in steps {
        rest.truncate(2000);
        now = now + Duration::from_millis(later.into());
        let network = way & 1;
        let (from, to) = ([10, network, 1, way], [10, network, 0, 1]);
        let mut send = |back: u8, packet: &[u8]| {
            let ip = Ipv4::parse(packet).unwrap();
            assert_eq!(ip.dst().octets()[3], back, "a reply to another");
            assert!(ip.checksum_ok() && packet.len() <= 1500);
        };
        let builder = etherparse::PacketBuilder::ipv4(from, to, 64);
        let mut packet = Vec::new();
        match how % 4 {
            0 => builder.udp(port, 53).write(&mut packet, &query(how, flags, &rest)).unwrap(),
            1 => {
                let mut tcp =
                    etherparse::TcpHeader::new(port % 64, 53, rest.len() as u32 % 7, 4096);
                (tcp.fin, tcp.syn, tcp.rst) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
                (tcp.psh, tcp.ack) = (flags & 8 != 0, flags & 16 != 0);
                builder.tcp_header(tcp).write(&mut packet, &rest).unwrap();
            }
            2 => packet = rest.clone(),
            // Others speak: honestly, nearly, or anything.
            _ => {
                let asked = std::mem::take(&mut others.0.lock().unwrap().0);
                let servers = [IpAddr::from([9, 9, 9, 9]), IpAddr::from([8, 8, 8, 8])];
                asked.into_iter().for_each(|r| exchange.ask(r, &servers, &mut draw, now));
                let socket = Socket(u64::from(port % 32));
                let sent = exchange.actions.drain(..).collect::<Vec<_>>();
                let mut message = sent
                    .iter()
                    .find_map(|action| match action {
                        names::Action::Datagram(of, _, query)
                        | names::Action::Stream(of, _, query)
                            if *of == socket =>
                        {
                            Some(query.clone())
                        }
                        _ => None,
                    })
                    .unwrap_or_default();
                if let Some(byte) = message.get_mut(2) {
                    *byte |= 0x80 | flags & 2;
                }
                message.extend(&rest);
                match flags & 4 {
                    0 => exchange.received(socket, message, &mut draw, now),
                    _ => exchange.failed(socket, &mut draw, now),
                }
                exchange.tick(&mut draw, now);
                others.0.lock().unwrap().1.extend(exchange.finished.drain(..));
            }
        }
        if packet.len() >= 28 && how & 0x80 != 0 && how % 4 == 0 {
            // Any bytes that sum up.
            udp::fill_checksum(&mut packet[20..], from.into(), to.into());
        }
        if !packet.is_empty() && how % 4 != 2 {
            server.packet((way, NetworkId(network.into()), 1500), &packet, &mut send, now);
        } else if !packet.is_empty() {
            server.packet((way, NetworkId(network.into()), 1500), &packet, &mut |_, _| {}, now);
        }
        // Of packets that claim anything the answers go anywhere.
        server.tick(&mut |_, _| {}, now);
        assert!(server.usage().0 <= 32 && server.usage().1 <= 128);
        let told = |text: &str| text.is_ascii() && !text.bytes().any(|b| b.is_ascii_control());
        assert!(server.questions().all(|asked| told(&asked.name) && told(&asked.kind)));
    }
    for _ in 0..4000 {
        let next = [exchange.tick(&mut draw, now), server.tick(&mut |_, _| {}, now)];
        others.0.lock().unwrap().1.extend(exchange.finished.drain(..));
        let Some(next) = next.into_iter().flatten().min() else { break };
        now = next.max(now + Duration::from_micros(1));
    }
    assert_eq!(server.usage(), (0, 0), "something never ends");
    let counters = server.counters();
    assert!(counters.failed <= counters.forwarded, "{counters:?}");
});
