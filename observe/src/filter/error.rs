//! A filter that could not be read: what is wrong, and at which word.

use std::fmt;
use std::ops::Range;

/// Why a filter could not be read. Displays as the message, then the filter with the word
/// underlined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct FilterError {
    /// What is wrong, without the place.
    pub message: String,
    /// The whole filter.
    pub text: String,
    /// Which bytes of it are meant; empty at the end where something is missing.
    pub at: Range<usize>,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = self.text.get(..self.at.start).map_or(0, |s| s.chars().count());
        let word = self.text.get(self.at.clone()).map_or(0, |s| s.chars().count());
        write!(f, "filter: {}\n  {}\n  ", self.message, self.text)?;
        write!(f, "{:before$}{}", "", "^".repeat(word.max(1)))
    }
}

/// The word of `words` that `word` was most likely meant to be.
pub(super) fn closest<'a>(word: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = 1 + word.len() / 4;
    words
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits between two words, a swap of neighbours counting as one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut best =
                (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}
