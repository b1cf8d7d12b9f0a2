//! A frame of segments that is longer than a device takes, as several that it takes.
//!
//! Stacks of a lab hand on up to 192 KiB as one frame (BIG TCP). The device of a tunnel takes 64 KiB
//! with the tunnel's own headers, and past the queue, where the kernel would cut, it refuses more.
//! The pieces stand for the same packets as the whole, and end where one of these ends.
//!
//! Pure, asked for each frame to a port whose device has such a bound.

use wire::segments::MOST_HEADERS;
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
        if frame.len() <= longest || !vnet.needs_csum() {
            return None;
        }
        let segments = Segments::of(vnet, frame)?;
        let headers = segments.headers();
        let step = longest.checked_sub(headers)? / segments.size();
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
