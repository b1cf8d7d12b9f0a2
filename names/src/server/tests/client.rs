//! A client whose TCP is smoltcp's, over a link in memory.

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use super::*;
use crate::stream::Memory;

/// A host that asks by TCP, a socket a connection.
pub(super) struct Client {
    way: u8,
    interface: Interface,
    device: Memory,
    sockets: SocketSet<'static>,
    port: u16,
}

impl Client {
    pub(super) fn new(way: u8) -> Self {
        let mut device = Memory::default();
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = u64::from(way);
        let mut interface = Interface::new(config, &mut device, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(IpAddress::v4(10, 0, 0, 100 + way), 24)).unwrap();
        });
        Self { way, interface, device, sockets: SocketSet::new(vec![]), port: 40_000 }
    }

    pub(super) fn connect(&mut self) -> SocketHandle {
        let buffer = || SocketBuffer::new(vec![0; 70_000]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        self.port += 1;
        let to = (IpAddress::Ipv4(GATEWAY), PORT);
        socket.connect(self.interface.context(), to, self.port).unwrap();
        self.sockets.add(socket)
    }

    pub(super) fn socket(&mut self, handle: SocketHandle) -> &mut Socket<'static> {
        self.sockets.get_mut(handle)
    }

    pub(super) fn ask(&mut self, handle: SocketHandle, message: &[u8]) {
        let framed = [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat();
        assert_eq!(self.socket(handle).send_slice(&framed), Ok(framed.len()));
    }

    /// The messages that have come whole.
    pub(super) fn heard(&mut self, handle: SocketHandle) -> Vec<Vec<u8>> {
        let socket = self.socket(handle);
        let mut heard = Vec::new();
        let mut length = [0; 2];
        while socket.peek_slice(&mut length) == Ok(2) {
            let whole = 2 + usize::from(u16::from_be_bytes(length));
            if socket.recv_queue() < whole {
                break;
            }
            let mut bytes = vec![0; whole];
            socket.recv_slice(&mut bytes).unwrap();
            heard.push(bytes.split_off(2));
        }
        heard
    }

    /// Both sides, until neither has anything to say.
    pub(super) fn talk(&mut self, world: &mut World) {
        loop {
            let out = self.packets(world.now);
            let quiet = out.is_empty();
            for packet in out {
                world.packet(self.way, &packet);
            }
            world.tick();
            let (mine, others) = world.sent.drain(..).partition(|(way, _)| *way == self.way);
            world.sent = others;
            let mine: Vec<(u8, Vec<u8>)> = mine;
            if quiet && mine.is_empty() {
                return;
            }
            self.device.inbox.extend(mine.into_iter().map(|(_, packet)| packet));
        }
    }

    /// What it sends now.
    pub(super) fn packets(&mut self, now: Timestamp) -> Vec<Vec<u8>> {
        let now = Instant::from_micros(i64::try_from(now.as_nanos() / 1000).unwrap());
        self.interface.poll(now, &mut self.device, &mut self.sockets);
        std::mem::take(&mut self.device.outbox)
    }
}
