//! A range of addresses, and the domain its reverse names lie in (RFC 1035 section 3.5, RFC 3596
//! section 2.5).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subnet {
    /// An address in it.
    pub address: IpAddr,
    /// Bits that all its addresses share.
    pub length: u8,
}

impl Subnet {
    /// Whether an address lies in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (a, b, bits) = match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                (u128::from(a.to_bits()), u128::from(b.to_bits()), 32)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
            _ => return false,
        };
        let free = bits - u32::from(self.length).min(bits);
        (a ^ b).checked_shr(free).unwrap_or(0) == 0
    }

    /// The smallest domain with all its reverse names, without a dot at its end.
    #[must_use]
    pub fn domain(&self) -> String {
        let (per_label, whole) = match self.address {
            IpAddr::V4(_) => (8, 4),
            IpAddr::V6(_) => (4, 32),
        };
        let labels = usize::from(self.length / per_label).min(whole);
        let name = reverse_name(self.address);
        let skipped = name.split('.').skip(whole - labels).collect::<Vec<_>>();
        skipped.join(".")
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// The name at which an address's own name is asked for, without a dot at its end.
#[must_use]
pub fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            let mut name = String::with_capacity(72);
            for place in 0..32 {
                name.push_str(&format!("{:x}.", bits >> (4 * place) & 0xf));
            }
            name + "ip6.arpa"
        }
    }
}

/// The address whose name is asked for at `name` (in lower case, without a dot at its end).
#[must_use]
pub fn of_reverse_name(name: &str) -> Option<IpAddr> {
    if let Some(digits) = name.strip_suffix(".in-addr.arpa") {
        let mut octets = [0u8; 4];
        let mut labels = digits.split('.');
        for octet in octets.iter_mut().rev() {
            let label = labels.next()?;
            *octet = label.parse().ok().filter(|read: &u8| read.to_string() == label)?;
        }
        return labels.next().is_none().then(|| Ipv4Addr::from(octets).into());
    }
    let digits = name.strip_suffix(".ip6.arpa")?;
    let mut bits = 0u128;
    let mut count = 0u32;
    for label in digits.split('.') {
        let digit = u32::from_str_radix(label, 16).ok().filter(|_| label.len() == 1)?;
        bits |= u128::from(digit).checked_shl(4 * count)?;
        count += 1;
    }
    (count == 32).then(|| Ipv6Addr::from(bits).into())
}

#[cfg(test)]
mod tests;
