//! Who is a member of which group. Lines of text.

use control::api::{Mdb, MdbEntry};

use super::lines;
use crate::paint::Paint;
use crate::table::Table;

pub(super) fn lines_of(mdb: &Mdb, paint: Paint) -> Vec<String> {
    let mut table = Table::new(&["GROUP", "SOURCE", "PORT", "NODE", ">VLAN", "STATE", ">SECONDS"]);
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
            seconds(mdb, row),
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

/// What is left of a group's timer, or of a source's, which stands with its group.
fn seconds(mdb: &Mdb, row: &MdbEntry) -> String {
    let Some(src) = &row.src else { return row.timer.trim().to_owned() };
    let key = |row: &MdbEntry| (row.index, row.vid, row.grp.clone(), row.port.clone());
    let whole = mdb.mdb.iter().find(|whole| whole.src.is_none() && key(whole) == key(row));
    let own = whole.and_then(|whole| whole.source_list.iter().find(|own| own.address == *src));
    own.map_or_else(|| "-".into(), |own| own.timer.clone())
}
