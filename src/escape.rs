//! What comes from elsewhere, from a lab's answer or a file, as it may go to a terminal: control
//! characters are written out (`\u001b`), so that no text moves the cursor, paints, or names the
//! window. Called by [`crate::say`], for everything people read. Pure.

use std::borrow::Cow;

/// Stands for the escape character in sequences of our own: no text has it (a noncharacter of
/// Unicode), and only with one of [`OURS`] does it become one.
pub(crate) const ESCAPE: char = '\u{fdd0}';

/// Colours, and a screen wiped.
const OURS: [&str; 8] = ["[0m", "[1m", "[2m", "[31m", "[32m", "[33m", "[H", "[2J"];

/// `text` for a terminal. Lines and tabs stay; the rest is in the form of JSON, which stays JSON.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(|c| c == ESCAPE || is_bad(c)) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for (place, c) in text.char_indices() {
        let rest = &text[place + c.len_utf8()..];
        if c == ESCAPE && OURS.iter().any(|ours| rest.starts_with(ours)) {
            safe.push('\u{1b}');
        } else if c == ESCAPE || is_bad(c) {
            safe.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// Control characters, and those that turn the direction of what follows.
fn is_bad(c: char) -> bool {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (c.is_control() && c != '\n' && c != '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        for (text, wanted) in [
            ("plain, ümlaut, →\tand\nlines", "plain, ümlaut, →\tand\nlines"),
            ("\u{1b}]0;owned\u{7}\u{1b}[31mfake", r"\u001b]0;owned\u0007\u001b[31mfake"),
            ("a\rb\u{8}c\u{9b}2Jd\u{7f}", r"a\u000db\u0008c\u009b2Jd\u007f"),
            ("left\u{202e}right", r"left\u202eright"),
            ("\u{fdd0}[31mred\u{fdd0}[0m", "\u{1b}[31mred\u{1b}[0m"),
            ("\u{fdd0}]0;owned", r"\ufdd0]0;owned"),
        ] {
            assert_eq!(escaped(text), wanted);
        }
    }

    #[test]
    fn json_stays_json() {
        let value = serde_json::json!({"name": "a\u{9b}\u{1b}b"});
        let text = value.to_string();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped(&text)).unwrap(), value);
    }
}
