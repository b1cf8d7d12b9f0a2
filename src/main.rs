//! The command: words a person types, turned into calls to the rooms below.
//!
//! One file a verb in `cmd/`. Exit codes: 0 done, 1 failed, 2 usage (and what `ping` and `exec`
//! say for themselves).

mod cli;
mod cmd;
mod door;
mod forward;
mod look;
mod node;
mod notify;
mod paint;
mod picture;
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
