//! Queries in streams (RFC 7766): smoltcp's TCP over a device in memory, for port 53 of the
//! gateway's addresses.
//!
//! A connection has a socket of its own, which begins with its SYN. There are 32; where one more
//! comes, one of who has most of them is reset, the one that has been idle longest. A
//! connection that says nothing for ten seconds is closed. It belongs to the way it came by (leg, port, station): segments that come by
//! another are dropped, so nobody turns another's answers to himself. Called by the server alone.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::time::Duration;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr, Ipv4Address};
use wire::ipv4::protocol;
use wire::{Ipv4, Tcp, Timestamp};

use crate::server::Way;

/// Connections at a time.
pub(crate) const MOST: usize = 32;
/// How long one may say nothing.
const IDLE: Duration = Duration::from_secs(10);
/// How long one that is being closed may take.
const LINGER: Duration = Duration::from_secs(5);
/// The longest query, with the length before it.
const LONGEST: usize = 4096;
/// Queries of one connection that others are being asked.
const PENDING: usize = 4;
/// With so many bytes of answers waiting no further query is read.
const BACKLOG: usize = 16 << 10;
/// What the stack itself is called: an address that is nobody's (RFC 5737).
const SELF: Ipv4Address = Ipv4Address::new(192, 0, 2, 1);
/// Largest packet sent; a peer on a smaller link says so itself.
const MTU: usize = 1500;

/// A connection's name; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id(u64);

struct Connection<W> {
    id: Id,
    way: W,
    remote: SocketAddrV4,
    local: SocketAddrV4,
    socket: SocketHandle,
    /// When something was last said on it.
    last: Timestamp,
    /// Answers not yet handed to the socket.
    out: VecDeque<u8>,
    pending: usize,
    /// Since when it has been closed on our side.
    closed: Option<Timestamp>,
}

/// The connections, by the ways they came.
pub(crate) struct Streams<W> {
    interface: Interface,
    device: Memory,
    sockets: SocketSet<'static>,
    connections: Vec<Connection<W>>,
    next: u64,
    /// Connections so far, and how many were reset to make room.
    pub(crate) opened: u64,
    pub(crate) gave_way: u64,
}

impl<W> std::fmt::Debug for Streams<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streams").field("connections", &self.connections.len()).finish()
    }
}

impl<W: Way> Streams<W> {
    pub(crate) fn new(seed: u64) -> Self {
        let mut device = Memory::default();
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut device, Instant::ZERO);
        // All addresses lead to itself, so it takes what it is given for any of them.
        interface.update_ip_addrs(|addresses| {
            let _ = addresses.push(IpCidr::new(IpAddress::Ipv4(SELF), 32));
        });
        let _ = interface.routes_mut().add_default_ipv4_route(SELF);
        interface.set_any_ip(true);
        Self {
            interface,
            device,
            sockets: SocketSet::new(Vec::new()),
            connections: Vec::new(),
            next: 0,
            opened: 0,
            gave_way: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.connections.len()
    }

    /// A segment to us. Sends what follows from it; queries are then there to be taken.
    pub(crate) fn segment(
        &mut self,
        way: W,
        packet: &[u8],
        send: &mut dyn FnMut(W, &[u8]),
        now: Timestamp,
    ) {
        let Some((remote, local, opens)) = ends(packet) else { return };
        let known = self.connections.iter_mut().find(|c| (c.remote, c.local) == (remote, local));
        match known {
            Some(connection) if connection.way != way => return,
            Some(connection) => connection.last = now,
            None if opens => self.begin(way, remote, local, send, now),
            // The stack resets it.
            None => {}
        }
        self.device.inbox.push_back(packet.to_vec());
        self.run(Some((remote, way)), send, now);
        self.connections.retain(|connection| {
            // A SYN that does not sum up has opened nothing.
            let waits = self.sockets.get::<Socket>(connection.socket).state() == State::Listen;
            if waits {
                self.sockets.remove(connection.socket);
            }
            !waits
        });
    }

