use proptest::prelude::*;

use super::*;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}

fn servers(count: u8) -> Vec<IpAddr> {
    (1..=count).map(|n| IpAddr::from([10, 0, 0, n])).collect()
}

/// A query for `Ab.`
fn query() -> Vec<u8> {
    let mut query = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend(*b"\x02Ab\x00\x00\x01\x00\x01");
    query
}

/// A response to it with this code.
fn response(id: u16, flags: u8, code: u8) -> Vec<u8> {
    let mut message = query();
    message[..2].copy_from_slice(&id.to_be_bytes());
    message[2] |= 0x80 | flags;
    message[3] = code;
    message.extend(*b"the answer");
    message
}

struct World {
    exchange: Exchange,
    ids: u16,
}

impl World {
    fn new(count: u8) -> Self {
        let mut world = Self { exchange: Exchange::default(), ids: 0 };
        let request = Request { ticket: Ticket(7), query: query(), servers: vec![] };
        world.exchange.ask(request, &servers(count), &mut draw(&mut world.ids), at(0));
        world
    }

    fn received(&mut self, socket: Socket, message: Vec<u8>, now: u64) {
        self.exchange.received(socket, message, &mut draw(&mut self.ids), at(now));
    }

    fn failed(&mut self, socket: Socket, now: u64) {
        self.exchange.failed(socket, &mut draw(&mut self.ids), at(now));
    }

    fn tick(&mut self, now: u64) -> Option<Timestamp> {
        self.exchange.tick(&mut draw(&mut self.ids), at(now))
    }

    /// The one query that is to be sent: socket, server, identifier, whether by TCP.
    fn sent(&mut self) -> (Socket, u8, u16, bool) {
        let mut sent = std::mem::take(&mut self.exchange.actions);
        sent.retain(|action| !matches!(action, Action::Close(_)));
        assert_eq!(sent.len(), 1, "{sent:?}");
        let (socket, server, query, stream) = match sent.remove(0) {
            Action::Datagram(socket, server, query) => (socket, server, query, false),
            Action::Stream(socket, server, query) => (socket, server, query, true),
            Action::Close(_) => unreachable!(),
        };
        assert_eq!(server.port(), 53);
        let IpAddr::V4(server) = server.ip() else { panic!() };
        (socket, server.octets()[3], u16::from_be_bytes([query[0], query[1]]), stream)
    }

    fn finished(&mut self) -> Option<Option<Vec<u8>>> {
        let finished = self.exchange.finished.pop()?;
        assert_eq!(finished.ticket, Ticket(7));
        assert!(self.exchange.is_empty() && self.exchange.sockets.is_empty());
        Some(finished.message)
    }
}

fn draw(ids: &mut u16) -> impl FnMut() -> u16 {
    move || {
        *ids += 1;
        *ids
    }
}

#[test]
fn a_response_is_the_end_and_closes_all() {
    let mut world = World::new(2);
    let (first, server, id, _) = world.sent();
    assert_eq!((server, id), (1, 1));
    assert_eq!(world.tick(999), Some(at(1000)));
    world.tick(1000);
    let (second, server, ..) = world.sent();
    assert_eq!(server, 2);
    // The first is late and still right.
    world.received(first, response(1, 0, 0), 1500);
    assert_eq!(world.finished(), Some(Some(response(1, 0, 0))));
    assert_eq!(world.exchange.actions, [Action::Close(first), Action::Close(second)]);
    world.received(second, response(2, 0, 0), 1600);
    assert_eq!(world.finished(), None);
}

#[test]
fn only_a_response_to_what_was_asked_counts() {
    let mut world = World::new(1);
    let (socket, _, id, _) = world.sent();
    let good = response(id, 0, 3);
    let mut other_name = good.clone();
    other_name[13] = b'x';
    let mut query = good.clone();
    query[2] &= 0x7f;
    let mut notify = good.clone();
    notify[2] |= 0x20;
    let mut two = good.clone();
    two[5] = 2;
    for bad in [response(id + 1, 0, 0), other_name, query, notify, two, good[..19].to_vec(), vec![]]
    {
        world.received(socket, bad, 1);
    }
    world.received(Socket(99), good.clone(), 1);
    assert_eq!(world.finished(), None);
    // Other letters are the same name; what goes back has those that were asked.
    let mut lower = good.clone();
    lower[13] = b'a';
    world.received(socket, lower, 1);
    assert_eq!(world.finished(), Some(Some(good)));
}

#[test]
fn a_server_that_says_again_that_it_is_cut_gets_one_stream() {
    let mut world = World::new(1);
    let (socket, _, id, _) = world.sent();
    world.received(socket, response(id, 2, 0), 1);
    assert!(world.sent().3, "by TCP");
    for _ in 0..9 {
        world.received(socket, response(id, 2, 0), 2);
    }
    assert_eq!(world.exchange.actions, []);
}

