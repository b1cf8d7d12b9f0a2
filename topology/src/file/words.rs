//! What the readers of YAML and TOML say of a wrong value, in words of a lab's file: a type of Rust's
//! is a range of numbers to its reader, and of fifty keys the one that was meant is told.

use super::{Fault, Spot};
use crate::seconds::NO_SECONDS;
use crate::set_network::wanted;

/// How like one another two words are (Jaro and Winkler, 0 to 1) where one may be meant for the other.
const ALIKE: f64 = 0.85;
/// Most keys that are listed; of more, those that are like the wrong one.
const LISTED: usize = 12;

/// The fault in words of the file's own.
pub(super) fn plainly(fault: Fault, text: &str) -> Fault {
    let said = fault.text.as_str();
    let (written, key) = (scalar(text, fault.spot), key(text, fault.spot));
    let told = unknown(said)
        .or_else(|| twice(said))
        .or_else(|| number(said, written, key.as_deref().and_then(wanted)))
        .or_else(|| other(said))
        .or_else(|| shape(said).map(str::to_owned));
    let told = told.or_else(|| {
        let said = "a value is wanted here: null stands for none, and \"null\" in quotes is a word";
        (fault.text == "null is not allowed here").then(|| said.to_owned())
    });
    Fault { text: told.unwrap_or(fault.text), ..fault }
}

/// A key that is there already, perhaps by another of its names; and a second document.
fn twice(said: &str) -> Option<String> {
    if said.contains("Documents {") {
        let said = "a second document begins here: a file is one lab, without another `---`";
        return Some(said.to_owned());
    }
    let key = said.strip_prefix("duplicate field `")?.strip_suffix('`')?;
    let others: &[&str] = match key {
        "subnets" => &["subnet", "cidr"],
        "addresses" => &["address"],
        "networks" => &["network", "legs", "switch", "switches"],
        "routes" => &["route"],
        _ => &[],
    };
    let also = match others {
        [] => "a key may stand once, with dashes or underscores".to_owned(),
        others => format!("{} mean the same: say one of them", others.join(", ")),
    };
    Some(format!("{key} is said twice here: {also}"))
}

/// Another form than the one wanted.
fn shape(said: &str) -> Option<&'static str> {
    Some(match said {
        "expected mapping start" => {
            "a map is wanted here: keys with values, as in {subnet: 10.1.0.0/24}"
        }
        "invalid IP address syntax" => "an IP address is wanted here, as 10.1.0.5 or fd00:1::5",
        "expected sequence start" => "a list is wanted here: values in brackets, as in [10, 20]",
        "expected string scalar" | "externally tagged enum expected scalar or mapping" => {
            "one value is wanted here, neither a map nor a list"
        }
        _ => return None,
    })
}

/// A value of another kind than a type of ours takes, which says itself what it is:
/// "invalid type: floating point `1.5`, expected a VLAN: ...".
fn other(said: &str) -> Option<String> {
    let (what, wanted) = said.strip_prefix("invalid type: ")?.split_once(", expected ")?;
    let written = match what {
        "map" => "a map",
        "sequence" => "a list",
        "unit value" => "null",
        _ => match what.split('`').nth(1) {
            Some(value) if wanted.starts_with("a ") => {
                return Some(format!("{value} is not {wanted}"));
            }
            Some(value) => value,
            None => what.strip_prefix("string ")?,
        },
    };
    Some(format!("{written} stands here; wanted is {wanted}"))
}

/// Another number, or another word, than what the reader expected there; `meant` is what the key takes,
/// where that is less than its type.
fn number(said: &str, scalar: Option<&str>, meant: Option<String>) -> Option<String> {
    let range = |kind: &str| {
        let wide = range(kind)?;
        Some(meant.clone().unwrap_or(wide))
    };
    let (wanted, written) = match said.strip_prefix("invalid ") {
        // The reader of YAML: `invalid u16`.
        Some(kind) if !kind.contains(' ') => (range(kind)?, scalar.map(str::to_owned)),
        Some("floating point") => (range("float")?, scalar.map(str::to_owned)),
        None if said == NO_SECONDS => (range("seconds")?, scalar.map(str::to_owned)),
        // serde's own words: "invalid value: integer `70000`, expected u16".
        Some(rest) => {
            let (what, kind) = rest.rsplit_once(", expected ")?;
            (range(kind)?, what.split('`').nth(1).map(str::to_owned))
        }
        None => return None,
    };
    Some(match written {
        Some(written) => format!("{written} is not {wanted}"),
        None => format!("what stands here is not {wanted}"),
    })
}

/// What a type of Rust's is to whoever writes a file.
fn range(kind: &str) -> Option<String> {
    let most = match kind.split_whitespace().next()? {
        "u8" => u64::from(u8::MAX),
        "u16" => u64::from(u16::MAX),
        "u32" => u64::from(u32::MAX),
        "u64" | "usize" => return Some("a whole number, 0 or larger".into()),
        "f64" | "float" => return Some("a number".into()),
        "seconds" => return Some("a number of seconds".into()),
        "boolean" | "bool" => return Some("true or false".into()),
        _ => return None,
    };
    Some(format!("a whole number from 0 to {most}"))
}

/// A key or a word that nobody knows, and those it may have been meant for.
fn unknown(said: &str) -> Option<String> {
    let (first, list) = said.split_once(", expected one of ")?;
    let word = first.split('`').nth(1)?;
    let mut known: Vec<&str> = list.split(',').map(|one| one.trim().trim_matches('`')).collect();
    // Each key may be written with dashes: once is enough.
    let dashed = known.clone();
    known.retain(|one| !one.contains('-') || !dashed.contains(&one.replace('-', "_").as_str()));
    let written = word.replace('-', "_");
    let like = |one: &str| strsim::jaro_winkler(one, &written);
    let mut near: Vec<&str> = known.iter().copied().filter(|one| like(one) >= ALIKE).collect();
    near.sort_by(|a, b| like(b).total_cmp(&like(a)));
    near.truncate(3);
    Some(match (near.is_empty(), known.len() <= LISTED) {
        (false, _) => format!("{first}: is {} meant?", near.join(" or ")),
        (true, true) => format!("{first}: it is one of {}", known.join(", ")),
        (true, false) => format!("{first}: `uswitch schema` lists what can stand here"),
    })
}

/// What stands on a line before a spot, and from there on.
fn around(text: &str, spot: Option<Spot>) -> Option<(&str, &str)> {
    let Spot { line, column } = spot?;
    let line = text.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
    let (at, _) = line.char_indices().nth(usize::try_from(column).ok()?.checked_sub(1)?)?;
    line.split_at_checked(at)
}

/// The key whose value stands at a spot, as keys are spelled.
fn key(text: &str, spot: Option<Spot>) -> Option<String> {
    let (before, _) = around(text, spot)?;
    let before = before.trim_end().strip_suffix([':', '='])?.trim_end();
    let key = before.rsplit([' ', '\t', ',', '{', '.']).next()?;
    Some(key.trim_matches(['"', '\'']).replace('-', "_"))
}

/// The plain value that stands at a spot.
fn scalar(text: &str, spot: Option<Spot>) -> Option<&str> {
    let (_, rest) = around(text, spot)?;
    let end = rest.find([',', '}', ']', '#']).unwrap_or(rest.len());
    Some(rest[..end].trim()).filter(|value| !value.is_empty() && value.len() <= 40)
}