    fn begin(
        &mut self,
        way: W,
        remote: SocketAddrV4,
        local: SocketAddrV4,
        send: &mut dyn FnMut(W, &[u8]),
        now: Timestamp,
    ) {
        if self.connections.len() >= MOST {
            self.make_room(send, now);
        }
        let mut socket =
            Socket::new(SocketBuffer::new(vec![0; LONGEST]), SocketBuffer::new(vec![0; LONGEST]));
        // Answers are written whole: waiting to fill a segment only delays their end.
        socket.set_nagle_enabled(false);
        // A peer that sends the length first waits with the rest until that is acknowledged.
        socket.set_ack_delay(None);
        // A peer that acknowledges nothing any more.
        socket.set_timeout(Some((IDLE + LINGER).into()));
        if socket.listen((IpAddress::Ipv4(*local.ip()), local.port())).is_err() {
            return;
        }
        let socket = self.sockets.add(socket);
        let id = Id(self.next);
        self.next += 1;
        self.opened += 1;
        self.connections.push(Connection {
            id,
            way,
            remote,
            local,
            socket,
            last: now,
            out: VecDeque::new(),
            pending: 0,
            closed: None,
        });
    }

    /// Ends the connection that matters least: one that is closed already, else one of who has
    /// most, there one that waits for nothing, and of those the one silent longest.
    fn make_room(&mut self, send: &mut dyn FnMut(W, &[u8]), now: Timestamp) {
        let worth = |connection: &Connection<W>| {
            let open = self.sockets.get::<Socket>(connection.socket).may_send();
            let payer = connection.way.payer();
            let same = self.connections.iter().filter(|other| other.way.payer() == payer);
            let open = open && connection.closed.is_none();
            (open, Reverse(same.count()), connection.pending > 0, connection.last)
        };
        let least = (0..self.connections.len()).min_by_key(|n| worth(&self.connections[*n]));
        let Some(least) = least else { return };
        self.sockets.get_mut::<Socket>(self.connections[least].socket).abort();
        self.gave_way += 1;
        // Tells the peer, and lets go of it.
        self.run(None, send, now);
    }

    /// The next query that has come whole, with its connection and the way to it.
    pub(crate) fn query(&mut self, now: Timestamp) -> Option<(Id, W, Vec<u8>)> {
        for connection in &mut self.connections {
            if connection.pending >= PENDING || connection.out.len() >= BACKLOG {
                continue;
            }
            let socket = self.sockets.get_mut::<Socket>(connection.socket);
            let mut length = [0; 2];
            if socket.peek_slice(&mut length) != Ok(2) {
                continue;
            }
            let whole = 2 + usize::from(u16::from_be_bytes(length));
            if whole > LONGEST {
                socket.abort();
                continue;
            }
            if socket.recv_queue() < whole {
                continue;
            }
            let mut bytes = vec![0; whole];
            if socket.recv_slice(&mut bytes) != Ok(whole) {
                continue;
            }
            connection.last = now;
            bytes.drain(..2);
            return Some((connection.id, connection.way, bytes));
        }
        None
    }

    /// A query of this connection will be answered later.
    pub(crate) fn wait(&mut self, id: Id) {
        if let Some(connection) = self.connections.iter_mut().find(|c| c.id == id) {
            connection.pending += 1;
        }
    }

    /// An answer to a query of this connection; `late` where it had to be waited for. One whose
    /// connection is gone is nobody's.
    pub(crate) fn answer(&mut self, id: Id, message: &[u8], late: bool, now: Timestamp) {
        let Some(connection) = self.connections.iter_mut().find(|c| c.id == id) else { return };
        connection.pending -= usize::from(late && connection.pending > 0);
        connection.last = now;
        if let Ok(length) = u16::try_from(message.len()) {
            connection.out.extend(length.to_be_bytes());
            connection.out.extend(message);
        }
    }

