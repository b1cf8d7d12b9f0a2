#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn ranges_stand_for_names() {
    for (pattern, names) in [
        ("h", &["h"] as &[&str]),
        ("h[1-3]", &["h1", "h2", "h3"]),
        ("h[08-10]x", &["h08x", "h09x", "h10x"]),
        ("r[1,3]", &["r1", "r3"]),
        ("r[1-2]-[1,4]", &["r1-1", "r1-4", "r2-1", "r2-4"]),
    ] {
        assert_eq!(expand(pattern).unwrap(), names, "{pattern}");
    }
}

#[test]
fn what_is_no_range_is_said() {
    for (pattern, said) in [
        ("h[1-3", "not closed"),
        ("h1-3]", "not opened"),
        ("h[]", "no number"),
        ("h[a-c]", "no number"),
        ("h[3-1]", "smaller number comes first"),
        ("h[1-999999999]", "longer than"),
        ("h[1-99][1-99]", "9801 names"),
        ("h[[1]]", "no number"),
    ] {
        let error = expand(pattern).unwrap_err().to_string();
        assert!(error.contains(said), "{pattern}: {error}");
    }
}

#[test]
fn a_name_stands_once() {
    let mut from = serde_json::Deserializer::from_str(r#"{"h[1-3]": 1, "h2": 2}"#);
    let error = map::<_, u8>(&mut from).unwrap_err().to_string();
    assert!(error.starts_with("h2 stands twice"), "{error}");
}
