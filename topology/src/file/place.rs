//! Where in a text things stand: a tree of keys and items with their spots, asked only once
//! something is wrong.

use super::Spot;
use crate::ranges;

/// A value of a text, with where it stands.
pub(super) struct Tree {
    pub(super) spot: Option<Spot>,
    pub(super) kind: Kind,
}

/// What is in it.
pub(super) enum Kind {
    /// Neither of the others.
    Leaf,
    /// Items.
    List(Vec<Tree>),
    /// Keys with where they stand, and values.
    Map(Vec<(String, Option<Spot>, Tree)>),
}

/// Other words for a key, as the types have them.
const ALIASES: &[(&str, &[&str])] = &[
    ("networks", &["network", "legs", "switch", "switches"]),
    ("subnets", &["subnet", "cidr"]),
    ("routes", &["route"]),
    ("addresses", &["address"]),
];

impl Tree {
    /// Where a path leads; as far as it can be followed.
    pub(super) fn find(&self, path: &[String]) -> Option<Spot> {
        let Some((first, rest)) = path.split_first() else { return self.spot };
        let (spot, below) = match &self.kind {
            Kind::Leaf => return self.spot,
            Kind::List(items) => {
                let at = first.parse::<usize>().ok();
                // A list of names stands for a map of them.
                let named = || items.iter().find(|item| matches!(item.kind, Kind::Leaf));
                match at.and_then(|at| items.get(at)).or_else(named) {
                    Some(item) => (item.spot, item),
                    None => return self.spot,
                }
            }
            Kind::Map(entries) => match entries.iter().find(|(key, ..)| means(key, first)) {
                Some((_, spot, below)) => (*spot, below),
                None => return self.spot,
            },
        };
        if rest.is_empty() { spot.or(below.spot) } else { below.find(rest).or(spot) }
    }
}

/// Whether a key as it is written is what a path names: itself, an alias, with dashes, or a range
/// that it is one of.
fn means(written: &str, named: &str) -> bool {
    let dashed = || written.replace('-', "_") == named;
    let alias = || ALIASES.iter().any(|(own, all)| *own == named && all.contains(&written));
    let ranged = || {
        written.contains('[')
            && ranges::expand(written).is_ok_and(|all| all.iter().any(|one| one == named))
    };
    written == named || dashed() || alias() || ranged()
}
