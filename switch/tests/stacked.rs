//! Frames with an outer tag, and one more, that are as long as the link allows without them reach a node by
//! its link, as a bridge of the kernel carries them.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod rig;

use std::time::Duration;

use rig::frames::{mac, plain};
use rig::{Rig, eventually, on_a_rig};
use uswitch_switch::Config;
use wire::{VlanTag, VnetHeader};

const OUTER: VlanTag = VlanTag { tpid: 0x88a8, tci: 100 };
const INNER: [u8; 4] = [0x81, 0, 0, 200];
/// A whole packet, the Ethernet header before it.
const LONG: usize = 1514;

#[test]
fn a_whole_packet_behind_two_tags() {
    passes(true);
}

#[test]
fn a_whole_packet_behind_a_tag_of_802_1ad() {
    passes(false);
}

fn passes(two: bool) {
    on_a_rig(0, |rig: &mut Rig| {
        // The sender's link takes what a packet socket sends by no other; the receiver's is like all.
        rig.grow(1, 1508, 255);
        rig.grow(1, 1500, 255);
        let _switch = rig.switch(Config { finish: true, ..Config::default() }, None);
        let mut frame = plain(1, mac(2), 7, LONG);
        if two {
            frame.splice(12..12, INNER);
        }
        let [sender, receiver] = &mut rig.nodes[..] else { panic!("two nodes") };
        let mut came = None;
        // Those that come before the way is open are refused by the kernel, and counted.
        eventually("a frame comes", || {
            sender.send_with(VnetHeader::default(), Some(OUTER), &frame);
            came = receiver.receive_within(Duration::from_millis(50));
            came.as_ref().is_some_and(|got| got.bytes.len() == frame.len())
        });
        let came = came.unwrap();
        assert_eq!(came.vlan, Some(OUTER));
        assert_eq!(came.bytes, frame);
    });
}
