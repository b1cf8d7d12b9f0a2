//! `uswitch nat flush`: sessions forgotten on request.

use std::process::ExitCode;

use control::api::Flushed;

use crate::door::Which;
use crate::{by_hand, say, units};

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

/// Runs `nat`.
pub(crate) fn nat(args: Nat, steps: bool) -> anyhow::Result<ExitCode> {
    let NatVerb::Flush { which } = args.verb;
    let Flushed { flushed } = which.answer(which.client()?.flush_nat())?;
    by_hand::tell(steps, &which, |lab| vec![lab.flush_nat()])?;
    say::line(&format!("{} forgotten", units::count(flushed, "session", "sessions")));
    Ok(ExitCode::SUCCESS)
}
