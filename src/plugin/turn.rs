//! One call at a time for a container's interface: a runtime that asks for two at once (SPEC.md forbids
//! it, and one that has given up waiting does it all the same) would have the second undo what the first
//! has made, at the server's and at the plugin's that gives out addresses.
//!
//! A turn is a name among the abstract sockets of the host's network (`unix(7)`): one process has it, and
//! it goes with that process, however that ends. Nothing of it is on a disk.

use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use engine::cni::{Call, Failure, Verb, code};

/// What a call waits for another one to end, which takes some tens of milliseconds as a rule.
const LOOKS: u32 = 150;
const LOOK: Duration = Duration::from_millis(20);

/// The turn of a call, until it is dropped.
pub(super) struct Turn {
    _sockets: [UnixDatagram; 2],
}

/// Takes the turn of a call. A DEL is waited for, and waits; who is in the way of an ADD hears so at once,
/// for what that is about to tell is not known yet.
///
/// # Errors
/// [`Failure`] of code 11 where another call is under way still.
pub(super) fn take(call: &Call) -> Result<Turn, Failure> {
    let place = call.endpoint();
    for _ in 0..LOOKS {
        match bind(&place, call.verb) {
            Ok(turn) => return Ok(turn),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => return Err(Failure::new(code::IO, format!("taking a turn: {error}"))),
        }
        if call.verb != Verb::Del && is_under_way(&place, Verb::Add) {
            break;
        }
        std::thread::sleep(LOOK);
    }
    let other = [Verb::Add, Verb::Del, Verb::Check].into_iter();
    let other = other.filter(|verb| is_under_way(&place, *verb)).map(Verb::word).next();
    let msg = format!(
        "{} of the same container's {} is under way: try again once it has ended",
        other.unwrap_or("another call"),
        call.interface()
    );
    Err(Failure::new(code::LATER, msg))
}

/// A name for the turn, and one that says what it is for.
fn bind(place: &str, verb: Verb) -> io::Result<Turn> {
    let turn = UnixDatagram::bind_addr(&name(place, "turn")?)?;
    let what = UnixDatagram::bind_addr(&name(place, verb.word())?)?;
    Ok(Turn { _sockets: [what, turn] })
}

fn is_under_way(place: &str, verb: Verb) -> bool {
    let heard = || UnixDatagram::unbound()?.connect_addr(&name(place, verb.word())?);
    heard().is_ok()
}

fn name(place: &str, what: &str) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("uswitch-cni-{place}-{what}"))
}
