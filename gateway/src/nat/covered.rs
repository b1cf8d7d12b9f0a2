//! Which bytes of a datagram have passed, in whatever order its fragments came and however often.
//!
//! Spans that do not touch, in order: one of them while fragments come in order. Bounded by [`MOST`];
//! what would be one more is not remembered, and its datagram is then never seen to be whole.

/// Spans that are remembered: those of the longest datagram in fragments of 536 bytes, every second one
/// of them missing.
const MOST: usize = 64;

/// Bytes that have passed, from the first one to before the other.
#[derive(Debug, Default)]
pub(super) struct Covered(Vec<(usize, usize)>);

impl Covered {
    /// The bytes from `from` up to, not including, `to` have passed, again or for the first time.
    pub(super) fn add(&mut self, from: usize, to: usize) {
        if from >= to {
            return;
        }
        let first = self.0.partition_point(|span| span.1 < from);
        let after = self.0.partition_point(|span| span.0 <= to);
        if first < after {
            let joined = (self.0[first].0.min(from), self.0[after - 1].1.max(to));
            self.0.splice(first..after, [joined]);
        } else if self.0.len() < MOST {
            self.0.insert(first, (from, to));
        }
    }

    /// Whether all of a datagram has.
    pub(super) fn is_whole(&self, length: usize) -> bool {
        length == 0 || matches!(self.0[..], [(0, end), ..] if end >= length)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a set of bytes.
        #[test]
        fn all_of_it_has_passed_once_every_byte_has(
            spans in proptest::collection::vec((0usize..40, 0usize..12), 0..30),
            length in 0usize..48,
        ) {
            let (mut covered, mut bytes) = (Covered::default(), [false; 64]);
            for (from, length) in spans {
                covered.add(from, from + length);
                bytes[from..from + length].fill(true);
                prop_assert!(covered.0.windows(2).all(|two| two[0].1 < two[1].0));
            }
            prop_assert_eq!(covered.is_whole(length), bytes[..length].iter().all(|byte| *byte));
        }
    }

    #[test]
    fn so_many_spans_are_remembered_and_no_more() {
        let mut covered = Covered::default();
        (0..1000).for_each(|n| covered.add(n * 16, n * 16 + 8));
        assert_eq!(covered.0.len(), MOST);
        (0..MOST).for_each(|n| covered.add(n * 16 + 8, n * 16 + 16));
        assert!(covered.is_whole(MOST * 16) && !covered.is_whole(MOST * 16 + 1));
    }
}
