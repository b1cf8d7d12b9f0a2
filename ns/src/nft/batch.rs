//! The batch that makes the table: sets, chains, rules.
//!
//! ```text
//!   ingress: to the block? ─► judge: known to a set? ─► ours: remember whose fragments follow, drop
//!            a first fragment of somebody else: forget the datagram
//!            a later fragment of a remembered datagram: drop
//! ```

use super::message::{
    ACKNOWLEDGE, APPEND, BATCH_BEGIN, BATCH_END, CREATE, Do, EXCLUSIVE, Is, KEY, LINK_LAYER,
    NETDEV, NETWORK, NFTABLES, TRANSPORT, among, change, compare, drop, jump, load, long, mask,
    message, nest, number, payload, set, text,
};
use super::{Ask, OPENING, PORTS, Remote, SESSIONS};

const NEW_TABLE: u16 = NFTABLES << 8;
const NEW_CHAIN: u16 = NFTABLES << 8 | 3;
const NEW_RULE: u16 = NFTABLES << 8 | 6;
const NEW_SET: u16 = NFTABLES << 8 | 9;

const OWNER: u32 = 2;

const INGRESS: &str = "ingress";
const JUDGE: &str = "judge";
const OURS: &str = "ours";

const DATAGRAMS: &str = "datagrams";
/// Datagrams remembered, and for how long in milliseconds.
const REMEMBERED: u32 = 1024;
const LIFETIME: u64 = 30_000;
/// `NFT_SET_TIMEOUT | NFT_SET_EVAL`
const CHANGING: u32 = 0x10 | 0x20;

/// "More fragments", and the offset.
const MORE: [u8; 2] = [0x20, 0];
const OFFSET: [u8; 2] = [0x1f, 0xff];
/// FIN, SYN, RST and ACK; a segment that opens a connection has the second alone.
const CONTROL: [u8; 1] = [0x17];
const SYN: [u8; 1] = [0x02];

const TCP: u8 = 6;
const UDP: u8 = 17;

/// The batch, and the sequence number of its last message that is acknowledged.
pub(super) fn batch(ask: &Ask<'_>) -> (Vec<u8>, u32) {
    let table = ask.name;
    let hook = [number(1, 0), number(2, 0), text(3, ask.interface)].concat();
    let entry = [text(1, table), text(3, INGRESS), nest(4, &hook), text(7, "filter")].concat();
    let chain = |name| [text(1, table), text(3, name)].concat();
    let set = |name, length, number_: u32| {
        [text(1, table), text(2, name), number(3, 0), number(5, length), number(10, number_)]
            .concat()
    };
    let datagrams = [
        [text(1, table), text(2, DATAGRAMS), number(3, CHANGING), number(5, 12)].concat(),
        [nest(9, &number(1, REMEMBERED)), number(10, 1), long(11, LIFETIME)].concat(),
    ]
    .concat();
    let made = [
        (NEW_TABLE, [text(1, table), number(2, OWNER)].concat()),
        (NEW_CHAIN, entry),
        (NEW_CHAIN, chain(JUDGE)),
        (NEW_CHAIN, chain(OURS)),
        (NEW_SET, datagrams),
        (NEW_SET, set(SESSIONS, 16, 2)),
        (NEW_SET, set(PORTS, 8, 3)),
        (NEW_SET, set(OPENING, 8, 4)),
    ];
    let mut batch = message(BATCH_BEGIN, 0, 0, 0, &[]);
    let mut sequence = 0;
    for (kind, body) in made {
        sequence += 1;
        batch.extend(message(kind, CREATE | EXCLUSIVE | ACKNOWLEDGE, sequence, NETDEV, &body));
    }
    for (chain, tests) in rules(ask) {
        sequence += 1;
        let rule = [text(1, table), text(2, chain), nest(4, &tests)].concat();
        batch.extend(message(NEW_RULE, CREATE | APPEND | ACKNOWLEDGE, sequence, NETDEV, &rule));
    }
    batch.extend(message(BATCH_END, 0, sequence + 1, 0, &[]));
    (batch, sequence)
}

/// The rules, each with its chain.
fn rules(ask: &Ask<'_>) -> Vec<(&'static str, Vec<u8>)> {
    let to_us = [
        // Of a frame with a VLAN tag the kernel shows the tag here.
        payload(LINK_LAYER, 12, 2),
        compare(Is::Equal, &[0x08, 0x00]),
        payload(NETWORK, 16, 4),
        compare(Is::Equal, &ask.address.octets()),
    ]
    .concat();
    let fragment =
        |bits: [u8; 2], is| [payload(NETWORK, 6, 2), mask(&bits), compare(is, &[0; 2])].concat();
    let with_ports = fragment(OFFSET, Is::Equal);
    let more = fragment(MORE, Is::Not);
    let of_block = |protocol: u8| {
        [
            to_us.clone(),
            payload(NETWORK, 9, 1),
            compare(Is::Equal, &[protocol]),
            // The kernel would take what stands in a later fragment for ports.
            with_ports.clone(),
            payload(TRANSPORT, 2, 2),
            compare(Is::AtLeast, &ask.ports.start().to_be_bytes()),
            compare(Is::AtMost, &ask.ports.end().to_be_bytes()),
            jump(JUDGE),
        ]
        .concat()
    };
    let known = |key: Vec<u8>, set| [key, among(set), jump(OURS)].concat();
    let session = |port| key(&[(NETWORK, 12, 4), port, (TRANSPORT, 2, 2), (NETWORK, 9, 1)]);
    let port = key(&[(TRANSPORT, 2, 2), (NETWORK, 9, 1)]);
    let opening = [
        [payload(NETWORK, 9, 1), compare(Is::Equal, &[TCP])].concat(),
        [payload(TRANSPORT, 13, 1), mask(&CONTROL), compare(Is::Equal, &SYN)].concat(),
        port.clone(),
    ];
    let mut rules = vec![(INGRESS, of_block(TCP)), (INGRESS, of_block(UDP))];
    // The identification may be that of an older datagram of the block.
    let first =
        [to_us.clone(), with_ports, more.clone(), datagram(), change(DATAGRAMS, Do::Forget)];
    let later = [to_us, fragment(OFFSET, Is::Not), datagram(), among(DATAGRAMS), drop()];
    rules.extend([(INGRESS, first.concat()), (INGRESS, later.concat())]);
    match ask.remote {
        Remote::Nothing => {}
        Remote::Address => {
            let any = [session((NETWORK, 9, 1)), set(KEY + 1, &[0; 4])].concat();
            rules.push((JUDGE, known(any, SESSIONS)));
        }
        Remote::AddressAndPort => rules.push((JUDGE, known(session((TRANSPORT, 0, 2)), SESSIONS))),
    }
    rules.push((JUDGE, known(port, PORTS)));
    rules.push((JUDGE, known(opening.concat(), OPENING)));
    rules.push((OURS, [more, datagram(), change(DATAGRAMS, Do::Remember)].concat()));
    rules.push((OURS, drop()));
    rules
}

/// Loads a key: parts of the packet, each in registers of its own.
fn key(parts: &[(u32, u32, u32)]) -> Vec<u8> {
    let load = |(register, (base, offset, length)): (u32, &(u32, u32, u32))| {
        load(register, *base, *offset, *length)
    };
    (KEY..).zip(parts).flat_map(load).collect()
}

/// Source, identification and protocol: which datagram a fragment is of.
fn datagram() -> Vec<u8> {
    key(&[(NETWORK, 12, 4), (NETWORK, 4, 2), (NETWORK, 9, 1)])
}
