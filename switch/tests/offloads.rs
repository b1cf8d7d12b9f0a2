//! What a frame carries besides its bytes arrives with it: partial checksums, segmentation still to
//! be done, tags. And what cannot be carried is counted, never forwarded in part.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod rig;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rig::frames::{Kind, ethernet, mac, number, offloaded, plain};
use rig::{dropped, inside, ip, on_a_rig, sent, settled};
use uswitch_switch::{Config, DropReason, PortId, Tap, TapRecord};
use wire::{MacAddr, VlanTag, VnetHeader};

const CONFIG: fn() -> Config = Config::default;

fn both_know_each_other(rig: &mut rig::Rig) {
    rig.nodes[1].send(&plain(2, MacAddr::BROADCAST, 0, 60));
    rig.nodes[0].receive();
    rig.nodes[0].send(&plain(1, mac(2), 0, 60));
    rig.nodes[1].receive();
}

#[test]
fn a_partial_checksum_stays_partial() {
    on_a_rig(2, |rig| {
        let switch = rig.switch(CONFIG(), None);
        both_know_each_other(rig);
        for kind in [Kind::TcpV4, Kind::TcpV6, Kind::UdpV4, Kind::UdpV6] {
            let (vnet, frame) = offloaded(1, 2, kind, 700, 0, None);
            rig.nodes[0].send_with(vnet, None, &frame);
            let got = rig.nodes[1].receive();
            assert_eq!((got.vnet, got.vlan), (vnet, None), "{kind:?}");
            assert_eq!(got.bytes, frame, "{kind:?}");
        }
        assert_eq!(settled(&switch, 6).forwarded, 5);
    });
}

#[test]
fn a_frame_that_stands_for_many_arrives_whole() {
    on_a_rig(2, |rig| {
        let switch = rig.switch(CONFIG(), None);
        both_know_each_other(rig);
        let kinds =
            [(Kind::TcpV4, 1448), (Kind::TcpV6, 1428), (Kind::UdpV4, 1472), (Kind::UdpV6, 1452)];
        for (kind, size) in kinds {
            let (mut vnet, frame) = offloaded(1, 2, kind, 30_000, size, None);
            if matches!(kind, Kind::TcpV4 | Kind::TcpV6) {
                vnet.gso_type |= 0x80; // ECN travels too
            }
            rig.nodes[0].send_with(vnet, None, &frame);
            let got = rig.nodes[1].receive();
            assert_eq!((got.vnet.gso_type, got.vnet.gso_size), (vnet.gso_type, size), "{kind:?}");
            assert_eq!(got.vnet.flags, vnet.flags, "{kind:?}");
            assert_eq!(got.vnet.csum_start, vnet.csum_start, "{kind:?}");
            assert_eq!(got.bytes, frame, "{kind:?}");
        }
        assert_eq!(settled(&switch, 6).forwarded, 5);
    });
}

#[test]
fn tags_go_back_in_with_their_own_protocol() {
    on_a_rig(2, |rig| {
        let switch = rig.switch(CONFIG(), None);
        let tags = [
            VlanTag { tpid: 0x8100, tci: 0x6005 },
            VlanTag { tpid: 0x88a8, tci: 0x0007 },
            VlanTag { tpid: 0x8100, tci: 0 },
        ];
        for tag in tags {
            let frame = plain(1, mac(2), 0, 100);
            rig.nodes[0].send_with(VnetHeader::default(), Some(tag), &frame);
            let got = rig.nodes[1].receive();
            assert_eq!((got.vlan, got.bytes), (Some(tag), frame));
            // Two tags: the inner one stands in the bytes.
            let (vnet, frame) = offloaded(1, 2, Kind::TcpV4, 20_000, 1400, Some(0x0123));
            rig.nodes[0].send_with(vnet, Some(tag), &frame);
            let got = rig.nodes[1].receive();
            assert_eq!((got.vlan, &got.bytes), (Some(tag), &frame));
            assert_eq!((got.vnet.gso_type, got.vnet.gso_size), (1, 1400));
            // csum_start counts from the first byte without the outer tag, on both sides.
            assert_eq!(got.vnet.csum_start, vnet.csum_start);
        }
        settled(&switch, 6);
        assert_eq!(switch.fdb().len(), 1, "tags mean nothing where VLANs are not told apart");
    });
}

