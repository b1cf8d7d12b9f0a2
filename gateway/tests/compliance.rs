//! Every test that `docs/nat.md` names exists: a row without its test is a claim.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The names of all test functions in the sources under `folder`.
fn tests_in(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder of the workspace") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            tests_in(&path, names);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path).expect("a source file");
            // A test is a function after `#[test]`, in a file or inside `proptest!`.
            let after_test = text.split("#[test]").skip(1);
            names.extend(after_test.filter_map(|t| {
                let name = t.split_once("fn ")?.1;
                Some(name.split_once('(')?.0.to_owned())
            }));
        }
    }
}

#[test]
fn every_test_named_in_the_documentation_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut known = BTreeSet::new();
    for folder in ["gateway", "wire", "tests"] {
        tests_in(&root.join(folder), &mut known);
    }
    let page = fs::read_to_string(root.join("docs/nat.md")).expect("docs/nat.md");
    // Names of tests are the words in backticks that look like sentences.
    let named: Vec<_> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|w| w.matches('_').count() >= 2 && !w.contains(|c| "/. ".contains(c)))
        .collect();
    assert!(named.len() > 60, "only {} tests are named", named.len());
    let missing: Vec<_> = named.iter().filter(|n| !known.contains(**n)).collect();
    assert!(missing.is_empty(), "named in docs/nat.md and nowhere else: {missing:?}");
}

#[test]
fn every_row_of_the_tables_of_rules_names_a_test() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/nat.md"))
        .expect("docs/nat.md");
    let rules = page.split("## Sizes").next().expect("the part before the sizes");
    for row in rules.lines().filter(|l| l.starts_with("| ") && !l.starts_with("| subject")) {
        // There is nothing to test where nothing is done.
        let exempt = row.starts_with("| application gateways") || row.starts_with("| attack");
        let last = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        assert!(exempt || last.contains('`'), "no test: {row}");
    }
}
