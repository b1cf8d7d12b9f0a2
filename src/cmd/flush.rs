//! `uswitch fdb flush` and `uswitch nat flush`: tables forgotten on request.

use std::process::ExitCode;

use control::api::{FlushFdb, Flushed};

use crate::door::Which;
use crate::{say, units};

/// Change the switch's table of addresses
#[derive(clap::Args)]
pub(crate) struct Fdb {
    #[command(subcommand)]
    verb: FdbVerb,
}

#[derive(clap::Subcommand)]
enum FdbVerb {
    /// Forget learned addresses, of one port or node or of all
    Flush {
        /// The port, or its node
        #[arg(value_name = "PORT")]
        port: Option<String>,
        #[command(flatten)]
        which: Which,
    },
}

/// Change the NAT's table of sessions
#[derive(clap::Args)]
pub(crate) struct Nat {
    #[command(subcommand)]
    verb: NatVerb,
}

#[derive(clap::Subcommand)]
enum NatVerb {
    /// Forget every session; published ports stay
    Flush {
        #[command(flatten)]
        which: Which,
    },
}

/// Runs `fdb`.
pub(crate) fn fdb(args: Fdb) -> anyhow::Result<ExitCode> {
    let FdbVerb::Flush { port, which } = args.verb;
    let Flushed { flushed } = which.answer(which.client()?.flush_fdb(&FlushFdb { port }))?;
    say::line(&format!("{} forgotten", units::count(flushed, "address", "addresses")));
    Ok(ExitCode::SUCCESS)
}

/// Runs `nat`.
pub(crate) fn nat(args: Nat) -> anyhow::Result<ExitCode> {
    let NatVerb::Flush { which } = args.verb;
    let Flushed { flushed } = which.answer(which.client()?.flush_nat())?;
    say::line(&format!("{} forgotten", units::count(flushed, "session", "sessions")));
    Ok(ExitCode::SUCCESS)
}
