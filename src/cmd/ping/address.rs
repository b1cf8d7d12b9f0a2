//! A destination: a number in any of the forms the C library reads, or a node of the lab.

use std::net::Ipv4Addr;

use anyhow::Context;

use crate::node;

/// An address as inet_aton(3) reads it: one to four parts, decimal, octal or hex, of which the last
/// fills what is left.
pub(super) fn number(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u32> = text.split('.').map(part).collect::<Option<_>>()?;
    let (last, before) = parts.split_last()?;
    if before.len() > 3 || before.iter().any(|part| *part > 255) {
        return None;
    }
    let bits = 8 * (4 - before.len());
    if u64::from(*last) >> bits != 0 {
        return None;
    }
    let head = before.iter().fold(0, |so_far: u32, part| so_far << 8 | part);
    let head = if before.is_empty() { 0 } else { head << bits };
    Some(Ipv4Addr::from(head | last))
}

fn part(text: &str) -> Option<u32> {
    let plain = |digits: &str, radix| {
        let clean = digits.chars().all(|c| c.is_digit(radix));
        (clean && !digits.is_empty()).then(|| u32::from_str_radix(digits, radix).ok()).flatten()
    };
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => plain(hex, 16),
        None if text.len() > 1 && text.starts_with('0') => plain(text, 8),
        None => plain(text, 10),
    }
}

/// The address meant by `dest`.
///
/// # Errors
/// Where it is neither; the message lists the nodes there are.
pub(super) fn resolve(lab: &str, dest: &str) -> anyhow::Result<Ipv4Addr> {
    match number(dest) {
        Some(address) => Ok(address),
        None => node::address(lab, dest)
            .with_context(|| format!("{dest} is neither an IPv4 address nor a node")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Ipv4Addr, number};

    #[test]
    fn numbers_as_the_c_library_reads_them() {
        for (text, octets) in [
            ("10.100.0.20", [10, 100, 0, 20]),
            ("127.1", [127, 0, 0, 1]),
            ("10.100.20", [10, 100, 0, 20]),
            ("0", [0; 4]),
            ("0x7f000001", [127, 0, 0, 1]),
            ("010.0x10.1.2", [8, 16, 1, 2]),
            ("4294967295", [255; 4]),
        ] {
            assert_eq!(number(text), Some(Ipv4Addr::from(octets)), "{text}");
        }
        for text in
            ["", "net1", "1.2.3.4.5", "256.1", "1.16777216", "1..2", "09", "0x", "+1", "1.2.3.256"]
        {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
