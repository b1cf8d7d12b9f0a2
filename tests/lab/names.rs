//! Names inside nodes: by the files that `exec` and `ip netns exec` show, and by the resolver at the
//! gateway's address, while nodes come and go.

mod files;
pub(crate) mod resolver;
mod told;
mod upstream;

use crate::support::{Ended, Sandbox};

/// `uswitch exec NODE -- PROGRAM...` to its end.
pub(super) fn exec(sandbox: &Sandbox, node: &str, args: &[&str]) -> Ended {
    sandbox.uswitch(&[&["exec", node, "--"], args].concat())
}

/// The address that a program in a node finds for a name, by the machine's own C library.
pub(super) fn address(sandbox: &Sandbox, node: &str, name: &str) -> Option<String> {
    let ended = exec(sandbox, node, &["getent", "ahostsv4", name]);
    let first = ended.out.split_whitespace().next().map(str::to_owned);
    first.filter(|_| ended.code == Some(0))
}
