//! TCP as a NAT sees it (RFC 7857 section 2, after RFC 6146 section 3.5.2).
//!
//! ```text
//!          SYN out              SYN in                 ACK
//! (none) ─────────► SynOut ───────────────► Opening ─────────► Established
//!    └── SYN in ──► SynIn ──── SYN out ───────┘                 │       │
//!    ├── ACK out ─► PickedUp ── any in ───────────────────────► │
//!    └── ACK in ──► PickedUpIn ─ any out ─────────────────────► │   FIN out / FIN in
//!                                                               │       ▼
//!   Reset ◄──────────── RST from any state ─────────────────────┘  FinOut / FinIn
//!     └─ anything else ─► Established                                   │ other FIN
//!                                                                    Closing
//! ```
//! Unlike the RFC, both SYNs alone do not make a connection: until a segment without SYN has
//! acknowledged, the session keeps the transitory lifetime. A flood of SYNs from outside to a
//! published port, each answered by its server, would otherwise fill the table for two hours.

use wire::tcp::Flags;

use super::session::State;

/// Who sent the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    Inside,
    Outside,
}

/// The state after a segment, and whether the lifetime starts anew.
pub(crate) const fn step(state: State, from: Sender, flags: Flags) -> (State, bool) {
    use Sender::{Inside, Outside};
    use State::{
        Closing, Established, FinIn, FinOut, Opening, PickedUp, PickedUpIn, Reset, SynIn, SynOut,
    };

    if flags.rst() {
        // RFC 7857 2.2: pass it, wait four minutes. A second RST does not prolong the wait.
        return match state {
            Reset => (Reset, false),
            Closing => (Closing, false),
            _ => (Reset, true),
        };
    }
    let opening = flags.syn() && !flags.ack();
    match (state, from) {
        (SynOut, Inside) => (SynOut, flags.syn()),
        (SynOut, Outside) if flags.syn() => (Opening, true),
        (SynIn, Inside) if flags.syn() => (Opening, true),
        (Opening, _) if !flags.syn() && flags.ack() => (after_fin(Established, from, flags), true),
        // The four-tuple is used again.
        (Closing | Reset, Inside) if opening => (SynOut, true),
        (Closing | Reset, Outside) if opening => (SynIn, true),
        (PickedUp, Inside) => (PickedUp, true),
        (PickedUp, Outside) | (PickedUpIn, Inside) | (Reset, _) => {
            (after_fin(Established, from, flags), true)
        }
        (Established | FinOut | FinIn, _) => (after_fin(state, from, flags), true),
        _ => (state, false),
    }
}

const fn after_fin(state: State, from: Sender, flags: Flags) -> State {
    if !flags.fin() {
        return state;
    }
    match (state, from) {
        (State::FinIn, Sender::Inside) | (State::FinOut, Sender::Outside) => State::Closing,
        (State::Established, Sender::Inside) => State::FinOut,
        (State::Established, Sender::Outside) => State::FinIn,
        _ => state,
    }
}

/// Whether a segment from inside is that of an end which knows the connection.
pub(crate) const fn goes_on(flags: Flags) -> bool {
    flags.ack() && !flags.syn() && !flags.rst()
}

/// The state a segment from inside opens a session in, or None where it cannot.
pub(crate) const fn opens(flags: Flags) -> Option<State> {
    if flags.rst() || flags.fin() {
        None
    } else if flags.syn() && !flags.ack() {
        Some(State::SynOut)
    } else if flags.ack() && !flags.syn() {
        // A connection that outlived a restart or a flush: the inside port is kept where it is
        // free, so the remote may well still know it.
        Some(State::PickedUp)
    } else {
        None
    }
}

