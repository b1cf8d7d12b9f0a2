//! A filter's words and where they stand.

use std::ops::Range;

/// One word: a name, a number, an address, or one of `( ) ! && ||` on its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word<'a> {
    pub(super) text: &'a str,
    pub(super) at: Range<usize>,
}

/// Cuts a filter into words.
pub(super) fn words(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let start = text.len() - rest.len();
        let Some(first) = rest.chars().next() else { return words };
        let len = if rest.starts_with("&&") || rest.starts_with("||") {
            2
        } else if is_sign(first) {
            first.len_utf8()
        } else {
            rest.find(|c: char| c.is_whitespace() || is_sign(c)).unwrap_or(rest.len())
        };
        let (word, tail) = rest.split_at(len);
        words.push(Word { text: word, at: start..start + len });
        rest = tail;
    }
}

fn is_sign(c: char) -> bool {
    matches!(c, '(' | ')' | '!' | '&' | '|' | '[' | ']' | '=' | '<' | '>')
}
