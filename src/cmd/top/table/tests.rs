use super::*;

const COLUMNS: &[Column] = &[
    Column { title: "NAME", kind: Kind::Left, rank: 0, least: 6 },
    Column { title: "COUNT", kind: Kind::Right, rank: 1, least: 5 },
    Column { title: "BARS", kind: Kind::Bars, rank: 2, least: 8 },
    Column { title: "WHY", kind: Kind::Stretch, rank: 3, least: 8 },
];

fn table(names: &[(&str, u64)]) -> Table {
    let row = |(name, count): &(&str, u64)| Row {
        cells: vec![
            Cell::words(*name),
            Cell::trouble(*count),
            Cell::rate(None),
            Cell::words("a reason that is long"),
        ],
        history: vec![1, 2],
    };
    Table {
        columns: COLUMNS,
        rows: names.iter().map(row).collect(),
        empty: "none".into(),
        note: None,
    }
}

fn names(table: &Table) -> Vec<&str> {
    table.rows.iter().map(|row| row.cells[0].text.as_str()).collect()
}

#[test]
fn names_are_sorted_as_a_person_would() {
    let mut table = table(&[("veth10", 3), ("veth9", 1), ("veth1", 3), ("uplink", 0)]);
    table.sort(Sort { column: 0, falling: false });
    assert_eq!(names(&table), ["uplink", "veth1", "veth9", "veth10"]);
    table.sort(Sort { column: 1, falling: true });
    assert_eq!(names(&table), ["veth1", "veth10", "veth9", "uplink"], "equal ones by name");
    table.sort(Sort { column: 99, falling: true });
    assert_eq!(table.rows.len(), 4);
}

#[test]
fn columns_go_by_rank_and_the_rest_is_shared() {
    let table = table(&[("veth1", 3)]);
    let fit = |width| table.fit(width, None);
    assert_eq!(fit(0), [(0, 0)]);
    assert_eq!(fit(4), [(0, 4)]);
    assert_eq!(fit(11), [(0, 6)]);
    assert_eq!(fit(12), [(0, 6), (1, 5)]);
    assert_eq!(fit(21), [(0, 6), (1, 5), (2, 8)]);
    assert_eq!(fit(40), [(0, 6), (1, 5), (2, 13), (3, 13)]);
    for width in 0..120 {
        let places = fit(width);
        let used: usize = places.iter().map(|(_, width)| width + GAP).sum::<usize>() - GAP;
        assert!(used <= width.max(1), "{width}: {places:?}");
    }
}

#[test]
fn a_place_is_filled_exactly() {
    let table = table(&[("veth1", 1_234_567)]);
    let sort = Some(Sort { column: 1, falling: true });
    for width in 0..60 {
        for place in table.fit(width, sort) {
            assert_eq!(table.title(place, sort).chars().count(), place.1);
            assert_eq!(table.cell(&table.rows[0], place).chars().count(), place.1);
        }
    }
    assert_eq!(table.cell(&table.rows[0], (3, 10)), "a reason …");
    assert_eq!(table.cell(&table.rows[0], (1, 6)), " 1.23M");
    assert_eq!(table.title((1, 7), sort), " COUNT▼");
}
