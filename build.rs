//! What `uswitch --version` says of the build: the commit and its date, the target, the profile.
//!
//! The commit comes from `git` in a clone, from `packaging/commit` in a source archive, for `git archive`
//! writes it there, else from nowhere. Nothing else of the machine goes in, neither clock nor path, so the
//! same sources give the same words. A debug build does not say its commit: the tests of this package
//! would be compiled anew at each.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the program's sources are: whether they are those of the commit.
const SOURCES: &[&str] = &[
    "build.rs",
    "src",
    "bpf",
    "control",
    "door",
    "engine",
    "evpn",
    "gateway",
    "icmp",
    "lab",
    "names",
    "ns",
    "observe",
    "overlay",
    "serve",
    "switch",
    "sys",
    "topology",
    "web",
    "wire",
    "Cargo.toml",
    "Cargo.lock",
];

fn main() {
    let of = |name: &str| std::env::var(name).unwrap_or_default();
    let (root, release) = (PathBuf::from(of("CARGO_MANIFEST_DIR")), of("PROFILE") == "release");
    let commit = if release { commit(&root) } else { None };
    let words = words(commit.as_deref(), &of("TARGET"), if release { "release" } else { "debug" });
    println!("cargo::rustc-env=USWITCH_BUILD={words}");
    println!("cargo::rerun-if-changed=build.rs");
    if release {
        println!("cargo::rerun-if-changed=packaging/commit");
        for path in heads(&root) {
            println!("cargo::rerun-if-changed={}", path.display());
        }
        for path in SOURCES {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

/// The words in brackets.
pub(crate) fn words(commit: Option<&str>, target: &str, profile: &str) -> String {
    let commit = commit.map(|commit| format!("commit {commit}, ")).unwrap_or_default();
    format!("{commit}{target}, {profile}")
}

/// The commit and its date, as in `abcdef123, 2026-11-26`.
pub(crate) fn commit(root: &Path) -> Option<String> {
    if root.join(".git").exists() {
        let said = git(root, &["log", "-1", "--abbrev=9", "--format=%h, %cs"])?;
        let args = ["status", "--porcelain", "--untracked-files=no", "--"];
        let changed = git(root, &[&args, SOURCES].concat())?;
        return Some(if changed.is_empty() { said } else { format!("{said}, with changes") });
    }
    let archived = std::fs::read_to_string(root.join("packaging/commit")).ok()?;
    let archived = archived.trim();
    // As it stands in the repository.
    (!archived.is_empty() && !archived.contains("$Format")).then(|| archived.to_owned())
}

/// What changes with the commit: the head of this working tree, and the branch it is on.
pub(crate) fn heads(root: &Path) -> Vec<PathBuf> {
    if !root.join(".git").exists() {
        return Vec::new();
    }
    let branch = git(root, &["symbolic-ref", "-q", "HEAD"]).unwrap_or_default();
    let names = ["HEAD", &branch, "packed-refs"];
    let path = |name: &&str| Some(root.join(git(root, &["rev-parse", "--git-path", name])?));
    // One that is not there would have the script run each time.
    names.iter().filter(|name| !name.is_empty()).filter_map(path).filter(|p| p.exists()).collect()
}

fn git(root: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(root).args(args).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
