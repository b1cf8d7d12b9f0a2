//! The command: words a person types, turned into calls to the rooms below.
//!
//! One file a verb in `cmd/`. What an exit code means: `exit`.

mod by_hand;
mod canvas;
mod cli;
mod clock;
mod cmd;
mod complete;
mod door;
mod escape;
mod exit;
mod file;
mod forward;
mod graph;
mod hint;
mod inside;
mod lesson;
mod look;
mod node;
mod notify;
mod onoff;
mod paint;
mod picture;
mod plugin;
mod report;
mod say;
mod signals;
mod storm;
mod table;
mod units;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::start()
}
