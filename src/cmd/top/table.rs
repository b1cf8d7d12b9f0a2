//! Rows and columns without a terminal: what a pane shows, sorted, filtered and fitted to a width.
//! Made by `panes`, drawn by `view`, printed by `batch`. Pure.

use super::text;

/// Fewer columns than this and a stretching column is left out.
const STRETCH: usize = 8;
/// Blank columns between two columns.
pub(super) const GAP: usize = 1;

/// What a cell says about its row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mood {
    #[default]
    Plain,
    Dim,
    Good,
    Bad,
}

/// What a cell is sorted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(u64),
    Text(String),
}

/// One value.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) mood: Mood,
    key: Key,
}

impl Cell {
    /// Words, sorted by letters, and by numbers where there are some: veth2 comes before veth10.
    pub(super) fn words(words: impl Into<String>) -> Self {
        let text = words.into();
        let key = Key::Text(natural(&text));
        Self { text, mood: Mood::Plain, key }
    }

    /// A number in a form of its own.
    pub(super) fn number(number: u64, text: String) -> Self {
        Self { text, mood: Mood::Plain, key: Key::Number(number) }
    }

    /// A number that may not be known yet.
    pub(super) fn rate(number: Option<u64>) -> Self {
        let text = number.map_or_else(|| "-".into(), text::short);
        Self::number(number.unwrap_or(0), text)
    }

    /// A count of what should not happen.
    pub(super) fn trouble(number: u64) -> Self {
        let mood = if number > 0 { Mood::Bad } else { Mood::Dim };
        Self::number(number, text::short(number)).in_mood(mood)
    }

    pub(super) fn in_mood(mut self, mood: Mood) -> Self {
        self.mood = mood;
        self
    }
}

/// A name with its numbers padded, so that letters sort it as a person would.
fn natural(name: &str) -> String {
    let mut key = String::new();
    let mut digits = String::new();
    for letter in name.chars().chain([' ']) {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        if !digits.is_empty() {
            key.push_str(&format!("{digits:0>12}"));
            digits.clear();
        }
        key.push(letter);
    }
    key
}

/// How a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Words, to the left.
    Left,
    /// Numbers, to the right.
    Right,
    /// Words that may be cut off, and take what room is left.
    Stretch,
    /// The row's history as bars; takes what room is left.
    Bars,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) kind: Kind,
    /// In a narrow terminal the highest ranks go first.
    pub(super) rank: u8,
    /// Room for values that change, so that the columns stay where they are.
    pub(super) least: usize,
}

/// A row: a cell for each column.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) cells: Vec<Cell>,
    /// What the bars show, the newest last.
    pub(super) history: Vec<u64>,
}

/// Which column decides, and which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sort {
    pub(super) column: usize,
    pub(super) falling: bool,
}

/// What a pane shows.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) columns: &'static [Column],
    pub(super) rows: Vec<Row>,
    /// Said instead of rows where there are none.
    pub(super) empty: String,
    /// Said where not all rows are here.
    pub(super) note: Option<String>,
}

/// A column's place in a line: which, and how wide.
pub(super) type Place = (usize, usize);

impl Table {
    /// Sorts the rows; equal ones by the columns from the left, so that they do not jump about.
    pub(super) fn sort(&mut self, sort: Sort) {
        let keys = |row: &Row| row.cells.iter().map(|cell| cell.key.clone()).collect::<Vec<_>>();
        self.rows.sort_by_cached_key(keys);
        let key = |row: &Row| row.cells.get(sort.column).map(|cell| cell.key.clone());
        if sort.falling {
            self.rows.sort_by_cached_key(|row| std::cmp::Reverse(key(row)));
        } else {
            self.rows.sort_by_cached_key(key);
        }
    }

    /// Keeps the rows in which `words` stand, whatever the case.
    pub(super) fn keep(&mut self, words: &str) {
        let words = words.to_lowercase();
        let has = |cell: &Cell| cell.text.to_lowercase().contains(&words);
        self.rows.retain(|row| words.is_empty() || row.cells.iter().any(has));
    }

    /// Which columns fit into `width`, and how wide each is. The first rank is always there; of
    /// another all columns are, or none.
    pub(super) fn fit(&self, width: usize, sort: Option<Sort>) -> Vec<Place> {
        let mut ranks: Vec<u8> = self.columns.iter().map(|column| column.rank).collect();
        ranks.sort_unstable();
        ranks.dedup();
        let mut places: Vec<Place> = Vec::new();
        let mut used = 0;
        for rank in ranks {
            let group = (0..self.columns.len()).filter(|index| self.columns[*index].rank == rank);
            let group: Vec<Place> = group.map(|index| (index, self.wanted(index, sort))).collect();
            let wanted = group.iter().map(|(_, wanted)| wanted + GAP).sum::<usize>();
            // No gap before the first.
            let wanted = if places.is_empty() { wanted.saturating_sub(GAP) } else { wanted };
            if used + wanted > width && !places.is_empty() {
                break;
            }
            used += wanted;
            places.extend(group.into_iter().map(|(index, wanted)| (index, wanted.min(width))));
        }
        places.sort_unstable();
        let stretching: Vec<usize> = (0..places.len())
            .filter(|place| {
                matches!(self.columns[places[*place].0].kind, Kind::Stretch | Kind::Bars)
            })
            .collect();
        if let Some(share) = width.saturating_sub(used).checked_div(stretching.len()) {
            stretching.iter().for_each(|place| places[*place].1 += share);
        }
        places
    }

    fn wanted(&self, index: usize, sort: Option<Sort>) -> usize {
        let column = &self.columns[index];
        let mark = usize::from(sort.is_some_and(|sort| sort.column == index));
        let title = column.title.chars().count() + mark;
        match column.kind {
            Kind::Stretch | Kind::Bars => title.max(STRETCH),
            Kind::Left | Kind::Right => title.max(column.least).max(self.widest(index)),
        }
    }

    /// The longest text of a column.
    pub(super) fn widest(&self, index: usize) -> usize {
        let length = |row: &Row| row.cells.get(index).map_or(0, |cell| cell.text.chars().count());
        self.rows.iter().map(length).max().unwrap_or(0)
    }

    /// A column's title, with the mark of the sorted one.
    pub(super) fn title(&self, (index, width): Place, sort: Option<Sort>) -> String {
        let column = &self.columns[index];
        let mark = match sort {
            Some(sort) if sort.column == index && sort.falling => "▼",
            Some(sort) if sort.column == index => "▲",
            _ => "",
        };
        pad(&format!("{}{mark}", column.title), column.kind, width)
    }

    /// A cell in its place.
    pub(super) fn cell(&self, row: &Row, (index, width): Place) -> String {
        let kind = self.columns[index].kind;
        match kind {
            Kind::Bars => text::spark(&row.history, width),
            _ => pad(row.cells.get(index).map_or("", |cell| &cell.text), kind, width),
        }
    }
}

/// Text of exactly `width` characters; what is cut off shows.
fn pad(text: &str, kind: Kind, width: usize) -> String {
    let length = text.chars().count();
    if length > width {
        let kept = text.chars().take(width.saturating_sub(1)).collect::<String>();
        return format!("{kept}…").chars().take(width).collect();
    }
    match kind {
        Kind::Right => format!("{text:>width$}"),
        _ => format!("{text:<width$}"),
    }
}

#[cfg(test)]
mod tests;
