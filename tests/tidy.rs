//! The habits a machine can check: file length, a header on each file, unsafe code only in `sys`,
//! the arrows between rooms, no notes to self, no program started to configure the network.
//!
//! Each check lists every offender at once, as `path: what is wrong`.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

const MAX_LINES: usize = 400;

/// Which rooms a room may name (ARCHITECTURE.md). An arrow that is not here is a decision to make.
const ARROWS: &[(&str, &[&str])] = &[
    (
        "uswitch",
        &[
            "control", "door", "engine", "icmp", "lab", "ns", "observe", "serve", "sys",
            "topology", "web", "wire",
        ],
    ),
    ("serve", &["control", "engine", "lab", "topology", "wire"]),
    ("engine", &["topology", "wire"]),
    ("door", &["control", "gateway", "lab", "observe", "switch", "sys", "topology", "wire"]),
    (
        "lab",
        &[
            "control", "evpn", "gateway", "icmp", "names", "ns", "observe", "overlay", "switch",
            "sys", "topology", "wire",
        ],
    ),
    ("control", &["topology", "wire"]),
    ("web", &["control", "sys"]),
    ("topology", &["observe", "wire"]),
    ("names", &["wire"]),
    ("observe", &["wire"]),
    ("overlay", &["wire"]),
    ("evpn", &["overlay", "wire"]),
    ("switch", &["bpf", "sys", "wire"]),
    ("bpf", &["sys", "wire"]),
    ("gateway", &["wire"]),
    ("icmp", &["sys", "wire"]),
    ("ns", &["sys", "wire"]),
    ("sys", &["wire"]),
    ("wire", &[]),
];

/// Programs that would configure the network from outside.
const TOOLS: &[&str] =
    &["ip", "tc", "nft", "iptables", "sysctl", "ethtool", "bridge", "brctl", "unshare", "nsenter"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of the project: its path from the root, and its text.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_path_buf(), text));
            }
        }
    }
    assert!(found.len() > 20, "only {} Rust files found: is the root right?", found.len());
    found.sort();
    found
}

/// Runs `check` over every file; it says what is wrong, line by line or once.
fn each_file(check: impl Fn(&Path, &str) -> Vec<String>) {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        wrong.extend(
            check(&path, &text).into_iter().map(|what| format!("{}: {what}", path.display())),
        );
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// The lines of `text` that are code, with their numbers: comments and doc comments are not.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
        .filter(|(_, line)| !line.trim().is_empty())
}

/// Whether `word` stands in `line` as a word of its own.
fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == word)
}

#[test]
fn no_file_is_long() {
    each_file(|_, text| {
        let lines = text.lines().count();
        if lines > MAX_LINES { vec![format!("{lines} lines, {MAX_LINES} at most")] } else { vec![] }
    });
}

#[test]
fn every_file_says_what_it_is_for() {
    // `x/tests.rs` belongs to `x.rs`, whose header speaks for both.
    each_file(|path, text| {
        let spoken_for = path.ends_with("tests.rs") || text.starts_with("//!");
        if spoken_for { vec![] } else { vec!["does not open with //!".into()] }
    });
}

#[test]
fn unsafe_code_lives_in_sys() {
    each_file(|path, text| {
        if path.starts_with("sys") {
            return vec![];
        }
        code(text)
            .filter(|(_, line)| has_word(line, concat!("un", "safe")))
            .map(|(number, _)| format!("line {number}: belongs in sys"))
            .collect()
    });
}

#[test]
fn no_notes_to_self() {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("todo", "!"),
        concat!("unimplemented", "!"),
        concat!("#[ig", "nore"),
    ];
    each_file(|_, text| {
        let lines = text.lines().enumerate();
        lines
            .flat_map(|(index, line)| {
                let hits = marks.iter().filter(move |mark| line.contains(**mark));
                hits.map(move |mark| format!("line {}: {mark}", index + 1))
            })
            .collect()
    });
}

/// `println!` and its like panic where nobody takes what they print.
#[test]
fn one_place_prints() {
    let printing = ["print!", "println!", "eprint!", "eprintln!", "dbg!"];
    each_file(|path, text| {
        if !is_shipped(path) {
            return vec![];
        }
        let ours = text.split("#[cfg(test)]").next().unwrap_or_default();
        let calls = |line: &str| printing.into_iter().find(|call| has_macro(line, call));
        code(ours)
            .filter_map(|(number, line)| Some((number, calls(line)?)))
            .map(|(number, call)| format!("line {number}: {call} may panic; src/say.rs writes"))
            .collect()
    });
}

