//! Writing pcapng (draft-ietf-opsawg-pcapng): one section, an interface block a port, an enhanced
//! packet block a frame, interface statistics at the end.
//!
//! Fills a buffer that the caller sends on and clears; no IO here, nothing can fail. Times are
//! nanoseconds since 1970. Own code and not the `pcap-file` crate: its stable version is of 2022
//! and its next has been a release candidate since; the six block layouts used fit on a page.

mod reader;

use std::borrow::Cow;

pub use reader::{Block, Damaged, Reader, Stored};

/// LINKTYPE_ETHERNET.
const ETHERNET: u16 = 1;
/// Longest text of an option: what its 16-bit length can say, rounded down to whole words.
const LONGEST: usize = 0xfffc;

mod block {
    pub(super) const SECTION: u32 = 0x0a0d_0d0a;
    pub(super) const INTERFACE: u32 = 1;
    pub(super) const STATISTICS: u32 = 5;
    pub(super) const PACKET: u32 = 6;
}

mod option {
    pub(super) const COMMENT: u16 = 1;
    pub(super) const SHB_USERAPPL: u16 = 4;
    pub(super) const IF_NAME: u16 = 2;
    pub(super) const IF_DESCRIPTION: u16 = 3;
    pub(super) const IF_TSRESOL: u16 = 9;
    pub(super) const IF_FILTER: u16 = 11;
    pub(super) const EPB_FLAGS: u16 = 2;
    pub(super) const EPB_DROPCOUNT: u16 = 4;
    pub(super) const ISB_STARTTIME: u16 = 2;
    pub(super) const ISB_ENDTIME: u16 = 3;
    pub(super) const ISB_IFRECV: u16 = 4;
    pub(super) const ISB_IFDROP: u16 = 5;
    pub(super) const ISB_FILTERACCEPT: u16 = 6;
    pub(super) const ISB_OSDROP: u16 = 7;
    pub(super) const ISB_USRDELIV: u16 = 8;
}

/// Which way a frame went, seen from the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The port received it.
    In,
    /// The port sent it.
    Out,
}

/// An interface's number in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceId(u32);

/// A packet block.
#[derive(Clone, Debug)]
pub struct Packet<'a> {
    /// Where it was seen.
    pub interface: InterfaceId,
    /// When, in nanoseconds since 1970.
    pub time: u64,
    /// Which way it went.
    pub direction: Direction,
    /// The frame, all of it or its beginning.
    pub bytes: &'a [u8],
    /// Its length on the wire.
    pub length: usize,
    /// Frames lost between the one before and this.
    pub lost: u64,
    /// What is said of it.
    pub comment: &'a str,
}

/// An interface statistics block; None is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// When the capture began, in nanoseconds since 1970.
    pub start: u64,
    /// When it ended.
    pub end: u64,
    /// Frames that passed the port, in and out.
    pub received: Option<u64>,
    /// Frames of the port that could not be had for want of room. What was dropped by decision is
    /// in the file.
    pub dropped: Option<u64>,
    /// Frames the filter wanted.
    pub accepted: Option<u64>,
    /// Frames lost for want of room on the way to this file.
    pub lost: Option<u64>,
    /// Frames in this file.
    pub delivered: Option<u64>,
}

/// Builds the file in a buffer.
#[derive(Debug)]
pub struct Writer {
    out: Vec<u8>,
    filter: String,
    interfaces: u32,
}

impl Writer {
    /// Begins a section. `filter` is named in each interface block.
    #[must_use]
    pub fn new(application: &str, filter: &str) -> Self {
        let mut writer = Self { out: Vec::new(), filter: filter.to_string(), interfaces: 0 };
        let start = writer.begin(block::SECTION);
        writer.u32(0x1a2b_3c4d);
        writer.u16(1);
        writer.u16(0);
        writer.u64(u64::MAX);
        writer.text(option::SHB_USERAPPL, application);
        writer.end(start, true);
        writer
    }

