//! A frame of segments that is longer than a device takes, as several that it takes.
//!
//! Stacks of a lab hand on up to 192 KiB as one frame (BIG TCP). The device of a tunnel takes 64 KiB
//! with the tunnel's own headers, and past the queue, where the kernel would cut, it refuses more. So it
//! does with segments behind two tags (`vlan_features_check`, linux/if_vlan.h): those leave one by one.
//! The pieces stand for the same packets as the whole, and end where one of these ends.
//!
//! Pure, asked for each frame to a port whose device has such a bound.

use wire::segments::{MOST_HEADERS, MOST_PACKETS};
use wire::{Piece, Segments, VnetHeader};

/// The pieces of a frame, in their order.
#[derive(Clone, Debug)]
pub struct Cut {
    segments: Segments,
    vnet: VnetHeader,
    head: [u8; MOST_HEADERS],
    /// Packets of a piece, and those given already.
    step: usize,
    given: usize,
}

impl Cut {
    /// How a frame is cut into pieces of at most `longest` bytes each. None for one that is no longer,
    /// and one that is not of segments: that leaves as it is.
    #[must_use]
    pub fn of(vnet: VnetHeader, frame: &[u8], longest: usize) -> Option<Self> {
        if frame.len() <= longest {
            return None;
        }
        Self::by(vnet, frame, |segments| {
            Some(longest.checked_sub(segments.headers())? / segments.size())
        })
    }

    /// The same into single packets, whatever the frame's length; None where those were more than
    /// [`MOST_PACKETS`].
    #[must_use]
    pub fn singly(vnet: VnetHeader, frame: &[u8]) -> Option<Self> {
        Self::by(vnet, frame, |segments| (segments.packets() <= MOST_PACKETS).then_some(1))
    }

    /// Into pieces of so many packets.
    fn by(
        vnet: VnetHeader,
        frame: &[u8],
        step: impl FnOnce(&Segments) -> Option<usize>,
    ) -> Option<Self> {
        let segments = Segments::of(vnet, frame).filter(|_| vnet.needs_csum())?;
        let (headers, step) = (segments.headers(), step(&segments)?);
        let mut head = [0; MOST_HEADERS];
        head.get_mut(..headers)?.copy_from_slice(frame.get(..headers)?);
        (step > 0).then_some(Self { segments, vnet, head, step, given: 0 })
    }
}

impl Iterator for Cut {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        let from = self.given;
        self.given += self.step;
        self.segments.piece(from..self.given, self.vnet, &self.head)
    }
}

#[cfg(test)]
#[path = "cut_tests.rs"]
mod tests;
