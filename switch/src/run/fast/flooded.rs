//! The worker's part for groups: which floods are the kernel's to repeat.
//!
//! Those that come often alone: to write a set of ports costs more than to flood a frame. Not those
//! that something has to look at: snooping and suppression, a guard of sources, a limit of storms; nor
//! those whose frames leave with different tags. What the station is shown a copy of is repeated where
//! it would refuse all of its EtherType, and is told how many there were.

use std::time::Duration;

use bpf::Key;
use bpf::layout::MEMBERS;
use wire::Timestamp;

use super::flow::Decided;
use super::scribe::{Forwarded, Scribe, counted, decide, key, may_repeat};
use crate::core::{Bridge, Flooded, Learned, Leg};

/// Frames of a kind within [`SPAN`] that make it often.
const ENOUGH: u8 = 8;
const SPAN: Duration = Duration::from_secs(1);
/// What the station is shown a copy of is no longer, in bytes.
const SHOWN: u32 = 1500;
/// Kinds that are told apart at a time: who comes later takes the place.
const KINDS: usize = 256;

/// What was flooded of late, and how often.
#[derive(Default)]
pub(super) struct Kinds {
    places: Vec<Option<(Key, u8)>>,
    since: Timestamp,
}

impl Kinds {
    /// Another frame of a kind; whether that is often.
    fn again(&mut self, key: &Key, now: Timestamp) -> bool {
        if self.places.is_empty() || now.since(self.since) >= SPAN {
            self.places.clear();
            self.places.resize(KINDS, None);
            self.since = now;
        }
        let [.., a, b, c] = key.src.0;
        let at = usize::from(a.rotate_left(5) ^ b.rotate_left(3) ^ c) % KINDS;
        match &mut self.places[at] {
            Some((known, count)) if known == key => {
                *count = count.saturating_add(1);
                *count > ENOUGH
            }
            place => {
                *place = Some((*key, 1));
                false
            }
        }
    }
}

impl Scribe {
    /// A frame to a group was flooded, without having been looked into where it was not `read`, and to
    /// a leg of the station's as well, if it was to one.
    pub(in crate::run) fn flooded(
        &mut self,
        of: &Forwarded<'_>,
        (read, leg): (bool, Option<Leg>),
        bridge: &Bridge,
        now: Timestamp,
    ) {
        let (Some(fast), Some(generation)) = (self.fast.clone(), self.generation) else { return };
        let ignored = self.ignored.take().filter(|_| leg.is_some());
        let wanted = leg.is_some() && ignored.is_none();
        let looked_at = read || wanted || !of.frame.dst.is_group();
        if looked_at || !matches!(of.learned, Learned::Known | Learned::New | Learned::Off) {
            return;
        }
        let kind = key(of.frame, None, of.ifindex);
        if !self.kinds.again(&kind, now)
            || fast.table.find(&kind).is_some_and(|id| fast.table.holds(id, now))
        {
            return;
        }
        if let Some(decided) = all(of, bridge) {
            let shown = if leg.is_some() { SHOWN } else { u32::MAX };
            let mtu = decided.mtu.min(shown);
            let given = leg.and_then(|_| counted(bridge, of.frame.tag(), of.ingress));
            let legs = [given, None];
            fast.put(&Decided { ignored, mtu, legs, generation, ..decided }, now);
            self.wake_later(now);
        }
    }
}

/// What the kernel is to repeat; None where it is more than a copy to each.
fn all<'a>(of: &Forwarded<'a>, bridge: &Bridge) -> Option<Decided<'a>> {
    let (first, others) = of.exits.split_first()?;
    let limit = bridge.port(of.ingress)?.settings.storm.of(Flooded::to(of.frame.dst));
    // A port whose MTU is too small for this frame is not among the exits, and would be for a smaller one.
    let mtu = bridge.least_mtu(of.ingress)?;
    if limit.is_some() || of.exits.len() > MEMBERS || of.frame.packet_len > mtu {
        return None;
    }
    for exit in others {
        let to = bridge.port(exit.port)?;
        if exit.tagging != first.tagging || !may_repeat(None, Some(&to.settings)) {
            return None;
        }
    }
    let until = Timestamp::from_nanos(u64::MAX);
    let decided = decide(of, *first, until, bridge)?;
    Some(Decided { flood: of.exits, mtu, ..decided })
}
