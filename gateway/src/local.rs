//! Packets to the gateway itself: echo requests are answered in place, all else is refused.
//!
//! It answers for its own addresses only and never on another host's behalf: a ping that comes
//! back has been there. A fragmented request is answered fragment by fragment, since a reply is
//! the same data with another type.

use wire::icmp::{self, unreachable};
use wire::{FrameMut, Icmp, Timestamp};

use crate::gateway::{Arrival, Gateway};
use crate::nat::fragments::Action;
use crate::output::Output;
use crate::packet::{L3, Transport};
use crate::report::Problem;
use crate::rewrite;
use crate::verdict::{DropReason, Side, Verdict};

/// Time to live of what the gateway itself sends.
pub(crate) const TTL: u8 = 64;

impl Gateway {
    /// A packet to one of the gateway's own addresses.
    pub(crate) fn local(
        &mut self,
        frame: &mut FrameMut<'_>,
        a: &mut Arrival,
        out: &mut dyn Output,
        now: Timestamp,
    ) -> Result<Verdict, DropReason> {
        match a.packet.transport {
            Transport::Fragment => self.later_fragment(frame, a, out, now),
            Transport::IcmpRequest(_) => self.echo(frame, a, out, now),
            Transport::Tcp(_, _, flags) if flags.rst() => Err(DropReason::NoService),
            Transport::Tcp(..) | Transport::Udp(..) => {
                self.report(frame, a, Problem::Unreachable(unreachable::PORT), out, now);
                Err(DropReason::NoService)
            }
            Transport::IcmpReply(_) => Err(DropReason::NoSession),
            Transport::IcmpError | Transport::IcmpOther => Err(DropReason::IcmpType),
            Transport::Other => {
                self.report(frame, a, Problem::Unreachable(unreachable::PROTOCOL), out, now);
                Err(DropReason::Protocol)
            }
            Transport::Short => Err(a.short()),
        }
    }

    fn echo(
        &mut self,
        frame: &mut FrameMut<'_>,
        a: &mut Arrival,
        out: &mut dyn Output,
        now: Timestamp,
    ) -> Result<Verdict, DropReason> {
        let (l4, end) = (a.packet.l4(), a.packet.end());
        let mut message = Icmp::parse(&mut frame.bytes[l4..end]).ok_or(DropReason::Truncated)?;
        if message.message_type() != icmp::ECHO_REQUEST {
            return Err(DropReason::IcmpType);
        }
        message.set_type(icmp::ECHO_REPLY);
        self.counters.echo_replies += 1;
        let packet = a.packet;
        let verdict = self.turn_round(frame, a);
        if packet.more_fragments {
            let held = self.fragments.first(a.datagram, &packet, Action::Echo, now)?;
            self.replay(a, Action::Echo, held, out, now);
        }
        Ok(verdict)
    }

    /// Sends a packet, or a fragment of one, back to where it came from.
    pub(crate) fn turn_round(&mut self, frame: &mut FrameMut<'_>, a: &mut Arrival) -> Verdict {
        let (src, dst) = (a.packet.src, a.packet.dst);
        rewrite::addresses(&mut frame.bytes[L3..], &mut a.packet, Some(dst), Some(src));
        rewrite::time_to_live(frame.bytes, &mut a.packet, TTL);
        rewrite::link(frame.bytes, a.from, self.mac(a.side));
        match a.side {
            Side::Lan => Verdict::Lan,
            Side::Uplink => Verdict::Uplink,
        }
    }
}

impl Arrival {
    /// Why a packet whose transport header is cut off is dropped.
    pub(crate) fn short(&self) -> DropReason {
        if self.packet.more_fragments { DropReason::TinyFragment } else { DropReason::Truncated }
    }
}
