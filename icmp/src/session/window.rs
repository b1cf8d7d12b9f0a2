//! The probes that may still be answered: one entry each for the last [`REMEMBERED`], which is the
//! whole sequence space, so that no number stands for two of them. Older ones are forgotten.

use std::collections::VecDeque;

use wire::Timestamp;

/// Probes remembered.
const REMEMBERED: usize = 65_536;

/// Probe k, counted from 1, carries the sequence number k modulo 2^16.
#[derive(Debug, Default)]
pub(crate) struct Window {
    /// How many were sent before the oldest remembered.
    before: u64,
    probes: VecDeque<Probe>,
}

/// A probe on its way, or back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe {
    /// When it left.
    pub(crate) at: Timestamp,
    /// It has an answer.
    pub(crate) answered: bool,
}

/// The sequence number of a probe.
pub(crate) fn seq_of(number: u64) -> u16 {
    u16::try_from(number & 0xffff).unwrap_or(0)
}

impl Window {
    /// How many were sent: the number of the newest.
    pub(crate) fn sent(&self) -> u64 {
        self.before + self.probes.len() as u64
    }

    pub(crate) fn push(&mut self, now: Timestamp) {
        if self.probes.len() == REMEMBERED {
            self.probes.pop_front();
            self.before += 1;
        }
        self.probes.push_back(Probe { at: now, answered: false });
    }

    /// The newest probe that carried this sequence number.
    pub(crate) fn number(&self, seq: u16) -> Option<u64> {
        let newest = self.sent();
        let behind = newest.wrapping_sub(u64::from(seq)) & 0xffff;
        newest.checked_sub(behind).filter(|number| *number > self.before)
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut Probe> {
        let place = number.checked_sub(self.before + 1)?;
        self.probes.get_mut(usize::try_from(place).ok()?)
    }

    /// The newest probe.
    pub(crate) fn newest(&self) -> Option<Probe> {
        self.probes.back().copied()
    }
}