    /// Adds an interface.
    pub fn interface(&mut self, name: &str, description: &str) -> InterfaceId {
        let start = self.begin(block::INTERFACE);
        self.u16(ETHERNET);
        self.u16(0);
        self.u32(0);
        self.text(option::IF_NAME, name);
        self.text(option::IF_DESCRIPTION, description);
        self.option(option::IF_TSRESOL, &[9]);
        if !self.filter.is_empty() {
            // Code 0: a filter string of libpcap's language follows.
            let filter = format!("\0{}", self.filter);
            self.text(option::IF_FILTER, &filter);
        }
        self.end(start, true);
        self.interfaces += 1;
        InterfaceId(self.interfaces - 1)
    }

    /// Adds a frame.
    pub fn packet(&mut self, packet: &Packet<'_>) {
        let start = self.begin(block::PACKET);
        self.u32(packet.interface.0);
        self.time(packet.time);
        let captured = u32::try_from(packet.bytes.len()).unwrap_or(u32::MAX);
        self.u32(captured);
        self.u32(u32::try_from(packet.length).unwrap_or(u32::MAX).max(captured));
        self.out.extend_from_slice(packet.bytes);
        self.pad();
        let flags: u32 = if packet.direction == Direction::In { 1 } else { 2 };
        self.option(option::EPB_FLAGS, &flags.to_le_bytes());
        if packet.lost > 0 {
            self.option(option::EPB_DROPCOUNT, &packet.lost.to_le_bytes());
        }
        self.text(option::COMMENT, packet.comment);
        self.end(start, true);
    }

    /// Adds what is known of an interface at the end.
    pub fn statistics(&mut self, interface: InterfaceId, statistics: &Statistics) {
        let start = self.begin(block::STATISTICS);
        self.u32(interface.0);
        self.time(statistics.end);
        for (code, time) in
            [(option::ISB_STARTTIME, statistics.start), (option::ISB_ENDTIME, statistics.end)]
        {
            let [high, low] = halves(time);
            self.option(code, &[high.to_le_bytes(), low.to_le_bytes()].concat());
        }
        for (code, value) in [
            (option::ISB_IFRECV, statistics.received),
            (option::ISB_IFDROP, statistics.dropped),
            (option::ISB_FILTERACCEPT, statistics.accepted),
            (option::ISB_OSDROP, statistics.lost),
            (option::ISB_USRDELIV, statistics.delivered),
        ] {
            if let Some(value) = value {
                self.option(code, &value.to_le_bytes());
            }
        }
        self.end(start, true);
    }

    /// What has been built since the last call.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Bytes waiting to be taken.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.out.len()
    }

    fn begin(&mut self, kind: u32) -> usize {
        let start = self.out.len();
        self.u32(kind);
        self.u32(0);
        start
    }

    /// Ends the options, if there were any, and writes the block's length at both its ends.
    fn end(&mut self, start: usize, options: bool) {
        if options {
            self.u32(0);
        }
        let length = u32::try_from(self.out.len() - start + 4).unwrap_or(u32::MAX).to_le_bytes();
        self.out[start + 4..start + 8].copy_from_slice(&length);
        self.out.extend_from_slice(&length);
    }

    fn text(&mut self, code: u16, text: &str) {
        if !text.is_empty() {
            let text = clip(text);
            self.option(code, text.as_bytes());
        }
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        self.u16(code);
        self.u16(u16::try_from(value.len()).unwrap_or(u16::MAX));
        self.out.extend_from_slice(value);
        self.pad();
    }

    fn pad(&mut self) {
        // Every block starts on a whole word of the file, and the buffer on a block.
        while !self.out.len().is_multiple_of(4) {
            self.out.push(0);
        }
    }

    fn time(&mut self, nanos: u64) {
        let [high, low] = halves(nanos);
        self.u32(high);
        self.u32(low);
    }

    fn u16(&mut self, value: u16) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of 64 bits")]
const fn halves(value: u64) -> [u32; 2] {
    [(value >> 32) as u32, value as u32]
}

fn clip(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST {
        return text.into();
    }
    let end = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    Cow::Borrowed(&text[..end])
}

#[cfg(test)]
mod tests;
