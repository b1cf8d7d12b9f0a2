//! Which segments a route is for: what goes on as it came to the station's host has one for all of TCP between
//! two addresses, and all else one for a pair of ports, be they 0.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod rig;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex};

use rig::frames::{ethernet, mac, plain};
use rig::{Rig, eventually, on_a_rig};
use uswitch_switch::{
    Arrival, Config, Ends, FastPath, Frame, Handling, NetworkConfig, NetworkId, Outlet, PortId,
    Repeat, SharedStation, Station, Switch, Way,
};
use wire::{FrameMut, MacAddr, Timestamp, checksum};

const STATION: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xfe]);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// At port 1, which has the station's address too, and at port 2.
const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const SYN: u8 = 2;
const ACK: u8 = 16;

/// Sends on what is for the two, and says so.
struct Router {
    last: Option<Repeat>,
    seen: usize,
}

fn ends(to: Ipv4Addr, [from, port]: [u16; 2]) -> Ends {
    let (src, dst) = (SocketAddrV4::new(CLIENT, from), SocketAddrV4::new(to, port));
    Ends { protocol: 6, src, dst }
}

impl Station for Router {
    fn mac(&self) -> MacAddr {
        STATION
    }

    fn on_bridge(
        &mut self,
        Arrival { leg, .. }: Arrival,
        frame: &mut FrameMut<'_>,
        _: &mut dyn Outlet,
        _: Timestamp,
    ) -> Handling {
        self.seen += 1;
        let port = |at: usize| u16::from_be_bytes([frame.bytes[at], frame.bytes[at + 1]]);
        let kept = frame.bytes[30..34] == HOST.octets();
        let came = ends(if kept { HOST } else { SERVER }, [port(34), port(36)]);
        let came = if kept { came.all_tcp() } else { came };
        self.last = Some(Repeat {
            came,
            leaves: came,
            atomic: false,
            kept,
            mtu: 1500,
            until: Timestamp::from_nanos(u64::MAX),
            opening: None,
            answer: None,
            way: Way { session: None, course: u64::from(kept) },
        });
        if kept {
            return Handling::ToHost(leg);
        }
        frame.bytes[..6].copy_from_slice(&mac(2).0);
        frame.bytes[6..12].copy_from_slice(&STATION.0);
        Handling::ToBridge(leg)
    }

    fn on_uplink(&mut self, _: &mut FrameMut<'_>, _: &mut dyn Outlet, _: Timestamp) -> Handling {
        Handling::Consumed
    }

    fn repeats(&self) -> Option<Repeat> {
        self.last
    }

    fn tick(&mut self, _: &mut dyn Outlet, _: Timestamp) -> Option<Timestamp> {
        None
    }
}

fn segment(to: Ipv4Addr, [from, port]: [u16; 2], flags: u8) -> Vec<u8> {
    let mut ip =
        [&[0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0][..], &CLIENT.octets(), &to.octets()]
            .concat();
    let sum = checksum::checksum(&ip).to_be_bytes();
    ip[10..12].copy_from_slice(&sum);
    let ports = [from.to_be_bytes(), port.to_be_bytes()].concat();
    let tcp = [&ports[..], &[0; 8], &[0x50, flags, 1, 0, 0, 0, 0, 0]].concat();
    [ethernet(mac(0), STATION, 0x0800), ip, tcp].concat()
}

/// Sends such a segment until the kernel carries them.
fn carried(rig: &mut Rig, switch: &Switch, bytes: &[u8], at: usize) {
    let before = switch.repeated().unwrap();
    eventually("the kernel carries them", || {
        rig.nodes[0].send(bytes);
        rig.nodes[at].receive();
        switch.repeated().unwrap() > before
    });
}

#[test]
fn a_route_of_port_0_is_for_port_0_alone() {
    on_a_rig(3, |rig| {
        let router = Arc::new(Mutex::new(Router { last: None, seen: 0 }));
        let network = NetworkConfig {
            local: Some(STATION),
            host: Some(PortId(1)),
            ..NetworkConfig::default()
        };
        let config = Config { fast: Some(FastPath::load().unwrap()), ..Config::default() };
        let switch = rig.switch(config, Some(router.clone() as SharedStation));
        switch.set_network(NetworkId::FIRST, network).unwrap();
        rig.nodes[2].send(&plain(2, MacAddr::BROADCAST, 0, 60));
        rig.nodes[0].receive();
        rig.nodes[1].receive();
        let frame = Frame::new(STATION, mac(0), None, 40);
        let asked = |bytes: &[u8]| switch.repeats(&frame, bytes, PortId(0)).unwrap();
        carried(rig, &switch, &segment(HOST, [4, 5], ACK), 1);
        carried(rig, &switch, &segment(SERVER, [0, 0], ACK), 2);
        // All of the host's by one route, connections that begin too; of the server's its own ports.
        for (to, ports, flags, by_kernel) in [
            (HOST, [7, 8], SYN, true),
            (HOST, [0, 0], ACK, true),
            (HOST, [7, 53], ACK, false),
            (SERVER, [0, 0], ACK, true),
            (SERVER, [0, 0], SYN, false),
            (SERVER, [7, 8], SYN, false),
            (SERVER, [7, 9], ACK, false),
        ] {
            let (bytes, at) = (segment(to, ports, flags), if to == HOST { 1 } else { 2 });
            let (foretold, seen) = (asked(&bytes), router.lock().unwrap().seen);
            rig.nodes[0].send(&bytes);
            let got = rig.nodes[at].receive();
            assert_eq!(got.bytes[34..38], bytes[34..38], "{to} {ports:?}");
            let told = router.lock().unwrap().seen == seen;
            assert_eq!((told, foretold), (by_kernel, by_kernel), "{to} {ports:?} {flags}");
        }
    });
}
