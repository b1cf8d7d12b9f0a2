//! Matches and targets of iptables as the kernel keeps them (`struct xt_tcp` and the like): those
//! that speak of ports, and those that forward.

use std::net::Ipv4Addr;

use super::scope::Scope;

/// Narrows `scope` to what a match lets by; one that is not known here cannot be read.
pub(super) fn condition(scope: &mut Scope, name: &str, revision: u32, info: &[u8]) {
    let word = |at: usize| info.get(at..at + 2).map(|b| u16::from_ne_bytes([b[0], b[1]]));
    match name {
        // Source ports, destination ports; what is inverted stands behind them.
        "tcp" | "udp" => {
            let protocol = if name == "tcp" { 6 } else { 17 };
            scope.protocols(|other| other == protocol);
            let inverted = info.get(if name == "tcp" { 11 } else { 8 }).copied().unwrap_or(0);
            if (word(0), word(2)) != (Some(0), Some(u16::MAX)) {
                scope.unread();
            }
            match (word(4), word(6)) {
                (Some(0), Some(u16::MAX)) if inverted & 2 == 0 => {}
                (Some(first), Some(last)) => scope.range(&(first..=last), inverted & 2 != 0),
                _ => scope.unread(),
            }
        }
        // Which ports, how many, up to fifteen, which of them begin a range.
        "multiport" if revision == 1 => {
            let (which, count) = (info.first().copied(), info.get(1).copied().unwrap_or(0));
            let inverted = info.get(47).copied().unwrap_or(0) != 0;
            let mut ranges = Vec::new();
            let mut at = 0;
            while at < usize::from(count.min(15)) {
                let Some(first) = word(2 + 2 * at) else { break };
                let begins = info.get(32 + at).is_some_and(|flag| *flag != 0);
                let last = if begins { word(4 + 2 * at).unwrap_or(first) } else { first };
                ranges.push(first..=last);
                at += 1 + usize::from(begins);
            }
            let among = |port| ranges.iter().any(|range| range.contains(&port)) != inverted;
            match which {
                Some(0) => scope.unread(),
                // Destination, or either.
                _ => scope.ports(among),
            }
        }
        "comment" => {}
        _ => scope.unread(),
    }
}

/// Where a target forwards to, where it does, as far as it says so.
#[expect(clippy::option_option, reason = "whether it forwards, and whether it says where to")]
pub(super) fn target(name: &str, revision: u32, info: &[u8]) -> Option<Option<String>> {
    match name {
        "DNAT" => Some(destination(revision, info)),
        "REDIRECT" => {
            let port = nat_range(0, info).and_then(|(_, port)| port);
            Some(port.map(|port| format!("port {port} of this host")))
        }
        "TPROXY" => Some(None),
        _ => None,
    }
}

fn destination(revision: u32, info: &[u8]) -> Option<String> {
    let (address, port) = nat_range(revision, info)?;
    match (address, port) {
        (Some(address), Some(port)) => Some(format!("{address}:{port}")),
        (Some(address), None) => Some(address.to_string()),
        (None, port) => port.map(|port| format!("port {port}")),
    }
}

/// `struct nf_nat_range2`, or of revision 0 `nf_nat_ipv4_multi_range_compat`: address and port.
fn nat_range(revision: u32, info: &[u8]) -> Option<(Option<Ipv4Addr>, Option<u16>)> {
    let (flags, address, port) = if revision == 0 { (4, 8, 16) } else { (0, 4, 36) };
    let flags = u32::from_ne_bytes(*info.get(flags..)?.first_chunk()?);
    let address = Ipv4Addr::from(*info.get(address..)?.first_chunk::<4>()?);
    let port = u16::from_be_bytes(*info.get(port..)?.first_chunk()?);
    // `NF_NAT_RANGE_MAP_IPS`, `NF_NAT_RANGE_PROTO_SPECIFIED`
    Some(((flags & 1 != 0).then_some(address), (flags & 2 != 0).then_some(port)))
}