/// The same for a segment from outside that is let in. Where the port is published, and the host's
/// kernel has no connections there, one of a connection that outlived a flush opens a session too: the
/// host answers what it does not know with a RST. A last one finds the session closing.
pub(crate) const fn opens_in(flags: Flags, published: bool) -> Option<State> {
    if flags.rst() {
        None
    } else if flags.syn() && !flags.ack() && !flags.fin() {
        Some(State::SynIn)
    } else if published && flags.ack() && !flags.syn() {
        Some(if flags.fin() { State::Closing } else { State::PickedUpIn })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Sender::{Inside, Outside};
    use State::{
        Closing, Established, FinIn, FinOut, Opening, PickedUp, PickedUpIn, Reset, SynIn, SynOut,
    };

    const SYN: u8 = Flags::SYN;
    const ACK: u8 = Flags::ACK;
    const FIN: u8 = Flags::FIN | Flags::ACK;
    const RST: u8 = Flags::RST;

    /// (before, from, flags, after, refreshed)
    const TABLE: &[(State, Sender, u8, State, bool)] = &[
        (SynOut, Inside, SYN, SynOut, true),
        (SynOut, Inside, ACK, SynOut, false),
        (SynOut, Outside, SYN | ACK, Opening, true),
        (SynOut, Outside, SYN, Opening, true), // simultaneous open
        (SynOut, Outside, ACK, SynOut, false),
        (SynOut, Outside, RST | ACK, Reset, true),
        (SynIn, Outside, SYN, SynIn, false),
        (SynIn, Inside, SYN | ACK, Opening, true),
        (SynIn, Inside, RST, Reset, true),
        (Opening, Inside, SYN | ACK, Opening, false),
        (Opening, Inside, ACK, Established, true),
        (Opening, Outside, ACK, Established, true),
        (Opening, Outside, FIN, FinIn, true),
        (PickedUp, Inside, ACK, PickedUp, true),
        (PickedUp, Outside, ACK, Established, true),
        (PickedUp, Outside, FIN, FinIn, true),
        (PickedUpIn, Outside, ACK, PickedUpIn, false),
        (PickedUpIn, Inside, ACK, Established, true),
        (PickedUpIn, Inside, FIN, FinOut, true),
        (PickedUpIn, Inside, RST, Reset, true),
        (Established, Inside, ACK, Established, true),
        (Established, Outside, ACK, Established, true),
        (Established, Inside, FIN, FinOut, true),
        (Established, Outside, FIN, FinIn, true),
        (Established, Outside, RST, Reset, true),
        (FinOut, Inside, FIN, FinOut, true),
        (FinOut, Outside, ACK, FinOut, true),
        (FinOut, Outside, FIN, Closing, true),
        (FinIn, Inside, FIN, Closing, true),
        (Closing, Inside, ACK, Closing, false),
        (Closing, Outside, ACK, Closing, false),
        (Closing, Outside, RST, Closing, false),
        (Closing, Inside, SYN, SynOut, true),
        (Closing, Outside, SYN, SynIn, true),
        (Reset, Outside, RST, Reset, false),
        (Reset, Outside, ACK, Established, true), // the RST was forged
        (Reset, Inside, SYN, SynOut, true),
    ];

    #[test]
    fn the_table_of_states() {
        for &(before, from, flags, after, refreshed) in TABLE {
            let got = step(before, from, Flags(flags));
            assert_eq!(got, (after, refreshed), "{before:?} {from:?} {flags:#x}");
        }
    }

    #[test]
    fn what_may_open_a_session() {
        assert_eq!(opens(Flags(SYN)), Some(SynOut));
        assert_eq!(opens(Flags(ACK)), Some(PickedUp));
        for flags in [0, FIN, RST, SYN | ACK, RST | ACK, Flags::FIN] {
            assert_eq!(opens(Flags(flags)), None, "{flags:#x}");
        }
    }

    #[test]
    fn what_may_open_a_session_from_outside() {
        for published in [false, true] {
            let opens = |flags| opens_in(Flags(flags), published);
            assert_eq!(opens(SYN), Some(SynIn));
            assert_eq!(opens(ACK), published.then_some(PickedUpIn));
            assert_eq!(opens(FIN), published.then_some(Closing));
            for flags in [0, RST, SYN | ACK, RST | ACK, Flags::FIN, SYN | Flags::FIN] {
                assert_eq!(opens(flags), None, "{flags:#x}");
            }
        }
    }
}
