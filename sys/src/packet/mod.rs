//! AF_PACKET: one ring that receives for every interface of a namespace, one sender that reaches
//! every interface of it (`packet(7)`, `linux/if_packet.h`).
//!
//! [`PacketIo`] owns both, because messages are sent straight out of ring slots: a slot goes back
//! to the kernel only after what points into it has left.

mod filter;
mod io;
mod long;
mod refusal;
mod ring;
mod sender;
mod socket;
mod spare;
mod steer;
#[cfg(test)]
mod tests;

pub use filter::{FilterOp, Pass};
pub use io::{Detour, PacketIo, Part};
pub use refusal::Refusal;
pub use ring::{Received, RingConfig, RingStats};
pub use sender::{Message, SendFailure, Tags};
pub use spare::Spare;
pub use steer::{RINGS, Steering};

/// Bytes of the virtio-net header before each frame (`struct virtio_net_hdr`).
pub const VNET_LEN: usize = 10;
