//! One call at a time for a container's interface: a runtime that asks for two at once (SPEC.md forbids
//! it, and one that has given up waiting does it all the same) would have the second undo what the first
//! has made, at the server's and at the plugin's that gives out addresses.
//!
//! A turn is a lock on bytes of the file by which the server holds its lab (open file description locks,
//! `fcntl_locking(2)`, beside which that one is another kind): it goes with its process, however that
//! ends, and no other user can take one. A server that ends leaves a file with turns to the next one. Which
//! bytes follows from the interface.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::time::Duration;

use engine::cni::{Call, Failure, Verb, code};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::Place;

/// What a call waits for another one to end, which takes some tens of milliseconds as a rule.
const LOOKS: u32 = 150;
const LOOK: Duration = Duration::from_millis(20);
/// Of an interface's bytes the first is the turn, the others say what it is for.
const VERBS: [Verb; 3] = [Verb::Add, Verb::Del, Verb::Check];
const BYTES: u64 = 4;

/// The turn of a call, until it is dropped.
pub(super) struct Turn {
    _file: File,
}

/// Takes the turn of a call, where there is a server to call. A DEL is waited for, and waits; who is in the
/// way of an ADD hears so at once, for what that is about to tell is not known yet.
///
/// # Errors
/// [`Failure`] of code 11 where another call is under way still.
pub(super) fn take(call: &Call, server: &Place) -> Result<Option<Turn>, Failure> {
    let failed = |error: String| Failure::new(code::IO, format!("taking a turn: {error}"));
    let io = |error: io::Error| failed(error.to_string());
    let bytes = || server.bytes().map_err(|error| failed(error.to_string()));
    let Some(mut file) = bytes()? else { return Ok(None) };
    let place = place(&call.endpoint());
    for _ in 0..LOOKS {
        if lock(&file, place).map_err(io)? {
            if server.has(&file).map_err(|error| failed(error.to_string()))? {
                lock(&file, place + of(call.verb)).map_err(io)?;
                return Ok(Some(Turn { _file: file }));
            }
            // It was that of a server which has ended meanwhile.
            let Some(next) = bytes()? else { return Ok(None) };
            file = next;
            continue;
        }
        if call.verb != Verb::Del && is_under_way(&file, place, Verb::Add).map_err(io)? {
            break;
        }
        std::thread::sleep(LOOK);
    }
    let mut other = "another call";
    for verb in VERBS {
        if is_under_way(&file, place, verb).map_err(io)? {
            other = verb.word();
            break;
        }
    }
    let msg = format!(
        "{other} of the same container's {} is under way: try again once it has ended",
        call.interface()
    );
    Err(Failure::new(code::LATER, msg))
}

/// The first of an interface's bytes.
fn place(endpoint: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    endpoint.hash(&mut hasher);
    (hasher.finish() >> 4) / BYTES * BYTES
}

/// The byte, from the first one on, that says what a turn is for.
fn of(verb: Verb) -> u64 {
    VERBS.iter().position(|own| *own == verb).map_or(0, |at| at as u64 + 1)
}

/// Locks a byte until the file is closed; false where another has it.
fn lock(file: &File, byte: u64) -> io::Result<bool> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&of_byte(byte))) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether another has an interface's turn for that. A server that ends locks the whole file for a moment,
/// which is no turn; those are of some bytes (the kernel tells of bytes side by side as of one lock).
fn is_under_way(file: &File, place: u64, verb: Verb) -> io::Result<bool> {
    let mut seen = of_byte(place + of(verb));
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut seen))?;
    Ok(i32::from(seen.l_type) != libc::F_UNLCK && seen.l_len != 0)
}

fn of_byte(byte: u64) -> libc::flock {
    lab::lock::range(byte, 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_turn_is_one_s_until_its_file_is_closed() {
        let path = std::env::temp_dir().join(format!("uswitch-turns-{}", std::process::id()));
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        let [one, two, server, late] = [(); 4].map(|()| options.open(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        let (here, there) = (place("a/eth0"), place("a/eth1"));
        assert!(lock(&one, here).unwrap() && lock(&one, here + of(Verb::Add)).unwrap());
        assert!(!lock(&two, here).unwrap());
        assert!(is_under_way(&two, here, Verb::Add).unwrap());
        assert!(!is_under_way(&two, here, Verb::Del).unwrap());
        assert!(lock(&two, there).unwrap(), "another interface");
        drop(one);
        assert!(lock(&two, here).unwrap());
        drop(two);
        // As a server does that ends: who comes meanwhile waits, and nothing is under way.
        fcntl(&server, FcntlArg::F_OFD_SETLK(&lab::lock::range(0, 0))).unwrap();
        assert!(!lock(&late, here).unwrap() && !is_under_way(&late, here, Verb::Add).unwrap());
        drop(server);
        assert!(lock(&late, here).unwrap());
    }
}
