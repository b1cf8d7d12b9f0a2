//! Lists in pages: no answer is larger than a page, however long the list.

use serde::{Deserialize, Serialize};

/// Items in a page unless asked for fewer or more.
pub const PAGE_DEFAULT: usize = 256;
/// The most items in a page: about 400 KB of JSON, the unit of the server's memory bound.
pub const PAGE_MAX: usize = 1024;

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page starts; None at the end.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

fn none() -> Option<u64> {
    None
}

impl<T> Page<T> {
    /// Cuts a page out of a list that is sorted by `key`, from `query`'s cursor on. `key` is
    /// unique and stays with its item, so that items which come and go between two pages neither
    /// hide nor repeat others.
    pub fn cut(items: Vec<T>, query: &PageQuery, key: impl Fn(&T) -> u64) -> Self {
        let from = query.cursor.unwrap_or(0);
        let mut rest = items.into_iter().skip_while(|item| key(item) < from);
        let items: Vec<T> = rest.by_ref().take(query.limit()).collect();
        let next = rest.next().map(|item| key(&item));
        Self { items, next }
    }
}

/// Which part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// `next` of the page before.
    pub cursor: Option<u64>,
    /// How many items at most.
    pub limit: Option<usize>,
}

impl PageQuery {
    /// How many items, within bounds.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX)
    }
}
