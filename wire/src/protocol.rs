//! The protocols that IP carries, by their numbers (IANA), and what people call them.
//!
//! One list for all that prints a protocol or reads one, but for filters: these have tcpdump's names
//! (`observe`). Tunnels are called here as Linux calls their interfaces, so that `ipip` is 4, which IANA
//! calls `ipencap`; IANA's own `ipip` is 94, and has its number alone here.

use std::fmt;
use std::str::FromStr;

use crate::ipv4::protocol::{ICMP, SCTP, TCP, UDP};

const NAMES: &[(u8, &str)] = &[
    (ICMP, "icmp"),
    (2, "igmp"),
    (4, "ipip"),
    (TCP, "tcp"),
    (UDP, "udp"),
    (33, "dccp"),
    (41, "ipv6"),
    (46, "rsvp"),
    (47, "gre"),
    (50, "esp"),
    (51, "ah"),
    (58, "ipv6-icmp"),
    (89, "ospf"),
    (97, "etherip"),
    (103, "pim"),
    (112, "vrrp"),
    (115, "l2tp"),
    (SCTP, "sctp"),
    (136, "udplite"),
    (137, "mpls"),
];

/// IANA's, where they are others; read and not printed.
const IANA: &[(u8, &str)] = &[(4, "ipencap"), (137, "mpls-in-ip")];

/// A protocol of IP by its number. Displays as its name, or as `proto 99` where it has none here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IpProtocol(pub u8);

/// Text that is neither the name of a protocol nor a number of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no protocol of IP: tcp, udp, icmp, gre, ipip, esp, sctp and others by name, all by \
     number, 0 to 255"
)]
pub struct NoProtocol(String);

impl IpProtocol {
    /// The usual name; None for what has none here.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|(number, _)| *number == self.0).map(|(_, name)| *name)
    }
}

impl fmt::Display for IpProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => f.pad(&format!("proto {}", self.0)),
        }
    }
}

impl FromStr for IpProtocol {
    type Err = NoProtocol;

    fn from_str(text: &str) -> Result<Self, NoProtocol> {
        let known = NAMES.iter().chain(IANA).find(|(_, name)| *name == text);
        let number = || text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
        let found = known.map(|(number, _)| *number).or_else(number);
        found.map(Self).ok_or_else(|| NoProtocol(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_have_their_usual_names() {
        for (number, name) in [(47, "gre"), (4, "ipip"), (132, "sctp"), (50, "esp"), (6, "tcp")] {
            assert_eq!(IpProtocol(number).to_string(), name);
        }
        assert_eq!(IpProtocol(99).to_string(), "proto 99");
        assert_eq!(format!("{:5}|{:9}|", IpProtocol(47), IpProtocol(99)), "gre  |proto 99 |");
    }

    #[test]
    fn each_is_read_by_the_name_it_is_printed_by_and_by_its_number() {
        for number in 0..=255 {
            let protocol = IpProtocol(number);
            if let Some(name) = protocol.name() {
                assert_eq!(name.parse(), Ok(protocol));
            }
            assert_eq!(number.to_string().parse(), Ok(protocol));
        }
        assert_eq!("ipencap".parse(), Ok(IpProtocol(4)));
        for wrong in ["", "256", "-1", "+6", "GRE", "proto 99", "g", "47 "] {
            let told = wrong.parse::<IpProtocol>().unwrap_err().to_string();
            assert!(told.starts_with(&format!("{wrong:?} is no protocol of IP")), "{told}");
        }
    }
}
