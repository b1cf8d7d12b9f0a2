//! `uswitch down`: stop a lab and remove all it made.

use std::process::ExitCode;

use lab::clean::{Downed, down};
use lab::{Ground, LabName, join};

use crate::door::ground;
use crate::{complete, say};

/// Stop a lab and remove all it made, also after a crash
///
/// One that is named and is not there is no error: there is nothing to do, and the exit code is 0. Where
/// none is named and several run, it is 2.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The lab [default: the one that runs]
    #[arg(value_name = "LAB", add = complete::labs())]
    lab: Option<LabName>,
    /// The same
    #[arg(long, value_name = "LAB", env = "USWITCH_LAB", hide_env_values = true,
          add = complete::labs())]
    name: Option<LabName>,
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    let ground = ground();
    let name = &match args.lab.or(args.name) {
        Some(name) => name,
        None => meant(&ground)?,
    };
    match down(&ground, name)? {
        Downed::Nothing => say::line(&format!("lab {name} is not there: nothing to do")),
        Downed::Stopped => say::line(&format!("lab {name} is down")),
        Downed::Outlived => say::line(&format!(
            "lab {name} was of an earlier boot: nothing of it was left but its files"
        )),
        Downed::Leftovers(count) => {
            let s = if count == 1 { "" } else { "s" };
            say::line(&format!("lab {name} had crashed: {count} namespace{s} removed"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The lab that is meant where none is named. What a crash has left of the one that is called as
/// labs are by default comes first. Of several others none is meant, as for every verb.
fn meant(ground: &Ground) -> lab::Result<LabName> {
    let usual = LabName::default();
    if ground.lab(&usual).exists() {
        return Ok(usual);
    }
    if join::labs(ground).running.len() > 1 {
        // Which run, and how to name one, is said with it.
        join::running(ground, &usual)?;
    }
    Ok(join::meant(ground))
}