#[test]
fn a_clipped_frame_is_counted_and_not_forwarded() {
    on_a_rig(2, |rig| {
        let switch = rig.switch(CONFIG(), None);
        both_know_each_other(rig);
        // Longer than anything the switch has a buffer for.
        rig.nodes[0].inside(|| ip("link set p0 gso_max_size 400000\n"));
        let (vnet, mut frame) = offloaded(1, 2, Kind::TcpV6, 60_000, 1400, None);
        frame.resize(300_000, 7);
        rig.nodes[0].send_with(vnet, None, &frame);
        let counters = settled(&switch, 3);
        assert_eq!(dropped(&counters, DropReason::Clipped), 1);
        rig.nodes[1].hears_nothing();
        // What comes after it is not mistaken for it.
        let (vnet, frame) = offloaded(1, 2, Kind::TcpV4, 30_000, 1448, None);
        rig.nodes[0].send_with(vnet, None, &frame);
        assert_eq!(rig.nodes[1].receive().bytes, frame);
        settled(&switch, 4);
    });
}

/// BIG TCP: one frame of more than 64 KiB.
#[test]
fn a_frame_beyond_64_kib_arrives_whole() {
    on_a_rig(2, |rig| {
        let switch = rig.switch(CONFIG(), None);
        both_know_each_other(rig);
        ip("link set v1 gso_max_size 200000\n");
        rig.nodes[0].inside(|| ip("link set p0 gso_max_size 200000\n"));
        let (vnet, mut frame) = offloaded(1, 2, Kind::TcpV6, 60_000, 1400, None);
        frame.resize(190_000, 7);
        for n in 0..20u8 {
            frame[190_000 - 1] = n;
            rig.nodes[0].send_with(vnet, None, &frame);
            rig.nodes[0].send(&plain(1, mac(2), n.into(), 60));
            let got = rig.nodes[1].receive();
            assert_eq!((got.vnet.gso_type, got.vnet.gso_size), (4, 1400));
            assert!(got.bytes == frame, "frame {n} changed on its way");
            assert_eq!(number(&rig.nodes[1].receive().bytes), n.into());
        }
        assert_eq!(settled(&switch, 42).dropped(), 0);
    });
}

/// Lets no frame pass while somebody else holds it.
struct Gate(Mutex<()>);

impl Tap for Gate {
    fn frame(&self, _: &TapRecord<'_>) {
        drop(self.0.lock().unwrap());
    }
}

#[test]
fn long_frames_beyond_the_queue_are_counted_and_the_rest_stays_in_step() {
    on_a_rig(2, |rig| {
        let switch = rig.switch(CONFIG(), None);
        both_know_each_other(rig);
        let gate = Arc::new(Gate(Mutex::new(())));
        switch.set_tap(Some(gate.clone())).unwrap();
        let shut = gate.0.lock().unwrap();
        let (vnet, frame) = offloaded(1, 2, Kind::TcpV4, 60_000, 1448, None);
        for n in 0..300 {
            rig.nodes[0].send_with(vnet, None, &frame);
            rig.nodes[0].send(&plain(1, mac(2), n, 60));
        }
        drop(shut);
        let counters = settled(&switch, 602);
        let lost = dropped(&counters, DropReason::Clipped);
        assert!(lost > 0 && lost < 300, "{lost} of 300 found no room");
        assert_eq!((counters.forwarded, counters.dropped()), (601 - lost, lost));
        assert_eq!(sent(&switch, PortId(1)), (601 - lost, 0));
        switch.set_tap(None).unwrap();
        rig.nodes[1].count(Duration::from_millis(200));
        for kind in [Kind::TcpV4, Kind::TcpV6, Kind::UdpV4] {
            let (vnet, frame) = offloaded(1, 2, kind, 50_000, 1400, None);
            rig.nodes[0].send_with(vnet, None, &frame);
            assert_eq!(rig.nodes[1].receive().bytes, frame);
        }
    });
}

