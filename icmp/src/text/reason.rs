//! ping's words for an ICMP error (RFC 792, RFC 1122, RFC 1812).

use std::net::Ipv4Addr;

/// What an error says; `info` is the MTU, pointer or gateway that belongs to some of them.
#[must_use]
pub fn reason(kind: u8, code: u8, info: u32) -> String {
    let name = name(kind, code);
    match (kind, code) {
        (3, 4) => format!("{name} (mtu = {info})"),
        (5, _) => format!("{name}(New nexthop: {})", Ipv4Addr::from(info)),
        (12, _) => format!("{name}: pointer = {info}"),
        _ => name,
    }
}

/// What type and code are called.
#[must_use]
pub fn name(kind: u8, code: u8) -> String {
    let words = match (kind, code) {
        (3, 0) => "Destination Net Unreachable",
        (3, 1) => "Destination Host Unreachable",
        (3, 2) => "Destination Protocol Unreachable",
        (3, 3) => "Destination Port Unreachable",
        (3, 4) => "Frag needed and DF set",
        (3, 5) => "Source Route Failed",
        (3, 6) => "Destination Net Unknown",
        (3, 7) => "Destination Host Unknown",
        (3, 8) => "Source Host Isolated",
        (3, 9) => "Destination Net Prohibited",
        (3, 10) => "Destination Host Prohibited",
        (3, 11) => "Destination Net Unreachable for Type of Service",
        (3, 12) => "Destination Host Unreachable for Type of Service",
        (3, 13) => "Packet filtered",
        (3, 14) => "Precedence Violation",
        (3, 15) => "Precedence Cutoff",
        (3, code) => return format!("Dest Unreachable, Bad Code: {code}"),
        (4, _) => "Source Quench",
        (5, 0) => "Redirect Network",
        (5, 1) => "Redirect Host",
        (5, 2) => "Redirect Type of Service and Network",
        (5, 3) => "Redirect Type of Service and Host",
        (5, code) => return format!("Redirect, Bad Code: {code}"),
        (11, 0) => "Time to live exceeded",
        (11, 1) => "Frag reassembly time exceeded",
        (11, code) => return format!("Time exceeded, Bad Code: {code}"),
        (12, _) => "Parameter problem",
        (kind, _) => return format!("Bad ICMP type: {kind}"),
    };
    words.into()
}
