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
//! | [`arp`], [`ipv4`], [`tcp`], [`udp`], [`icmp`] | header views, changed in place |
//! | [`protocol`] | what IP carries, by number and name |
//! | [`checksum`] | the Internet checksum and its incremental update (RFC 1624) |
//! | [`segments`] | frames that stand for many packets, in a tunnel or not, and these packets |
//! | [`offload`] | finishing a partial checksum in software |
//! | [`summary`] | a frame as one line of text |
//! | [`time`] | monotonic timestamps, always passed in |

pub mod arp;
mod bytes;
pub mod checksum;
pub mod ethernet;
pub mod ethertype;
pub mod frame;
pub mod icmp;
pub mod ipv4;
pub mod mac;
pub mod offload;
pub mod protocol;
pub mod segments;
pub mod summary;
pub mod tcp;
pub mod time;
pub mod udp;
pub mod vlan;
pub mod vnet;

pub use arp::Arp;
pub use ethernet::Ethernet;
pub use frame::FrameMut;
pub use icmp::Icmp;
pub use ipv4::Ipv4;
pub use mac::MacAddr;
pub use protocol::IpProtocol;
pub use segments::{Piece, Segments, packet_end};
pub use summary::Summary;
pub use tcp::Tcp;
pub use time::Timestamp;
pub use udp::Udp;
pub use vlan::{VlanId, VlanTag};
pub use vnet::{GsoType, VnetHeader};