#[test]
fn segments_larger_than_the_egress_mtu_are_dropped_and_counted() {
    on_a_rig(2, |rig| {
        let switch = rig.switch(CONFIG(), None);
        both_know_each_other(rig);
        switch.set_mtu(PortId(1), 1400).unwrap();
        // 1360 + 40 bytes of headers fit, one more does not.
        for (size, fits) in [(1360, true), (1361, false)] {
            let (vnet, frame) = offloaded(1, 2, Kind::TcpV4, 9000, size, None);
            rig.nodes[0].send_with(vnet, None, &frame);
            if fits {
                assert_eq!(rig.nodes[1].receive().bytes, frame);
            } else {
                rig.nodes[1].hears_nothing();
            }
        }
        let counters = settled(&switch, 4);
        assert_eq!(dropped(&counters, DropReason::TooBig), 1);
    });
}

#[test]
fn jumbo_frames_pass_where_both_sides_take_them() {
    for mtu in [9000u32, 65_535] {
        on_a_rig(0, |rig| {
            rig.grow(2, mtu, 60);
            let switch = rig.switch(CONFIG(), None);
            switch.set_mtu(PortId(0), mtu).unwrap();
            switch.set_mtu(PortId(1), mtu).unwrap();
            both_know_each_other(rig);
            let frame = plain(1, mac(2), 9, usize::try_from(mtu).unwrap() + 14);
            rig.nodes[0].send(&frame);
            assert_eq!(rig.nodes[1].receive().bytes, frame);
            settled(&switch, 3);
        });
    }
}

/// Real stacks at both ends, with all their offloads on.
#[test]
fn tcp_and_udp_of_real_stacks_arrive_unchanged() {
    on_a_rig(2, |rig| {
        let switch = rig.switch(CONFIG(), None);
        for (n, node) in rig.nodes.iter().enumerate() {
            node.inside(|| ip(&format!("addr add 10.0.0.{}/24 dev p{n}\nlink set lo up\n", n + 1)));
        }
        let data: Vec<u8> =
            (0..64u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let listener = rig.nodes[1].inside(|| TcpListener::bind("10.0.0.2:7000").unwrap());
        let mut received = Vec::with_capacity(data.len());
        let sender = &rig.nodes[0].netns;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut stream = inside(sender, || TcpStream::connect("10.0.0.2:7000").unwrap());
                stream.write_all(&data).unwrap();
            });
            listener.accept().unwrap().0.read_to_end(&mut received).unwrap();
        });
        assert!(received == data, "64 MiB did not arrive as they were sent");

        let there = rig.nodes[1].inside(|| UdpSocket::bind("10.0.0.2:7001").unwrap());
        let here = rig.nodes[0].inside(|| UdpSocket::bind("10.0.0.1:0").unwrap());
        let mut buffer = [0; 2000];
        for len in [0, 1, 18, 1000, 1472] {
            here.send_to(&data[..len], "10.0.0.2:7001").unwrap();
            let (got, from) = there.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..got], from.ip().to_string()), (&data[..len], "10.0.0.1".into()));
        }
        let counters = switch.counters();
        let bytes: u64 = switch.ports().iter().map(|port| port.stats.rx_bytes).sum();
        let frames = counters.received;
        assert!(bytes / frames > 4000, "{frames} frames for {bytes} bytes: GSO was lost");
        assert_eq!((counters.dropped(), counters.send_errors()), (0, 0), "{counters:?}");
    });
}

#[test]
fn an_802_3_length_frame_is_a_frame() {
    on_a_rig(2, |rig| {
        let switch = rig.switch(CONFIG(), None);
        let mut frame = ethernet(mac(1), mac(2), 40);
        frame.resize(60, 3);
        rig.nodes[0].send(&frame);
        assert_eq!(rig.nodes[1].receive().bytes, frame);
        assert_eq!(settled(&switch, 1).flooded, 1);
    });
}
