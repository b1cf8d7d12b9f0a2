//! What pictures are drawn on: how wide the terminal is, and which letters its locale has. Asked by
//! `report`; where nothing tells, a terminal has 80 columns and UTF-8.

use ratatui::crossterm::terminal::window_size;

/// What a picture is drawn on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Canvas {
    /// How wide it is.
    pub(crate) columns: usize,
    /// It shows nothing but ASCII.
    pub(crate) ascii: bool,
}

impl Default for Canvas {
    fn default() -> Self {
        Self { columns: 80, ascii: false }
    }
}

impl Canvas {
    /// That of the terminal the output goes to. COLUMNS goes before what the terminal says.
    pub(crate) fn of_terminal() -> Self {
        let said = |name| std::env::var(name).ok().filter(|text: &String| !text.is_empty());
        let asked = || window_size().ok().map(|size| usize::from(size.columns));
        let columns = said("COLUMNS").and_then(|text| text.parse().ok()).or_else(asked);
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(said);
        let columns = columns.filter(|columns| *columns > 0).unwrap_or(Self::default().columns);
        Self { columns, ascii: locale.is_some_and(|locale| is_ascii(&locale)) }
    }
}

/// Whether a locale has no letters of UTF-8: `C`, `POSIX`, `de_DE.ISO-8859-1`, `de_DE`.
fn is_ascii(locale: &str) -> bool {
    let locale = locale.to_ascii_lowercase();
    let codeset = locale.split('@').next().and_then(|name| name.split_once('.'));
    !codeset.is_some_and(|(_, codeset)| matches!(codeset, "utf-8" | "utf8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_has_utf_8_where_it_says_so() {
        for locale in ["C.UTF-8", "en_GB.utf8", "de_DE.UTF-8@euro"] {
            assert!(!is_ascii(locale), "{locale}");
        }
        for locale in ["C", "POSIX", "de_DE", "de_DE@euro", "ru_RU.KOI8-R"] {
            assert!(is_ascii(locale), "{locale}");
        }
    }
}
