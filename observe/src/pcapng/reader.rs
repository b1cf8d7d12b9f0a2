//! Reading back what [`super::Writer`] writes, as it arrives in pieces: for the command, which
//! counts and prints what it stores.
//!
//! Little-endian and one section, as our writer makes them; anything else is [`Damaged`]. A block
//! over [`LARGEST`] is damaged too, so memory is bounded whatever comes.

use super::{Direction, block, option};

/// A block longer than this is none of ours: the largest frame with its comment.
const LARGEST: usize = 512 * 1024;
/// A block's type and length before its body, and its length again behind it.
const HEAD: usize = 8;
const TAIL: usize = 4;
/// Interface, time (two words), captured length, length.
const PACKET: usize = 20;

/// The bytes are no capture of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the capture is damaged")]
pub struct Damaged;

/// One block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// An interface; they are numbered from 0 in their order.
    Interface {
        /// Its name.
        name: String,
    },
    /// A frame.
    Packet(Stored),
    /// The figures of an interface.
    Statistics {
        /// Which.
        interface: usize,
        /// Frames lost for want of room.
        lost: u64,
    },
    /// The section's header, or a kind not looked at.
    Other,
}

/// A frame as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Where it was seen.
    pub interface: usize,
    /// When, in nanoseconds since 1970.
    pub time: u64,
    /// Which way it went.
    pub direction: Direction,
    /// The frame, or its beginning.
    pub bytes: Vec<u8>,
    /// Its length on the wire.
    pub length: usize,
    /// What is said of it.
    pub comment: String,
}

/// Takes bytes in, gives blocks out.
#[derive(Debug, Default)]
pub struct Reader {
    bytes: Vec<u8>,
}

impl Reader {
    /// A reader that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes in.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Bytes of a block that has not wholly come.
    #[must_use]
    pub fn rest(&self) -> usize {
        self.bytes.len()
    }

    /// The next block that has wholly come: what it says, and its bytes.
    ///
    /// # Errors
    /// [`Damaged`].
    pub fn block(&mut self) -> Result<Option<(Block, Vec<u8>)>, Damaged> {
        let Some(length) = word(&self.bytes, 4) else { return Ok(None) };
        let length = usize::try_from(length).map_err(|_| Damaged)?;
        if length % 4 != 0 || !(HEAD + TAIL..=LARGEST).contains(&length) {
            return Err(Damaged);
        }
        if self.bytes.len() < length {
            return Ok(None);
        }
        let rest = self.bytes.split_off(length);
        let raw = std::mem::replace(&mut self.bytes, rest);
        Ok(Some((read(&raw).ok_or(Damaged)?, raw)))
    }
}

fn read(raw: &[u8]) -> Option<Block> {
    let body = raw.get(HEAD..raw.len() - TAIL)?;
    Some(match word(raw, 0)? {
        block::INTERFACE => {
            let mut name = String::new();
            each_option(body.get(8..)?, |code, value| {
                if code == option::IF_NAME {
                    name = String::from_utf8_lossy(value).into_owned();
                }
            })?;
            Block::Interface { name }
        }
        block::PACKET => Block::Packet(packet(body)?),
        block::STATISTICS => {
            let mut lost = 0;
            each_option(body.get(12..)?, |code, value| {
                if let (option::ISB_OSDROP, Ok(bytes)) = (code, value.try_into()) {
                    lost = u64::from_le_bytes(bytes);
                }
            })?;
            Block::Statistics { interface: number(body, 0)?, lost }
        }
        _ => Block::Other,
    })
}

fn packet(body: &[u8]) -> Option<Stored> {
    let captured = number(body, 12)?;
    let bytes = body.get(PACKET..PACKET.checked_add(captured)?)?.to_vec();
    let mut direction = Direction::In;
    let mut comment = String::new();
    each_option(body.get(PACKET + captured.next_multiple_of(4)..)?, |code, value| match code {
        option::EPB_FLAGS if value.first().is_some_and(|flags| flags & 3 == 2) => {
            direction = Direction::Out;
        }
        option::COMMENT => comment = String::from_utf8_lossy(value).into_owned(),
        _ => {}
    })?;
    Some(Stored {
        interface: number(body, 0)?,
        time: u64::from(word(body, 4)?) << 32 | u64::from(word(body, 8)?),
        direction,
        bytes,
        length: number(body, 16)?,
        comment,
    })
}

fn each_option(mut bytes: &[u8], mut each: impl FnMut(u16, &[u8])) -> Option<()> {
    while let Some(head) = bytes.first_chunk::<4>() {
        let code = u16::from_le_bytes([head[0], head[1]]);
        let length = usize::from(u16::from_le_bytes([head[2], head[3]]));
        if code == 0 {
            break;
        }
        each(code, bytes.get(4..4 + length)?);
        bytes = bytes.get(4 + length.next_multiple_of(4)..)?;
    }
    Some(())
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(word(bytes, at)?).ok()
}
