//! A lab that has been made: checked, and stayed in until its end, here or in the background.

use std::process::ExitCode;
use std::sync::Arc;

use ::door::Open;
use anyhow::Context;
use lab::{Lab, check};

use super::run::{Stay, interrupted};
use crate::notify;
use crate::report::Report;
use crate::say;
use crate::signals::Signals;

/// Checks the lab, says that it is ready, and stays until it is told to go.
pub(super) fn inhabit(
    (lab, open): (&Arc<Lab>, &Open),
    signals: &Signals,
    stay: Stay,
    report: &mut Report,
) -> anyhow::Result<ExitCode> {
    let count = lab.checks().len();
    notify::status("checking the lab");
    let good = check::run(lab, signals.stop(), |checked| report.check(checked, count))?;
    if signals.stop().load(std::sync::atomic::Ordering::Relaxed) {
        return Ok(interrupted(signals));
    }
    report.checked(lab, open);
    let code = if good { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    let rootless = lab.ground().privilege() == ns::user::Privilege::Ordinary;
    let mut alive = None;
    match stay {
        Stay::Checks => return Ok(code),
        // A person can look at what is wrong; a manager has to know that it failed.
        Stay::Foreground if !good && notify::managed() => anyhow::bail!("the checks failed"),
        Stay::Foreground => {
            alive = Some(notify::ready(lab)?);
            report.ready(lab.config(), rootless, false);
            report.ending(lab.config(), false);
            heard()?;
        }
        Stay::Background(_) if !good => anyhow::bail!("the checks failed"),
        Stay::Background(ready) => {
            super::up::awaited(&ready)?;
            report.ready(lab.config(), rootless, true);
            report.ending(lab.config(), true);
            heard()?;
            super::up::detach(ready, &lab.ground().log(&lab.config().name)?)
                .context("going into the background")?;
        }
    }
    signals.wait();
    drop(alive);
    Ok(code)
}

/// A lab whose words are lost is not left running, for nobody knows of it.
pub(super) fn heard() -> anyhow::Result<()> {
    say::lost().map_or(Ok(()), |why| Err(anyhow::anyhow!(why)))
}
