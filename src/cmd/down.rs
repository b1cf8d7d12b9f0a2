//! `uswitch down`: stop a lab and remove all it made.

use std::process::ExitCode;

use lab::clean::{Downed, down};
use lab::{Ground, LabName};

use crate::say;

/// Stop a lab and remove all it made, also after a crash
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The lab's name
    #[arg(long, value_name = "LAB", default_value = "uswitch")]
    name: LabName,
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    let name = &args.name;
    match down(&Ground::find(), name)? {
        Downed::Nothing => say::line(&format!("lab {name} is not there: nothing to do")),
        Downed::Stopped => say::line(&format!("lab {name} is down")),
        Downed::Leftovers(count) => {
            let s = if count == 1 { "" } else { "s" };
            say::line(&format!("lab {name} had crashed: {count} namespace{s} removed"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
