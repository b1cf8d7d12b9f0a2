//! Who is a member of which group. Lines of text.

use std::collections::HashMap;

use control::api::{Mdb, MdbEntry};

use super::lines;
use crate::paint::Paint;
use crate::table::Table;

pub(super) fn lines_of(mdb: &Mdb, paint: Paint) -> Vec<String> {
    let mut table = Table::new(&["GROUP", "SOURCE", "PORT", "NODE", ">VLAN", "STATE", ">SECONDS"]);
    let wholes = wholes(mdb);
    for row in &mdb.mdb {
        let dash = || "-".to_owned();
        let words = std::iter::once(&row.state).chain(&row.filter_mode);
        table.row([
            row.grp.clone(),
            row.src.clone().unwrap_or_else(dash),
            row.port.clone(),
            row.node.clone().unwrap_or_else(dash),
            row.vid.map_or_else(dash, |vlan| vlan.to_string()),
            words.chain(&row.flags).map(String::as_str).collect::<Vec<_>>().join(" "),
            seconds(&wholes, row),
        ]);
    }
    let mut text = lines(&table, paint);
    let vlan = |vid: Option<u16>| vid.map_or_else(String::new, |vlan| format!(" vlan {vlan}"));
    for (dev, routers) in &mdb.router {
        text.extend(routers.iter().map(|router| {
            let (kind, timer) = (&router.kind, router.timer.trim());
            format!("router at {} of {dev}{} {kind} {timer}", router.port, vlan(router.vid))
        }));
    }
    text.extend(mdb.querier.iter().map(|other| {
        let timer = other.timer.trim();
        format!("asked by {} at {}{} {timer}", other.address, other.port, vlan(other.vid))
    }));
    text
}

/// Which membership a row is of.
type Key<'a> = (u32, Option<u16>, &'a str, &'a str);

fn key(row: &MdbEntry) -> Key<'_> {
    (row.index, row.vid, &row.grp, &row.port)
}

/// The rows of whole groups, by what they are of: there may be tens of thousands.
fn wholes(mdb: &Mdb) -> HashMap<Key<'_>, &MdbEntry> {
    mdb.mdb.iter().filter(|row| row.src.is_none()).map(|row| (key(row), row)).collect()
}

/// What is left of a group's timer, or of a source's, which stands with its group.
fn seconds(wholes: &HashMap<Key<'_>, &MdbEntry>, row: &MdbEntry) -> String {
    let Some(src) = &row.src else { return row.timer.trim().to_owned() };
    let whole = wholes.get(&key(row));
    let own = whole.and_then(|whole| whole.source_list.iter().find(|own| own.address == *src));
    own.map_or_else(|| "-".into(), |own| own.timer.clone())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use control::api::MdbSource;

    use super::*;

    /// As many memberships as a network may well have, of one source each.
    #[test]
    #[allow(clippy::disallowed_methods)]
    fn a_long_list_takes_no_longer_than_it_is_long() {
        let mut mdb = Mdb::default();
        for n in 0..50_000u32 {
            let whole = MdbEntry {
                grp: format!("239.1.{}.{}", n >> 8 & 255, n & 255),
                port: format!("veth{}", n >> 16),
                source_list: vec![MdbSource {
                    address: "10.0.0.1".into(),
                    timer: format!("{n}.00"),
                }],
                ..MdbEntry::default()
            };
            let src = Some("10.0.0.1".to_owned());
            mdb.mdb.push(whole.clone());
            mdb.mdb.push(MdbEntry { src, source_list: Vec::new(), ..whole });
        }
        let begun = Instant::now();
        let text = lines_of(&mdb, Paint::of_stdout());
        assert!(begun.elapsed() < Duration::from_secs(20));
        assert!(text.last().is_some_and(|line| line.trim_end().ends_with("49999.00")));
    }
}
