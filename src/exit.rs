//! Exit codes: one for one cause, whichever verb meets it.
//!
//! | code | what it means |
//! |---|---|
//! | 0 | done; for `ping` an answer came, for `explain` the packet would arrive |
//! | 1 | failed: it could not be done, or the answer is no (`ping`: no answer) |
//! | 2 | the request names what is not there or makes no sense: an option, a lab, a node, a filter |
//!
//! `ping` says 2 of every other error as well, as ping of iputils does; `exec` hands on its
//! command's code, and says 126 and 127 as a shell does; an end by signal is 128 and its number.

use control::ClientError;

/// The request cannot be meant.
pub(crate) const USAGE: u8 = 2;
/// It could not be done.
pub(crate) const FAILED: u8 = 1;

/// A request that makes no sense, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// The code of a failure.
pub(crate) fn code(error: &anyhow::Error) -> u8 {
    let asked = |cause: &(dyn std::error::Error + 'static)| {
        use lab::Error::{NoLab, NoNode, NotRunning, Usage as Senseless};
        let lab = matches!(
            cause.downcast_ref(),
            Some(NoLab { .. } | NoNode { .. } | NotRunning(_) | Senseless(_))
        );
        let client = matches!(
            cause.downcast_ref(),
            Some(ClientError::NoLab(_) | ClientError::Refused { status: 404 | 413 | 422, .. })
        );
        lab || client || cause.is::<Usage>()
    };
    if error.chain().any(asked) { USAGE } else { FAILED }
}
