//! EtherType values this project acts on (IEEE 802 numbers, as in `linux/if_ether.h`).

/// IPv4.
pub const IPV4: u16 = 0x0800;
/// ARP (RFC 826).
pub const ARP: u16 = 0x0806;
/// IPv6.
pub const IPV6: u16 = 0x86dd;
/// An 802.1Q customer tag.
pub const VLAN: u16 = 0x8100;
/// An 802.1ad service tag.
pub const QINQ: u16 = 0x88a8;
