//! `uswitch schema`: what a lab's file may say, for editors.

use std::process::ExitCode;

use crate::say;

/// Print the JSON Schema of a lab's file
///
/// Editors check and complete such a file by it (draft 2020-12): put it beside the file and write
/// `# yaml-language-server: $schema=lab.schema.json` into the file's first line.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// Runs the verb.
pub(crate) fn main(Args {}: Args) -> anyhow::Result<ExitCode> {
    say::bytes(topology::SCHEMA.as_bytes());
    Ok(ExitCode::SUCCESS)
}
