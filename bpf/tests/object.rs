//! The committed object files are what the C beside them says: their maps have the layout that the
//! library has, and compiling them again gives the same programs.
//!
//! Instructions are compared where the compiler is of the version that made the files
//! (`clang.version`), for others choose other registers. Then maps and the programs' names alone are
//! compared. A change of the C without `bpf/build` is seen by all of them, or by their absence.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use object::{Object, ObjectSection, ObjectSymbol, RelocationTarget};
use uswitch_bpf::layout::{CONTROL, COUNT, ENTRIES, FLOW, HELD, MEMBERS, ROUTE, SET, SETS};
use uswitch_bpf::{finish, load};

/// The files, with the sections that make up their programs: code, licence, maps.
const FILES: [(&str, &[u8], &[&str]); 2] = [
    ("flows", load::OBJECT, &["socket", "classifier", "license", ".maps"]),
    ("finish", finish::OBJECT, &["classifier", "license"]),
];

/// A section: its bytes, and where it refers to what by name, for symbols are numbered anew when
/// the file is stripped.
type Part = (Vec<u8>, Vec<(u64, String)>);

fn sections(bytes: &[u8], wanted: &[&str]) -> BTreeMap<String, Part> {
    let file = object::File::parse(bytes).unwrap();
    let named = file.sections().filter_map(|s| Some((s.name().ok()?.to_owned(), s)));
    let ours = named.filter(|(name, _)| wanted.contains(&name.as_str()));
    let name = |relocation: &object::Relocation| match relocation.target() {
        RelocationTarget::Symbol(index) => {
            file.symbol_by_index(index).unwrap().name().unwrap().to_owned()
        }
        other => format!("{other:?}"),
    };
    ours.map(|(of, section)| {
        let refers = section.relocations().map(|(at, relocation)| (at, name(&relocation)));
        (of, (section.data().unwrap().to_vec(), refers.collect()))
    })
    .collect()
}

fn version() -> Option<String> {
    let told = Command::new("clang").arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    let number = text.split("version ").nth(1)?;
    Some(number.split('.').next()?.to_owned())
}

#[test]
fn the_objects_are_what_the_sources_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Some(version) = version() else {
        let required = std::env::var_os("USWITCH_REQUIRE_ROOT").is_some();
        assert!(!required, "no clang: the programs cannot be compiled again");
        return eprintln!("SKIPPED: no clang");
    };
    let same_compiler =
        std::fs::read_to_string(root.join("clang.version")).unwrap().trim() == version;
    for (file, object, wanted) in FILES {
        let bytes = compiled(root, file);
        let (ours, theirs) = (sections(object, wanted), sections(&bytes, wanted));
        for name in wanted.iter().copied() {
            assert!(ours.contains_key(name) && theirs.contains_key(name), "no section {name}");
            if same_compiler || matches!(name, "license" | ".maps") {
                let equal = ours[name] == theirs[name];
                assert!(equal, "{name} of {file}.o is not what its C gives: run bpf/build");
            }
        }
    }
    if !same_compiler {
        eprintln!("clang {version} is not the one that made the files: maps and names compared");
    }
}

fn compiled(root: &Path, file: &str) -> Vec<u8> {
    let fresh = std::env::temp_dir().join(format!("uswitch-{file}-{}.o", std::process::id()));
    let made = Command::new("clang")
        .args("-O2 -g -Wall -Werror -target bpf -mcpu=v3 -fdebug-compilation-dir=.".split(' '))
        .args(["-c", &format!("c/{file}.bpf.c"), "-o"])
        .arg(&fresh)
        .current_dir(root)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let bytes = std::fs::read(&fresh).unwrap();
    std::fs::remove_file(&fresh).unwrap();
    bytes
}

/// The sizes stand in the C as well; the compiler tells what it made of them.
#[test]
fn the_layout_is_the_same_on_both_sides() {
    let source = include_str!("../c/flows.bpf.c");
    let says = |text: &str| assert!(source.contains(text), "c/flows.bpf.c does not say {text:?}");
    says(&format!("#define ENTRIES {ENTRIES}\n"));
    says(&format!("_Static_assert(sizeof(struct flow) == {}", FLOW * 8));
    says(&format!("_Static_assert(sizeof(struct route) == {}", ROUTE * 8));
    says(&format!("_Static_assert(sizeof(struct count) == {}", COUNT * 8));
    says(&format!("_Static_assert(sizeof(struct control) == {}", CONTROL * 8));
    says(&format!("#define SETS {SETS}\n"));
    says(&format!("#define MEMBERS {MEMBERS}\n"));
    says(&format!("_Static_assert(sizeof(struct set) == {}", SET * 8));
    says(&format!("_Static_assert(sizeof(struct held) == {}", HELD * 8));
}
