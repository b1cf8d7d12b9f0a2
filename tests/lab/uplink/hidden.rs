//! Connections to a published port that hide from the program at the uplink what they are: the host's
//! stack sees nothing of them, for it would refuse what is the NAT's.

use std::time::Duration;

use super::host::{Dump, end, eventually, lab, netns, on_a_watched_host};
use crate::support::{Wire, sum};

/// Who asks, and the port that it asks from.
const FROM: [u8; 4] = [8, 8, 8, 8];

/// A segment that opens a connection to a port of the host's address.
fn opening(from: u16, to: u16) -> Vec<u8> {
    let mut tcp = [&from.to_be_bytes()[..], &to.to_be_bytes(), &[0; 8]].concat();
    tcp.extend([0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0]);
    let pseudo = [&FROM[..], &[192, 0, 2, 2, 0, 6, 0, 20]].concat();
    let check = !sum(&[&pseudo, &tcp]);
    tcp[16..18].copy_from_slice(&check.to_be_bytes());
    tcp
}

/// A packet, or a fragment of one.
fn packet(id: u8, fragment: u16, body: &[u8]) -> Vec<u8> {
    let total = u16::try_from(20 + body.len()).unwrap().to_be_bytes();
    let [high, low] = fragment.to_be_bytes();
    let mut header = vec![0x45, 0, total[0], total[1], 0x55, id, high, low, 64, 6, 0, 0];
    header.extend(FROM);
    header.extend([192, 0, 2, 2]);
    let check = !sum(&[&header]);
    header[10..12].copy_from_slice(&check.to_be_bytes());
    [&header[..], body].concat()
}

#[test]
fn neither_fragments_nor_tags_hide_a_connection() {
    on_a_watched_host(|sandbox| {
        let run = lab(sandbox, &["run", "--uplink", "auto", "-p", "20080:net1:80"]);
        // The stack's own words: of what a node says the gateway has taken one from its time to live.
        let refused = "src host 192.0.2.2 and ip[8] == 64 and tcp[tcpflags] & tcp-rst != 0";
        let dump = Dump::start(sandbox, refused);
        let to = Wire::open(netns("host"), "eth0").mac;
        let mut wire = Wire::open(netns("isp"), "isp0");
        let from = wire.mac;
        let mut send = |kind: &[u8], packet: &[u8]| {
            wire.send(&[&to[..], &from, kind, packet, &[0x02; 30]].concat());
        };
        let tags = [[0x81, 0, 0, 0], [0x88, 0xa8, 0, 0]];
        let whole = |port| packet(9, 0, &opening(4009, port));
        let tcp = opening(4001, 20080);
        for (id, order) in [(1, [0, 1, 2]), (2, [2, 1, 0])] {
            let parts = [
                packet(id, 0x2000, &tcp[..8]),
                packet(id, 0x2001, &tcp[8..16]),
                packet(id, 2, &tcp[16..]),
            ];
            order.iter().for_each(|part| send(&[8, 0], &parts[*part]));
        }
        for outer in &tags {
            send(&[&outer[..], &tags[0], &[8, 0]].concat(), &whole(20080));
            send(&[&outer[..], &tags[0], &tags[0], &[8, 0]].concat(), &whole(20080));
        }
        // What is the host's it refuses: whole, and in one tag that names no VLAN.
        send(&[8, 0], &whole(30080));
        send(&[&tags[0][..], &[8, 0]].concat(), &whole(30080));
        eventually("the host's own are refused", || dump.lines(sandbox).len() >= 2);
        std::thread::sleep(Duration::from_millis(300));
        let lines = dump.end(sandbox);
        assert!(lines.iter().all(|line| line.contains(".30080 >")), "{lines:#?}");
        end(run);
    });
}
