//! What the gateway has done, as numbers: every frame in exactly one, and the frames it added.
//!
//! Owned by the gateway, copied out by `show` and `metrics`. Frames in = out to the legs + out to
//! the uplink + consumed + dropped, by construction: one place counts, from the verdict
//! (`Links::count`). What entered and left is counted by link and summed up when it is asked for.

use crate::nat::NatCounters;
use crate::verdict::{Consumed, DropReason};

/// What the gateway has done since it started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Frames that entered from all legs.
    pub lan_in: u64,
    /// Frames that entered from the uplink.
    pub uplink_in: u64,
    /// Frames that left, rewritten, to all legs.
    pub to_lan: u64,
    /// Frames that left, rewritten, to the uplink.
    pub to_uplink: u64,
    /// ARP taken in.
    pub arp: u64,
    /// Frames that waited for a neighbour.
    pub queued: u64,
    /// Fragments that waited for the first of their datagram.
    pub held: u64,
    /// Frames that were cut into fragments.
    pub fragmented: u64,
    /// Packets given to the resolver of names.
    pub dns: u64,
    /// Frames discarded, by [`DropReason::index`].
    pub dropped: [u64; DropReason::ALL.len()],
    /// Frames sent beside those that entered: ARP, ICMP errors, fragments, what had waited.
    pub extra: u64,
    /// ICMP errors sent.
    pub icmp_errors: u64,
    /// Hosts told that they took a detour, by ICMP redirects; not among the errors.
    pub redirects: u64,
    /// ICMP errors not sent because there had been too many.
    pub icmp_limited: u64,
    /// ICMP errors translated, both ways.
    pub icmp_translated: u64,
    /// Echo requests answered.
    pub echo_replies: u64,
    /// Frames that had waited for a neighbour or a first fragment and were discarded then.
    pub waited_in_vain: u64,
    /// Sessions.
    pub nat: NatCounters,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            lan_in: 0,
            uplink_in: 0,
            to_lan: 0,
            to_uplink: 0,
            arp: 0,
            queued: 0,
            held: 0,
            fragmented: 0,
            dns: 0,
            dropped: [0; DropReason::ALL.len()],
            extra: 0,
            icmp_errors: 0,
            redirects: 0,
            icmp_limited: 0,
            icmp_translated: 0,
            echo_replies: 0,
            waited_in_vain: 0,
            nat: NatCounters::default(),
        }
    }
}

impl Counters {
    /// Frames discarded for one reason.
    #[must_use]
    pub const fn drops(&self, reason: DropReason) -> u64 {
        self.dropped[reason.index()]
    }

    /// The reasons that have occurred, with their numbers.
    pub fn drops_by_reason(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        let all = DropReason::ALL.iter().map(|r| (*r, self.drops(*r)));
        all.filter(|(_, count)| *count > 0)
    }

    /// Frames that ended in one verdict or another.
    #[must_use]
    pub fn accounted(&self) -> u64 {
        let consumed = self.arp + self.queued + self.held + self.fragmented + self.dns;
        self.to_lan + self.to_uplink + consumed + self.dropped.iter().sum::<u64>()
    }

    #[inline]
    pub(crate) fn consumed(&mut self, how: Consumed) {
        *match how {
            Consumed::Arp => &mut self.arp,
            Consumed::Queued => &mut self.queued,
            Consumed::Held => &mut self.held,
            Consumed::Fragmented => &mut self.fragmented,
            Consumed::Dns => &mut self.dns,
        } += 1;
    }
}