/// Whether `line` calls the macro `name`, and not one whose name merely ends so.
fn has_macro(line: &str, name: &str) -> bool {
    line.match_indices(name)
        .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// Whether a file is part of the program, and not of its tests, benchmarks, examples or its build.
fn is_shipped(path: &Path) -> bool {
    !["tests", "benches", "fuzz", "build.rs"].iter().any(|folder| path.starts_with(folder))
        && !path
            .components()
            .any(|part| part.as_os_str() == "tests" || part.as_os_str() == "examples")
        && path.file_name().is_some_and(|name| name != "tests.rs")
}

#[test]
fn no_program_configures_the_network() {
    each_file(|path, text| {
        let ours = is_shipped(path);
        let started = |line: &str| {
            TOOLS.iter().find(|tool| line.contains(&format!("Command::new(\"{tool}\""))).copied()
        };
        code(text)
            .filter_map(|(number, line)| Some((number, started(line).filter(|_| ours)?)))
            .map(|(number, tool)| format!("line {number}: starts {tool}"))
            .collect()
    });
}

/// Starting a thread fails where no more are to be had, and these panic then.
#[test]
fn a_thread_that_cannot_be_had_is_an_error() {
    let panicking =
        [concat!("thread::sp", "awn("), concat!("scope.sp", "awn("), concat!("spawn_bl", "ocking")];
    each_file(|path, text| {
        let folders = path.components().map(|part| part.as_os_str());
        let of_tests = ["tests.rs", "testing.rs", "model.rs"]
            .iter()
            .any(|end| path.to_string_lossy().ends_with(end));
        let ours = !of_tests
            && !folders
                .into_iter()
                .any(|folder| ["tests", "benches", "fuzz"].iter().any(|name| folder == *name));
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        code(text)
            .filter(|(_, line)| ours && panicking.iter().any(|word| line.contains(word)))
            .map(|(number, _)| format!("line {number}: std::thread::Builder gives an error"))
            .collect()
    });
}

/// The page of a lab asks nobody else for anything, and makes no markup of what it is told.
#[test]
fn the_page_is_whole_and_writes_text_alone() {
    let page = std::fs::read_to_string(root().join("web/src/page.html")).unwrap();
    let mut wrong = Vec::new();
    let foreign = ["//", "@import", "url(", "import(", "<iframe", "<object", "<embed", "<base"];
    let markup = [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "srcdoc",
        "DOMParser",
        "javascript:",
        "setHTML",
        "createContextualFragment",
    ];
    for (number, line) in page.lines().enumerate() {
        // The namespace of SVG is a name, and nothing is fetched from there.
        let rest = line.replace("http://www.w3.org/2000/svg", "");
        let code = rest.trim_start().strip_prefix("//").map_or(rest.as_str(), |_| "");
        let found = foreign.iter().chain(&markup).find(|word| code.contains(**word));
        wrong.extend(found.map(|word| format!("line {}: {word}", number + 1)));
        let attributes = code.split(|c: char| c.is_whitespace() || c == '<').filter(|word| {
            let name = word.split('=').next().unwrap_or_default();
            word.contains("=\"") && (name.starts_with("on") || name == "style")
        });
        wrong.extend(attributes.map(|word| format!("line {}: inline {word}", number + 1)));
    }
    assert!(wrong.is_empty(), "web/src/page.html:\n{}", wrong.join("\n"));
    let scripts = page.matches("<script").count();
    assert_eq!((scripts, page.matches("<script nonce=\"NONCE\">").count()), (1, 1));
    assert_eq!(page.matches("<link").count(), page.matches("href=\"data:image/svg+xml,").count());
}

/// Every invariant names files and tests that hold it; they have to be there, and to be built.
#[test]
fn what_holds_an_invariant_is_there() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let section = text.split("## Invariants").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1);
    let black_box = std::fs::read_to_string(root().join("tests/lab/main.rs")).unwrap();
    let mut wrong = Vec::new();
    let mut named = 0;
    for row in rows {
        let held_by = row.trim_end_matches(['|', ' ']).rsplit(" | ").next().unwrap();
        for name in held_by.split('`').skip(1).step_by(2) {
            named += 1;
            let (file, test) = name.split_once("::").unwrap_or((name, ""));
            let path = root().join(file);
            let found = match std::fs::read_to_string(&path) {
                Ok(code) => test.is_empty() || code.contains(&format!("fn {test}()")),
                Err(_) => path.is_dir() && test.is_empty(),
            };
            let module = file.strip_prefix("tests/lab/").and_then(|file| file.strip_suffix(".rs"));
            let built = module.is_none_or(|name| black_box.contains(&format!("mod {name};")));
            if !found || !built {
                wrong.push(format!("{name}: not found, or not built"));
            }
        }
    }
    assert!(wrong.is_empty(), "ARCHITECTURE.md, invariants:\n{}", wrong.join("\n"));
    assert!(named > 8, "only {named} names found: has the table moved?");
}

#[test]
fn the_arrows_point_inward() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rooms: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let short = |name: &str| name.strip_prefix("uswitch-").unwrap_or(name).to_string();

    let packages = metadata["packages"].as_array().unwrap();
    assert_eq!(
        packages.len(),
        rooms.len(),
        "a room is missing from this table, or from the workspace"
    );
    let mut wrong = Vec::new();
    for package in packages {
        let room = short(package["name"].as_str().unwrap());
        let allowed = rooms.get(room.as_str()).unwrap_or_else(|| panic!("no arrows for {room}"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let to = short(dependency["name"].as_str().unwrap());
            let shipped = dependency["kind"].is_null();
            if shipped && rooms.contains_key(to.as_str()) && !allowed.contains(&to.as_str()) {
                wrong.push(format!("{room} -> {to}"));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that are not in the plan: {}", wrong.join(", "));
}
