//! The rules of nftables: chains, their rules as lists of expressions, elements of sets. One dump
//! each; a set is asked for when a rule looks into it.

use std::collections::HashMap;
use std::io;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

use crate::nft::{self, text};

const GET_CHAIN: u16 = nft::NFTABLES << 8 | 4;
const GET_RULE: u16 = nft::NFTABLES << 8 | 7;
const GET_ELEMENTS: u16 = nft::NFTABLES << 8 | 13;
const DUMP: u16 = 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// Netlink's header, and `struct nfgenmsg` behind it.
const HEADER: usize = 16;
const BODY: usize = 20;

/// `NFPROTO_INET`, `NFPROTO_IPV4`
const FAMILIES: [(u8, &str); 2] = [(1, "inet"), (2, "ip")];

/// A table's chain: family, table, chain.
pub(super) type Place = (u8, String, String);

/// One expression of a rule: its name and its attributes.
#[derive(Clone, Debug)]
pub(super) struct Expression {
    pub(super) name: String,
    pub(super) data: Vec<u8>,
}

/// One element of a set or a map.
#[derive(Clone, Debug, Default)]
pub(super) struct Element {
    pub(super) key: Vec<u8>,
    /// Of a range, the last key.
    pub(super) last: Vec<u8>,
    /// What stands for all keys that are not there.
    pub(super) any: bool,
    /// What a map gives for it: bytes, or the chain to go on in.
    pub(super) value: Vec<u8>,
    pub(super) chain: Option<String>,
}

/// What the namespace has, of IPv4.
#[derive(Default)]
pub(super) struct Rules {
    socket: Option<Socket>,
    /// Chains that packets enter as they come in.
    pub(super) entries: Vec<Place>,
    pub(super) chains: HashMap<Place, Vec<Vec<Expression>>>,
    pub(super) sets: HashMap<Place, Vec<Element>>,
}

impl Rules {
    /// Reads chains and rules of the calling thread's namespace; None without nftables.
    pub(super) fn read() -> io::Result<Option<Self>> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        let mut rules = Self::default();
        let chains = dump(&socket, GET_CHAIN, 0, &[], |family, body| {
            let (table, chain) = (string(body, 1), string(body, 3));
            let hook = find(body, 4).and_then(|hook| number(hook, 1));
            // `NF_INET_PRE_ROUTING`
            if let (Some(table), Some(chain), Some(0)) = (table, chain, hook) {
                rules.entries.push((family, table, chain));
            }
        });
        match chains.map_err(|e| (e.raw_os_error(), e)) {
            // A kernel without nftables.
            Err((Some(libc::EINVAL | libc::EOPNOTSUPP | libc::ENOENT), _)) => return Ok(None),
            Err((_, error)) => return Err(error),
            Ok(()) => {}
        }
        let known = |family| FAMILIES.iter().any(|(number, _)| *number == family);
        rules.entries.retain(|(family, ..)| known(*family));
        if rules.entries.is_empty() {
            return Ok(None);
        }
        dump(&socket, GET_RULE, 0, &[], |family, body| {
            let (Some(table), Some(chain)) = (string(body, 1), string(body, 2)) else { return };
            let list = find(body, 4).unwrap_or_default();
            let expressions = attributes(list).filter_map(|(_, body)| {
                let data = find(body, 2).unwrap_or_default().to_vec();
                Some(Expression { name: string(body, 1)?, data })
            });
            if known(family) {
                let rules = rules.chains.entry((family, table, chain)).or_default();
                rules.push(expressions.collect());
            }
        })?;
        rules.socket = Some(socket);
        Ok(Some(rules))
    }

    /// The elements of a set.
    pub(super) fn elements(
        &mut self,
        family: u8,
        table: &str,
        set: &str,
    ) -> io::Result<&[Element]> {
        let place = (family, table.to_owned(), set.to_owned());
        if !self.sets.contains_key(&place) {
            let mut raw = Vec::new();
            if let Some(socket) = &self.socket {
                let named = [text(1, table), text(2, set)].concat();
                dump(socket, GET_ELEMENTS, family, &named, |_, body| {
                    let list = find(body, 3).unwrap_or_default();
                    raw.extend(attributes(list).map(|(_, body)| element(body)));
                })?;
            }
            self.sets.insert(place.clone(), ranges(raw));
        }
        Ok(self.sets.get(&place).map(Vec::as_slice).unwrap_or_default())
    }
}

