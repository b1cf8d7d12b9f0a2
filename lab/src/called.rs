//! How this program was started, so that what a hint says can be typed as it stands.

use std::path::Path;
use std::sync::OnceLock;

use crate::config::LabName;

/// What it is called where nobody knows better.
const NAME: &str = "uswitch";

/// What to type to start this program again: `uswitch` where that finds it, else the path it was
/// started by; with `sudo` before it where that was.
#[must_use]
pub fn program() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let typed = std::env::args_os().next().unwrap_or_default();
        let name = name(&typed.to_string_lossy(), is_found);
        let sudo = nix::unistd::geteuid().is_root() && std::env::var_os("SUDO_UID").is_some();
        if sudo { format!("sudo {name}") } else { name }
    })
}

/// ` --name LAB`, or nothing for the lab that is meant without.
#[must_use]
pub fn option(lab: &str) -> String {
    match lab.parse::<LabName>() {
        Ok(name) if name == LabName::default() => String::new(),
        _ => format!(" --name {lab}"),
    }
}

/// A name in a line: one that is empty is seen.
#[must_use]
pub fn shown(name: &str) -> &str {
    if name.is_empty() { "''" } else { name }
}

/// The program as typed; `found` says whether the name alone would start the same file.
fn name(typed: &str, found: impl Fn(&str) -> bool) -> String {
    // A link for Wireshark is no name to type, nor is the kernel's for a running program.
    if typed.is_empty() || typed.ends_with("extcap") || typed.starts_with("/proc/") {
        return NAME.into();
    }
    if typed.contains('/') && found(typed) {
        return NAME.into();
    }
    word(typed)
}

/// Something as a shell takes it for one word.
#[must_use]
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+~".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.into();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Whether the first `uswitch` along PATH is the file at `path`.
fn is_found(path: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let first = std::env::split_paths(&folders).map(|dir| dir.join(NAME)).find(|p| p.exists());
    let real = |path: &Path| path.canonicalize().ok();
    first.is_some_and(|first| real(&first).is_some() && real(&first) == real(Path::new(path)))
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn what_was_typed_can_be_typed_again() {
        for (typed, found, said) in [
            ("uswitch", false, "uswitch"),
            ("target/release/uswitch", false, "target/release/uswitch"),
            ("/usr/local/bin/uswitch", true, "uswitch"),
            ("/opt/my labs/uswitch", false, "'/opt/my labs/uswitch'"),
            ("/home/u/.config/wireshark/extcap/uswitch-extcap", false, "uswitch"),
            ("/proc/self/exe", false, "uswitch"),
            ("", false, "uswitch"),
        ] {
            assert_eq!(name(typed, |_| found), said, "{typed}");
        }
    }
}
