//! A filter's words, where they stand, and what each can be by its look: as libpcap's scanner cuts
//! them, the longest first (`60-70` is one word, `60 - 70` three).

use std::net::Ipv6Addr;
use std::ops::Range;

use wire::MacAddr;

use super::numbers;

/// One word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word<'a> {
    pub(super) text: &'a str,
    pub(super) at: Range<usize>,
    pub(super) kind: Kind,
}

/// What a word is by its look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One of [`SIGNS`].
    Sign,
    Number(u32),
    /// A number that 32 bits do not hold, or with a digit that its base does not have.
    BadNumber,
    /// Two to four numbers with dots between them.
    Dotted,
    V6(Ipv6Addr),
    Mac(MacAddr),
    /// A keyword, or the name of something.
    Name,
    /// Nothing a filter has.
    Strange,
}

/// Signs, those first that others begin with.
const SIGNS: &[&str] = &[
    "&&", "||", ">=", "<=", "!=", "==", "<<", ">>", "+", "-", "*", "/", "%", ":", "[", "]", "!",
    "<", ">", "(", ")", "&", "|", "^", "=",
];

/// Cuts a filter into words.
pub(super) fn words(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let start = text.len() - rest.len();
        let Some((len, kind)) = first(rest) else { return words };
        let (word, tail) = rest.split_at(len);
        words.push(Word { text: word, at: start..start + len, kind });
        rest = tail;
    }
}

/// The first word: its length and kind.
fn first(rest: &str) -> Option<(usize, Kind)> {
    let first = rest.chars().next()?;
    if first == '\\' {
        let end = |c: char| matches!(c, ' ' | '!' | '(' | ')' | '\n' | '\t');
        let len = rest.find(end).unwrap_or(rest.len());
        return Some((len, if len > 1 { Kind::Name } else { Kind::Strange }));
    }
    let plain = plain(rest);
    if let Some(found) = colons(rest, plain) {
        return Some(found);
    }
    if plain > 0 {
        return Some((plain, kind(&rest[..plain])));
    }
    let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
    Some(sign.map_or((first.len_utf8(), Kind::Strange), |sign| (sign.len(), Kind::Sign)))
}

/// How far a word of letters, digits, dots, dashes and underlines goes, which has to end in one of
/// the first three.
fn plain(rest: &str) -> usize {
    let within = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let run = &rest[..rest.find(|c| !within(c)).unwrap_or(rest.len())];
    if !run.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return 0;
    }
    run.trim_end_matches(['-', '_']).len()
}

/// The longest address with colons that is longer than `plain`.
fn colons(rest: &str, plain: usize) -> Option<(usize, Kind)> {
    let within = |c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '.');
    // No address is longer.
    let run = rest.find(|c| !within(c)).unwrap_or(rest.len()).min(45);
    (plain + 1..=run).rev().find_map(|len| {
        let text = rest.get(..len)?;
        if let Some(mac) = mac(text, ':') {
            return Some((len, Kind::Mac(mac)));
        }
        Some((len, Kind::V6(text.parse().ok()?)))
    })
}

fn kind(text: &str) -> Kind {
    if let Some(number) = numbers::constant(text) {
        return Kind::Number(number);
    }
    let short = |c: char| mac(text, c);
    let dotted = |text: &str| {
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        (2..=4).contains(&text.split('.').count()) && text.split('.').all(digits)
    };
    if let Some(mac) = short('-').or_else(|| short('.')).or_else(|| long_mac(text)) {
        Kind::Mac(mac)
    } else if let Some(number) = number(text) {
        number
    } else if dotted(text) {
        Kind::Dotted
    } else {
        Kind::Name
    }
}

/// Six bytes of one or two digits.
fn mac(text: &str, between: char) -> Option<MacAddr> {
    let mut bytes = [0; 6];
    let mut parts = text.split(between);
    for byte in &mut bytes {
        let part = parts.next().filter(|part| (1..=2).contains(&part.len()))?;
        *byte = hex(part).and_then(|value| u8::try_from(value).ok())?;
    }
    parts.next().is_none().then_some(MacAddr(bytes))
}

/// Twelve digits, in one piece or in three.
fn long_mac(text: &str) -> Option<MacAddr> {
    let digits = match text.split('.').collect::<Vec<_>>()[..] {
        [whole] => whole.to_string(),
        [a, b, c] if [a, b, c].iter().all(|part| part.len() == 4) => [a, b, c].concat(),
        _ => return None,
    };
    if digits.len() != 12 {
        return None;
    }
    let value = hex(&digits)?.to_be_bytes();
    Some(MacAddr([value[2], value[3], value[4], value[5], value[6], value[7]]))
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn hex(text: &str) -> Option<u64> {
    if is_hex(text) { u64::from_str_radix(text, 16).ok() } else { None }
}

/// Decimal, 0x hexadecimal, or octal with a leading 0; None where it does not look like a number.
fn number(text: &str) -> Option<Kind> {
    let value = match (text.get(..2), text.get(2..)) {
        (Some("0x" | "0X"), Some(digits)) if !digits.is_empty() && is_hex(digits) => {
            u32::from_str_radix(digits, 16)
        }
        _ if !text.bytes().all(|byte| byte.is_ascii_digit()) => return None,
        _ if text.len() > 1 && text.starts_with('0') => u32::from_str_radix(text, 8),
        _ => text.parse(),
    };
    Some(value.map_or(Kind::BadNumber, Kind::Number))
}
