//! Where and when a run took place: machine, kernel, commit, command, date. What cannot be learned
//! is "unknown", never guessed.

use serde::{Deserialize, Serialize};

use crate::world::output;

#[derive(Serialize, Deserialize, Clone)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory_mib: u64,
    pub kernel: String,
    pub virtual_machine: bool,
    pub commit: String,
    pub date: String,
}

impl Machine {
    pub fn here() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let field = |name: &str| {
            let line = cpuinfo.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split(": ").nth(1)).map(str::to_owned)
        };
        let meminfo = read("/proc/meminfo");
        let total = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:")).unwrap_or_default();
        let kib = total.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0);
        Self {
            cpu: field("model name").unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_mib: kib / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            virtual_machine: field("flags").is_some_and(|f| f.contains(" hypervisor ")),
            commit: commit(),
            date: output("date", &["-u", "+%Y-%m-%d %H:%M UTC"])
                .map_or_else(|_| unknown(), |date| date.trim().to_owned()),
        }
    }
}

/// The short commit, marked where the tree has changes.
fn commit() -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    let git = |args: &[&str]| output("git", &[&["-C", root], args].concat());
    let Ok(head) = git(&["rev-parse", "--short=10", "HEAD"]) else { return unknown() };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
    let mark = if changed.is_ok_and(|list| list.is_empty()) { "" } else { " with changes" };
    format!("{}{mark}", head.trim())
}

fn unknown() -> String {
    "unknown".into()
}
