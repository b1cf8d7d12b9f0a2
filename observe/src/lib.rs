//! What is seen of frames: which are wanted, how they are written down, where they went and why.
//!
//! ```text
//!   frame ─► filter::Filter (wanted?) ─► segment (GSO cut up) ─► pcapng::Writer
//!        └─► changes (which header fields the gateway changed)
//! ```
//!
//! Pure: bytes and times in, bytes and texts out; no socket, no clock, no thread. The lab feeds
//! it from the switch's tap.

pub mod changes;
pub mod filter;
pub mod pcapng;
pub mod segment;

pub use filter::{Filter, FilterError};
