//! Rows of words as aligned columns. Pure: lines of text. Figures stand at the right of their
//! column, words at the left; nothing is cut off, and no line ends in blanks.

/// A table being filled.
pub(crate) struct Table {
    heads: Vec<(&'static str, Side)>,
    rows: Vec<Vec<String>>,
}

/// On which side of its column a cell stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Words.
    Left,
    /// Figures.
    Right,
}

impl Table {
    /// A table with these columns; a head that begins with `>` is a column of figures.
    pub(crate) fn new(heads: &[&'static str]) -> Self {
        let side = |head: &&'static str| match head.strip_prefix('>') {
            Some(head) => (head, Side::Right),
            None => (*head, Side::Left),
        };
        Self { heads: heads.iter().map(side).collect(), rows: Vec::new() }
    }

    /// A row, a cell a column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The head and the rows.
    pub(crate) fn lines(&self) -> (String, Vec<String>) {
        let widths: Vec<usize> = (0..self.heads.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
                widest.max(self.heads[column].0.chars().count())
            })
            .collect();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let columns =
                cells.zip(&widths).zip(&self.heads).map(|((cell, width), (_, side))| match side {
                    Side::Left => format!("{cell:<width$}"),
                    Side::Right => format!("{cell:>width$}"),
                });
            columns.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let head = line(&mut self.heads.iter().map(|(head, _)| *head));
        let rows = self.rows.iter().map(|row| line(&mut row.iter().map(String::as_str)));
        (head, rows.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["PORT", ">FRAMES", "STATE"]);
        table.row(["veth1".into(), "7".into(), "up".into()]);
        table.row(["vethinet".into(), "12345678".into(), String::new()]);
        let (head, rows) = table.lines();
        assert_eq!(head, "PORT        FRAMES  STATE");
        assert_eq!(rows, ["veth1            7  up", "vethinet  12345678"]);
    }

    #[test]
    fn an_empty_table_has_its_head() {
        assert_eq!(Table::new(&["A", ">B"]).lines(), ("A  B".into(), Vec::new()));
    }
}