/// In words: `table ip dn chain pre`.
pub(super) fn words((family, table, chain): &Place) -> String {
    let family = FAMILIES.iter().find(|(number, _)| number == family).map_or("", |(_, word)| word);
    format!("table {family} {table} chain {chain}")
}

/// An element, and whether it ends a range.
fn element(body: &[u8]) -> (Element, bool) {
    let bytes = |kind| find(body, kind).and_then(|data| find(data, 1)).unwrap_or_default().to_vec();
    let flags = number(body, 3).unwrap_or(0);
    let verdict = find(body, 2).and_then(|data| find(data, 2));
    let element = Element {
        key: bytes(1),
        last: bytes(10),
        any: flags & 2 != 0,
        value: bytes(2),
        chain: verdict.and_then(|verdict| string(verdict, 2)),
    };
    (element, flags & 1 != 0)
}

/// Single keys and ranges of what may be told as beginnings and ends (which lie one behind).
fn ranges(mut raw: Vec<(Element, bool)>) -> Vec<Element> {
    if !raw.iter().any(|(_, ends)| *ends) {
        raw.iter_mut().filter(|(one, _)| one.last.is_empty()).for_each(|(one, _)| {
            one.last.clone_from(&one.key);
        });
        return raw.into_iter().map(|(one, _)| one).collect();
    }
    // An end before the beginning that follows it at once.
    raw.sort_by(|a, b| (&a.0.key, !a.1).cmp(&(&b.0.key, !b.1)));
    let mut whole = Vec::new();
    for at in 0..raw.len() {
        let (mut one, ends) = raw[at].clone();
        if ends {
            continue;
        }
        one.last = match raw.get(at + 1) {
            Some((next, _)) => before(&next.key),
            None => vec![0xff; one.key.len()],
        };
        whole.push(one);
    }
    whole
}

/// The number before one in the network's order.
fn before(key: &[u8]) -> Vec<u8> {
    let mut bytes = key.to_vec();
    for byte in bytes.iter_mut().rev() {
        let (less, borrowed) = byte.overflowing_sub(1);
        *byte = less;
        if !borrowed {
            break;
        }
    }
    bytes
}

/// Asks for a list and hands on each item: its family and its attributes.
fn dump(
    socket: &Socket,
    kind: u16,
    family: u8,
    asked: &[u8],
    mut item: impl FnMut(u8, &[u8]),
) -> io::Result<()> {
    socket.send(&nft::message(kind, DUMP, 1, family, asked), 0)?;
    loop {
        let (datagram, _) = socket.recv_from_full()?;
        let mut rest = &datagram[..];
        while let Some(header) = rest.first_chunk::<HEADER>() {
            let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
            let message = rest.get(..length.max(HEADER)).unwrap_or(rest);
            match u16::from_ne_bytes([header[4], header[5]]) {
                NLMSG_DONE => return Ok(()),
                NLMSG_ERROR => {
                    let code = message.get(HEADER..).and_then(|b| b.first_chunk::<4>());
                    let code = code.map_or(0, |code| i32::from_ne_bytes(*code));
                    return Err(io::Error::from_raw_os_error(code.saturating_neg()));
                }
                _ => {
                    let family = message.get(HEADER).copied().unwrap_or(0);
                    item(family, message.get(BODY..).unwrap_or_default());
                }
            }
            rest = rest.get(length.max(HEADER).next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

/// The attributes of a message, or of another attribute.
pub(super) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let [a, b, c, d] = *rest.first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([c, d]) & 0x3fff, value))
    })
}

pub(super) fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(of, _)| *of == kind).map(|(_, value)| value)
}

pub(super) fn number(bytes: &[u8], kind: u16) -> Option<u32> {
    Some(u32::from_be_bytes(*find(bytes, kind)?.first_chunk()?))
}

pub(super) fn string(bytes: &[u8], kind: u16) -> Option<String> {
    let value = find(bytes, kind)?;
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    Some(String::from_utf8_lossy(&value[..end]).into_owned())
}