    /// Sends what is due; says when it next wants to be called.
    pub(crate) fn run(
        &mut self,
        current: Option<(SocketAddrV4, W)>,
        send: &mut dyn FnMut(W, &[u8]),
        now: Timestamp,
    ) -> Option<Timestamp> {
        for connection in &mut self.connections {
            let socket = self.sockets.get_mut::<Socket>(connection.socket);
            connection.tend(socket, now);
        }
        let at = instant(now);
        self.interface.poll(at, &mut self.device, &mut self.sockets);
        // What the peers have made room for.
        for connection in &mut self.connections {
            let socket = self.sockets.get_mut::<Socket>(connection.socket);
            connection.tend(socket, now);
        }
        self.interface.poll(at, &mut self.device, &mut self.sockets);
        for packet in self.device.outbox.drain(..) {
            let Some((local, remote, _)) = ends(&packet) else { continue };
            let owner = self.connections.iter().find(|c| (c.remote, c.local) == (remote, local));
            // A reset of what is no connection goes back to where that came from.
            let current = current.filter(|(whose, _)| *whose == remote).map(|(_, way)| way);
            if let Some(way) = owner.map(|connection| connection.way).or(current) {
                send(way, &packet);
            }
        }
        self.connections.retain(|connection| {
            let ended = self.sockets.get::<Socket>(connection.socket).state() == State::Closed;
            if ended {
                self.sockets.remove(connection.socket);
            }
            !ended
        });
        let stack = self.interface.poll_at(at, &self.sockets).map(|at| timestamp(at).max(now));
        let idle = self.connections.iter().map(Connection::ends).min();
        stack.into_iter().chain(idle).min()
    }
}

impl<W> Connection<W> {
    /// Moves answers into the socket, and ends what is at its end.
    fn tend(&mut self, socket: &mut Socket<'_>, now: Timestamp) {
        while socket.can_send() && !self.out.is_empty() {
            let (next, _) = self.out.as_slices();
            match socket.send_slice(next) {
                Ok(0) | Err(_) => break,
                Ok(sent) => drop(self.out.drain(..sent)),
            }
        }
        let done = self.out.is_empty() && self.pending == 0;
        let left = socket.state() == State::CloseWait && socket.recv_queue() == 0;
        if self.closed.is_none() && (done && left || self.ends() <= now) {
            socket.close();
            self.closed = Some(now);
        } else if self.closed.is_some() && self.ends() <= now {
            socket.abort();
        }
    }

    /// When it is given up.
    fn ends(&self) -> Timestamp {
        self.closed.map_or(self.last + IDLE, |at| at + LINGER)
    }
}

/// Source and destination of a whole segment, and whether it opens a connection.
fn ends(packet: &[u8]) -> Option<(SocketAddrV4, SocketAddrV4, bool)> {
    let ip = Ipv4::parse(packet)
        .ok()
        .filter(|ip| !ip.is_fragment() && ip.protocol() == protocol::TCP)?;
    let tcp = Tcp::parse(ip.payload())?;
    let addresses = [ip.src(), ip.dst()];
    // Such a peer could not be answered.
    let strange =
        |a: &std::net::Ipv4Addr| a.is_unspecified() || a.is_multicast() || a.is_broadcast();
    if addresses.iter().any(strange) || tcp.src_port() == 0 || tcp.dst_port() == 0 {
        return None;
    }
    let flags = tcp.flags();
    let remote = SocketAddrV4::new(ip.src(), tcp.src_port());
    let local = SocketAddrV4::new(ip.dst(), tcp.dst_port());
    Some((remote, local, flags.syn() && !flags.ack() && !flags.rst()))
}

/// The stack's clock counts microseconds. A time between two is the later one there, so that what
/// is due then is due.
fn instant(at: Timestamp) -> Instant {
    Instant::from_micros(i64::try_from(at.as_nanos() / 1000).unwrap_or(i64::MAX))
}

fn timestamp(at: Instant) -> Timestamp {
    let micros = u64::try_from(at.total_micros()).unwrap_or(0);
    Timestamp::from_nanos(micros.saturating_mul(1000).saturating_add(999))
}

/// A link in memory: packets to the stack, and those it has sent.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) inbox: VecDeque<Vec<u8>>,
    pub(crate) outbox: Vec<Vec<u8>>,
}

pub(crate) struct Incoming(Vec<u8>);
pub(crate) struct Outgoing<'a>(&'a mut Vec<Vec<u8>>);

impl phy::RxToken for Incoming {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl phy::TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = vec![0; len];
        let result = f(&mut packet);
        self.0.push(packet);
        result
    }
}

impl Device for Memory {
    type RxToken<'a> = Incoming;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Incoming, Outgoing<'_>)> {
        self.inbox.pop_front().map(|packet| (Incoming(packet), Outgoing(&mut self.outbox)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Outgoing<'_>> {
        Some(Outgoing(&mut self.outbox))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}
