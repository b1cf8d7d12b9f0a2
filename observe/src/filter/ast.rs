//! A filter as a tree. Each test carries how many VLAN tags stand before what it looks at.

use std::net::{Ipv4Addr, Ipv6Addr};

use wire::MacAddr;

#[derive(Clone, Debug)]
pub(super) enum Expr {
    Test { test: Test, tags: usize },
    Not(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
}

/// Which end of a packet is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dir {
    Src,
    Dst,
    Either,
    Both,
}

/// A question about one frame.
#[derive(Clone, Debug)]
pub(super) enum Test {
    EtherType(u16),
    EtherHost(Dir, MacAddr),
    EtherMulticast,
    /// A protocol number in an IPv4 header, an IPv6 header (or behind its fragment header), or
    /// either.
    Protocol(Families, u8),
    /// An IPv4 address or network; also in ARP and RARP where no family was named.
    V4(Dir, V4In, Ipv4Addr, u32),
    V6(Dir, Ipv6Addr, u128),
    V4Multicast,
    V6Multicast,
    /// A port in any of the protocols numbered.
    Ports(Dir, &'static [u8], u16, u16),
    Vlan(Option<u16>),
    Less(usize),
    Greater(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Families {
    V4,
    V6,
    Any,
}

/// Where an IPv4 address is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum V4In {
    Ip,
    Arp,
    Rarp,
    All,
}
