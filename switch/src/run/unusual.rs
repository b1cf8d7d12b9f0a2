//! Frames on their way out that a packet socket cannot be told of as they are: segments in a tunnel, and
//! frames whose tags make them too long.
//!
//! `outbox` asks here first, for each frame and port. What is none of them costs a look at two bytes.

use bpf::finish::Kind;
use sys::packet::{Received, Tags, VNET_LEN};
use wire::{Segments, VnetHeader, ethernet, ethertype};

use super::link::Link;
use super::outbox::{Links, Place};
use super::ports::Plugged;

/// A frame no longer than this fits by any link with its tags.
const SHORT: usize = 512;
/// Bytes of a tag.
const TAG: usize = 4;

impl<L: Link> Links<L> {
    /// Queues such a frame; its length then, and whether it leaves. None for any other.
    #[inline]
    pub(super) fn unusual(
        &mut self,
        port: &Plugged,
        place: Place,
        tags: Tags,
    ) -> Option<(bool, usize)> {
        let (_, data) = self.slot(place)?;
        // The type of its segments, and the protocol behind a tag that is put before it.
        let segments = data.get(1) != Some(&0);
        if !segments && tags[0].is_none() {
            return None;
        }
        let (vnet, frame) = data.split_first_chunk::<VNET_LEN>()?;
        let (vnet, len) = (VnetHeader::from_bytes(*vnet), frame.len());
        if segments {
            // For a tunnel's device `outbox` cuts what has several tags into single packets.
            if port.longest.is_some() && is_stacked(tags, frame) {
                return None;
            }
            let nested = Segments::nested(vnet, frame)?;
            return Some((self.tunnelled(port, place, tags, (vnet, &nested)), len));
        }
        // For a single tag of 802.1Q a packet socket leaves room.
        let more = tags[1].is_some() || is_tagged(frame) || tags[0]?.0 == ethertype::QINQ;
        // Without the tag that is kept beside it; a link leaves room for one more.
        let beside = tags.iter().flatten().count().saturating_sub(1) * TAG;
        let fits = len + beside <= ethernet::HEADER_LEN + TAG + port.mtu as usize;
        (len > SHORT && more && fits && self.tagged(port, place, tags)?).then_some((true, len))
    }

    /// Segments in a tunnel: whole, or as the datagrams they stand for.
    fn tunnelled(
        &mut self,
        port: &Plugged,
        place: Place,
        tags: Tags,
        (vnet, nested): (VnetHeader, &Segments),
    ) -> bool {
        self.bundles.close(port.ifindex);
        // A device of the kernel's own takes no more than its own segments.
        if let (Place::Main(ahead), false, None, [None, None]) =
            (place, port.foreign, port.longest, tags)
            && nested.packets() > 1
            && let Some((headers, v6)) = nested.tunnel()
            && let Some(way) = &self.finish
            && let Some(detour) = way.detour(Kind::Tunnel { headers, v6 }, port.ifindex)
        {
            return self.main.queue_detour(ahead, detour, tags);
        }
        let (mut begun, mut queued) = (0, false);
        while begun < nested.packets() {
            let Self { main, uplink, made, .. } = self;
            let Some((_, data)) = slot(main, uplink, place) else { break };
            made.clear();
            begun +=
                nested.bundle(begun, vnet, data.get(VNET_LEN..).unwrap_or_default(), made).max(1);
            queued |= self.send_made(port, tags);
        }
        queued
    }

    /// The same of a frame that lies in no slot; None for one that leaves as it is.
    pub(super) fn unusual_copy(
        &mut self,
        port: &Plugged,
        (vnet, frame): (VnetHeader, &[u8]),
        tags: Tags,
    ) -> Option<bool> {
        let nested = Segments::nested(vnet, frame)?;
        let (mut begun, mut queued) = (0, false);
        while begun < nested.packets() {
            self.made.clear();
            begun += nested.bundle(begun, vnet, frame, &mut self.made).max(1);
            queued |= self.send_made(port, tags);
        }
        Some(queued)
    }

    fn send_made(&mut self, port: &Plugged, tags: Tags) -> bool {
        let Self { main, uplink, made, .. } = self;
        let io = if port.foreign { uplink.as_mut() } else { Some(main) };
        io.is_some_and(|io| io.queue_copy([made, &[]], port.ifindex, tags))
    }

    /// A frame with more tags than a packet socket leaves room for. The kernel judges a frame's length
    /// without the tag that it keeps beside it, and a packet socket takes none but within the frame.
    fn tagged(&mut self, port: &Plugged, place: Place, tags: Tags) -> Option<bool> {
        let Place::Main(ahead) = place else { return None };
        if port.foreign || port.longest.is_some() {
            return None;
        }
        let detour = self.finish.as_ref()?.detour(Kind::Tagged, port.ifindex)?;
        self.bundles.close(port.ifindex);
        Some(self.main.queue_detour(ahead, detour, tags))
    }
}

/// Whether a frame that leaves with these tags has more than one.
pub(super) fn is_stacked(tags: Tags, frame: &[u8]) -> bool {
    let beside = tags.iter().flatten().count();
    let behind = || frame.get(TAG..).is_some_and(is_tagged);
    beside + usize::from(is_tagged(frame)) + usize::from(is_tagged(frame) && behind()) > 1
}

/// A tag is the first thing in its bytes.
fn is_tagged(frame: &[u8]) -> bool {
    let kind = frame.get(ethernet::HEADER_LEN - 2..).and_then(|kind| kind.first_chunk());
    kind.is_some_and(|kind| matches!(u16::from_be_bytes(*kind), ethertype::VLAN | ethertype::QINQ))
}

/// As [`Links::slot`], beside what else is borrowed.
fn slot<'a, L: Link>(
    main: &'a mut L,
    uplink: &'a mut Option<L>,
    place: Place,
) -> Option<(Received, &'a mut [u8])> {
    match place {
        Place::Main(ahead) => main.slot(ahead),
        Place::Uplink(ahead) => uplink.as_mut()?.slot(ahead),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_count_beside_a_frame_and_in_it() {
        let frame = |tags: &[u16]| {
            let mut frame = vec![2; ethernet::HEADER_LEN - 2];
            for tag in tags {
                frame.extend([tag.to_be_bytes(), [0, 7]].concat());
            }
            frame.extend([8, 0, 0x45, 0, 0, 0]);
            frame
        };
        let one = Some((ethertype::VLAN, 7));
        for (tags, inside, stacked) in [
            ([None, None], &[][..], false),
            ([one, None], &[], false),
            ([None, None], &[ethertype::VLAN], false),
            ([one, one], &[], true),
            ([one, None], &[ethertype::VLAN], true),
            ([one, None], &[ethertype::QINQ], true),
            ([None, None], &[ethertype::QINQ, ethertype::VLAN], true),
        ] {
            assert_eq!(is_stacked(tags, &frame(inside)), stacked, "{tags:?} {inside:04x?}");
        }
        assert!(!is_stacked([None, None], &[2; 14]) && !is_stacked([None, None], &[]));
    }
}
