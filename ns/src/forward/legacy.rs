//! The rules of iptables where it does without nftables: the table `nat`, from where packets come
//! in. One entry behind the other; a verdict that is a place in the table is a jump there.

use std::io;

use super::scope::Scope;
use super::{Ask, Forwarded, xt};

const TABLE: &str = "nat";
const NAMES: &str = "/proc/thread-self/net/ip_tables_names";

// `struct ipt_entry`: addresses and masks, interfaces and masks, protocol, what is inverted; then
// where its target and where the next entry lie.
const DESTINATION: usize = 4;
const DESTINATION_MASK: usize = 12;
const INTERFACE: usize = 16;
const INTERFACE_MASK: usize = 48;
const SOURCE_MASK: usize = 8;
const PROTOCOL: usize = 80;
const INVERTED: usize = 83;
const TARGET: usize = 88;
const NEXT: usize = 90;
const MATCHES: usize = 112;
/// `struct xt_entry_match` and `xt_entry_target`: size, name, revision.
const HEAD: usize = 32;
const REVISION: usize = 31;

/// `IPT_INV_VIA_IN`, `IPT_INV_SRCIP`, `IPT_INV_DSTIP`, `XT_INV_PROTO`
const NOT_INTERFACE: u8 = 0x01;
const NOT_DESTINATION: u8 = 0x10;
const NOT_PROTOCOL: u8 = 0x40;

/// Jumps followed into each other, and entries looked at before it gives up.
const DEPTH: usize = 16;
const ENTRIES: usize = 200_000;

/// Whether the calling thread's namespace has such a table.
pub(super) fn is_there() -> bool {
    // Absent where the kernel has no such tables.
    let names = std::fs::read_to_string(NAMES).unwrap_or_default();
    names.lines().any(|name| name == TABLE)
}

/// Adds what the rules forward of what is asked about.
pub(super) fn walk(ask: &Ask<'_>, found: &mut Vec<Forwarded>) -> io::Result<()> {
    if !is_there() {
        return Ok(());
    }
    let entries = sys::iptables::entries(TABLE)?;
    if let Some(first) = entries.incoming {
        through(&entries.bytes, first, ask, found);
    }
    Ok(())
}

/// The same of a table's bytes, from an entry on.
pub(super) fn through(bytes: &[u8], first: usize, ask: &Ask<'_>, found: &mut Vec<Forwarded>) {
    let mut walk = Walk { bytes, ask, found, left: ENTRIES };
    walk.chain(first, "PREROUTING", &Scope::all(ask), 0);
}

struct Walk<'a> {
    bytes: &'a [u8],
    ask: &'a Ask<'a>,
    found: &'a mut Vec<Forwarded>,
    left: usize,
}

impl Walk<'_> {
    fn chain(&mut self, mut at: usize, name: &str, scope: &Scope, depth: usize) {
        while let Some(entry) = self.bytes.get(at..).filter(|rest| rest.len() >= MATCHES) {
            if self.left == 0 || depth > DEPTH || scope.is_empty() {
                return;
            }
            self.left -= 1;
            let (Some(target), Some(next)) = (half(entry, TARGET), half(entry, NEXT)) else {
                return;
            };
            let Some(judged) = entry.get(target..next).filter(|t| t.len() >= HEAD) else { return };
            let (kind, info) = (word(&judged[2..REVISION]), &judged[HEAD..]);
            let mut here = scope.clone();
            self.conditions(&mut here, entry, target);
            if kind.is_empty() {
                let verdict = info.first_chunk().map_or(-1, |bytes| i32::from_ne_bytes(*bytes));
                let unconditional = entry[..PROTOCOL + 4].iter().all(|byte| *byte == 0);
                match usize::try_from(verdict) {
                    // A jump, unless it is to what follows.
                    Ok(to) if to != at + next => {
                        let name = self.name_before(to);
                        self.chain(to, &name, &here, depth + 1);
                    }
                    // The chain's end: its policy, or back.
                    Err(_) if unconditional && target == MATCHES => return,
                    _ => {}
                }
            } else if kind == "ERROR" {
                // Another chain begins.
                return;
            } else if let Some(to) = xt::target(&kind, judged[REVISION].into(), info) {
                let by = format!("iptables table {TABLE} chain {name}");
                let new =
                    |(protocol, port)| Forwarded { protocol, port, by: by.clone(), to: to.clone() };
                self.found.extend(here.taken().into_iter().map(new));
            }
            at += next.max(MATCHES);
        }
    }

    fn conditions(&self, scope: &mut Scope, entry: &[u8], target: usize) {
        let inverted = entry[INVERTED];
        let number = |at: usize| entry[at..at + 4].iter().fold(0u32, |n, b| n << 8 | u32::from(*b));
        let reached = u32::from(self.ask.address) & number(DESTINATION_MASK) == number(DESTINATION);
        if reached == (inverted & NOT_DESTINATION != 0) {
            scope.empty();
        }
        if number(SOURCE_MASK) != 0 {
            scope.unread();
        }
        let mask = &entry[INTERFACE_MASK..INTERFACE_MASK + 16];
        let named = entry[INTERFACE..INTERFACE + 16].iter().zip(mask).enumerate();
        let own = |at: usize| self.ask.interface.as_bytes().get(at).copied().unwrap_or(0);
        let same = named.clone().all(|(at, (byte, mask))| (byte ^ own(at)) & mask == 0);
        if mask[0] != 0 && same == (inverted & NOT_INTERFACE != 0) {
            scope.empty();
        }
        let protocol = u16::from_ne_bytes([entry[PROTOCOL], entry[PROTOCOL + 1]]);
        if protocol != 0 {
            let not = inverted & NOT_PROTOCOL != 0;
            scope.protocols(|other| (u16::from(other) == protocol) != not);
        }
        let mut at = MATCHES;
        while let Some(one) = entry.get(at..target).filter(|rest| rest.len() >= HEAD) {
            let size = half(one, 0).unwrap_or(HEAD).clamp(HEAD, one.len());
            let info = &one[HEAD..size];
            xt::condition(scope, &word(&one[2..REVISION]), one[REVISION].into(), info);
            at += size;
        }
    }

    /// The chain whose first entry this is: an entry before it has its name.
    fn name_before(&self, first: usize) -> String {
        let mut at = 0;
        while let Some(entry) = self.bytes.get(at..first).filter(|rest| rest.len() >= MATCHES) {
            let (target, next) = (half(entry, TARGET).unwrap_or(0), half(entry, NEXT).unwrap_or(0));
            if at + next == first {
                let name = entry.get(target + HEAD..next).unwrap_or_default();
                return word(name);
            }
            at += next.max(MATCHES);
        }
        String::new()
    }
}

fn half(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?)))
}

/// Up to the first zero.
fn word(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}
