//! The names of a lab as lines of text.

use control::api::Name;

use super::lines;
use crate::paint::Paint;
use crate::table::Table;

pub(super) fn names(list: &[Name], paint: Paint) -> Vec<String> {
    let mut table =
        Table::new(&["NAME", "ADDRESSES", "NETWORK", "WHOSE", "WITH ITS DOMAIN", "ALSO"]);
    for one in list {
        let addresses: Vec<_> = one.addresses.iter().map(ToString::to_string).collect();
        table.row([
            one.name.clone(),
            addresses.join(" "),
            one.network.clone().unwrap_or_else(|| "-".into()),
            one.whose.to_string(),
            one.fqdn.clone(),
            one.aliases.join(" "),
        ]);
    }
    lines(&table, paint)
}
