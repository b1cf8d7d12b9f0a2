//! A line of the journal: JSON, a number, a checksum. Pure.
//!
//! ```text
//!   {"address":{"name":"net1","address":"10.100.0.10"}} #4 9f2c6b1a00d8e7f3
//! ```

use std::io;

use ns::Identity;
use serde::{Deserialize, Serialize};

use super::{Header, Known, PAGE};
use crate::uplink::reserve::Reserved;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Line {
    Lab(Header),
    Namespace(Identity),
    Address(Known),
    Reserved(Reserved),
}

/// Lines as they are written after `lines` others that are `length` bytes long. Blanks before a line
/// keep it from lying across the end of a page.
pub(super) fn all(each: &[Line], lines: usize, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for (place, line) in each.iter().enumerate() {
        let json = serde_json::to_string(line).map_err(io::Error::other)?;
        let text = format!("{json} #{}", lines + place + 1);
        let text = format!("{text} {:016x}\n", sum(text.as_bytes()));
        let left = PAGE - (length + bytes.len()) % PAGE;
        if text.len() > left {
            bytes.resize(bytes.len() + left, b' ');
        }
        bytes.extend(text.as_bytes());
    }
    Ok(bytes)
}

/// A line, with its number where it has one; None where it is not whole.
pub(super) fn read(text: &[u8]) -> Option<(Line, Option<usize>)> {
    let text = std::str::from_utf8(text.strip_suffix(b"\n")?).ok()?.trim_start_matches(' ');
    let Some((json, numbered)) = text.rsplit_once(" #") else {
        return Some((serde_json::from_str(text).ok()?, None));
    };
    let (number, checked) = numbered.split_once(' ')?;
    let whole = text.len() - checked.len() - 1;
    let good = checked == format!("{:016x}", sum(&text.as_bytes()[..whole]));
    Some((serde_json::from_str(json).ok().filter(|_| good)?, Some(number.parse().ok()?)))
}

/// FNV-1a, against accidents: whoever can write here needs no collision.
fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
