//! Which addresses lead to one host or one node. What others say is asked here before a row follows from
//! it: the tunnel's device takes some of the others, and sends to nobody, or to everybody.

use std::net::IpAddr;

use wire::MacAddr;

/// Whether an address may be another host's end of a tunnel.
#[must_use]
pub fn is_end(address: IpAddr) -> bool {
    let strange = match address {
        IpAddr::V4(own) => own.is_broadcast(),
        // One of the link alone is none without the link; one of IPv4 is written as such.
        IpAddr::V6(own) => own.is_unicast_link_local() || own.to_ipv4_mapped().is_some(),
    };
    !address.is_unspecified() && !address.is_multicast() && !address.is_loopback() && !strange
}

/// Whether a hardware address may be a node's. That of zeros stands for what is flooded.
#[must_use]
pub fn is_station(address: MacAddr) -> bool {
    !address.is_group() && address != MacAddr::ZERO
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_end_is_one_host_s() {
        for none in [
            "0.0.0.0",
            "127.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "ff02::1",
            "fe80::1",
            "::ffff:10.9.0.2",
        ] {
            assert!(!is_end(none.parse().unwrap()), "{none}");
        }
        assert!(is_end("10.9.0.2".parse().unwrap()) && is_end("fd09::2".parse().unwrap()));
    }
}
