//! `uswitch nat flush`: sessions forgotten on request.

use std::process::ExitCode;

use clap::builder::TypedValueParser;
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

/// How many sessions the NAT may be told to have room for.
pub(super) fn sessions() -> impl TypedValueParser<Value = u32> {
    let (least, most) = topology::NAT_SESSIONS_RANGE.into_inner();
    clap::value_parser!(u32).range(i64::from(least)..=i64::from(most))
}

/// Runs `nat`.
pub(crate) fn nat(args: Nat, steps: bool) -> anyhow::Result<ExitCode> {
    let NatVerb::Flush { which } = args.verb;
    let Flushed { flushed } = which.answer(which.client()?.flush_nat())?;
    by_hand::tell(steps, &which, |lab| vec![lab.flush_nat()]);
    say::line(&format!("{} forgotten", units::count(flushed, "session", "sessions")));
    Ok(ExitCode::SUCCESS)
}