#[test]
fn a_cut_response_is_asked_for_by_tcp() {
    let mut world = World::new(2);
    let (socket, _, id, _) = world.sent();
    world.received(socket, response(id, 2, 0), 1);
    let (stream, server, id, tcp) = world.sent();
    assert!(tcp && server == 1);
    world.received(stream, response(id, 0, 0), 2);
    assert_eq!(world.finished(), Some(Some(response(id, 0, 0))));
}

#[test]
fn who_fails_makes_way_at_once() {
    let mut world = World::new(3);
    let (one, ..) = world.sent();
    world.failed(one, 1);
    let (two, server, id, _) = world.sent();
    assert_eq!(server, 2);
    // SERVFAIL is kept for want of better.
    world.received(two, response(id, 0, 2), 2);
    let (three, server, _, _) = world.sent();
    assert_eq!(server, 3);
    world.failed(three, 3);
    assert_eq!(world.finished(), Some(Some(response(id, 0, 2))));
}

#[test]
fn silence_ends_after_five_seconds_at_most() {
    for count in 1..=3 {
        let mut world = World::new(count);
        let mut sent = 1;
        let mut now = at(0);
        while let Some(next) = world.tick(now.as_nanos() / 1_000_000) {
            assert!(next > now && next <= at(5000));
            now = next;
            sent = sent.max(world.exchange.asked[&Ticket(7)].tries.len());
        }
        assert_eq!(world.finished(), Some(None));
        assert_eq!(sent, [2, 4, 4][usize::from(count) - 1], "tries of {count} servers");
    }
}

#[test]
fn all_unreachable_is_known_at_once() {
    let mut world = World::new(2);
    for n in 0..4 {
        let (socket, ..) = world.sent();
        world.failed(socket, n);
    }
    assert_eq!(world.finished(), Some(None));
}

#[test]
fn nobody_to_ask() {
    let mut exchange = Exchange::default();
    let request = |ticket, query| Request { ticket: Ticket(ticket), query, servers: vec![] };
    exchange.ask(request(7, query()), &[], &mut || 0, at(0));
    exchange.ask(request(8, vec![0; 12]), &servers(1), &mut || 0, at(0));
    assert_eq!(exchange.finished.len(), 2);
    assert!(exchange.is_empty() && exchange.actions.is_empty());
}

#[test]
fn a_request_may_name_whom_to_ask() {
    let mut exchange = Exchange::default();
    let own = vec![IpAddr::from([10, 1, 2, 3])];
    let request = Request { ticket: Ticket(7), query: query(), servers: own };
    exchange.ask(request, &servers(2), &mut || 0, at(0));
    // Once in each round, and nobody else.
    exchange.tick(&mut || 0, at(1000));
    let asked = exchange.actions.iter().map(|action| match action {
        Action::Datagram(_, server, _) => server.ip(),
        other => panic!("{other:?}"),
    });
    assert_eq!(asked.collect::<Vec<_>>(), [IpAddr::from([10, 1, 2, 3]); 2]);
}

proptest! {
    #[test]
    fn every_request_ends_once_and_no_socket_stays(
        count in 1u8..4,
        steps in prop::collection::vec((0u64..8, 0u8..6, 0u64..900), 0..40),
    ) {
        let mut world = World::new(count);
        let mut now = 0;
        for (socket, what, later) in steps {
            now += later;
            let socket = Socket(socket);
            let id = world.exchange.sockets.get(&socket).and_then(|ticket| {
                let asked = world.exchange.asked.get(ticket)?;
                Some(asked.tries.iter().find(|of| of.socket == socket)?.id)
            });
            match what {
                0 => world.failed(socket, now),
                1 => drop(world.tick(now)),
                2 => world.received(socket, response(id.unwrap_or(0), 2, 0), now),
                3 => world.received(socket, response(id.unwrap_or(0), 0, 5), now),
                4 => world.received(socket, vec![0; 20], now),
                _ => world.received(socket, response(id.unwrap_or(0), 0, 0), now),
            }
        }
        while let Some(next) = world.tick(now) {
            now = (next.as_nanos() / 1_000_000).max(now + 1);
            prop_assert!(now < 60_000);
        }
        prop_assert_eq!(world.exchange.finished.len(), 1);
        prop_assert!(world.exchange.is_empty() && world.exchange.sockets.is_empty());
        let (mut opened, mut closed) = (0, 0);
        for action in &world.exchange.actions {
            if matches!(action, Action::Close(_)) { closed += 1 } else { opened += 1 }
        }
        prop_assert_eq!(opened, closed);
    }
}
