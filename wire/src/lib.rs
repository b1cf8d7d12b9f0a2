//! Bytes: what a frame is made of, and nothing about what to do with it.
//!
//! The innermost ring. Views check a length once and are safe from then on; no view allocates,
//! no function here knows a socket, a clock or a thread.
//!
//! | module | what |
//! |---|---|
//! | [`mac`], [`vlan`], [`ethertype`] | the names on the outside of a frame |
//! | [`ethernet`] | the Ethernet header view |
//! | [`vnet`] | the virtio-net header that travels with a frame |
//! | [`frame`] | a frame in place: vnet header, stripped tag, bytes |
//! | [`time`] | monotonic timestamps, always passed in |

pub mod ethernet;
pub mod ethertype;
pub mod frame;
pub mod mac;
pub mod time;
pub mod vlan;
pub mod vnet;

pub use ethernet::Ethernet;
pub use frame::FrameMut;
pub use mac::MacAddr;
pub use time::Timestamp;
pub use vlan::{VlanId, VlanTag};
pub use vnet::{GsoType, VnetHeader};
