//! The plugin that gives out addresses (`ipam.type`): found along CNI_PATH, and started with the same
//! variables and the same configuration (SPEC.md, "Delegated plugins").

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use engine::cni::{Failure, code};
use serde_json::Value;

/// Asks the plugin called `kind` to do `verb`; what it tells of an ADD.
///
/// # Errors
/// [`Failure`], in the plugin's own words where it says some.
pub(super) fn ask(kind: &str, verb: &str, conf: &[u8]) -> Result<Value, Failure> {
    let program = find(kind)?;
    let failed = |what: &str, error: std::io::Error| {
        Failure::new(code::OTHER, format!("{what} {}: {error}", program.display()))
    };
    let mut command = Command::new(&program);
    command.env("CNI_COMMAND", verb).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed("starting", error))?;
    if let Some(mut input) = child.stdin.take() {
        // One that ends before it has read all says why.
        let _ = input.write_all(conf);
    }
    let output = child.wait_with_output().map_err(|error| failed("waiting for", error))?;
    if !output.status.success() {
        return Err(Failure::of_plugin(&output.stdout).unwrap_or_else(|| {
            let why = format!("{} failed at {verb}: {}", program.display(), output.status);
            Failure::new(code::OTHER, why)
        }));
    }
    if verb != "ADD" {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&output.stdout).map_err(|why| {
        let msg = format!("{} has told of no addresses: {why}", program.display());
        Failure::new(code::DECODING, msg)
    })
}

/// Where the plugin called `kind` is.
///
/// # Errors
/// [`Failure`] where CNI_PATH leads to none.
pub(super) fn find(kind: &str) -> Result<PathBuf, Failure> {
    let path = std::env::var_os("CNI_PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(kind)).find(|p| p.is_file());
    found.ok_or_else(|| {
        let msg = format!(
            "ipam: no plugin {kind:?} in CNI_PATH={}: Debian has it in containernetworking-plugins",
            path.display()
        );
        Failure::new(code::CONFIG, msg)
    })
}
