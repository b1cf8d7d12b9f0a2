//! What a gateway is told at the start: its legs, its uplink, its NAT, its limits.
//!
//! Plain values, made by the lab and by tests. While frames flow legs change by `Gateway::add_leg`,
//! `set_leg` and `remove_leg`, the uplink by `set_uplink_address` and `set_uplink_link`; nothing else
//! here does.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::time::Duration;

use wire::MacAddr;

use crate::leg::{LegConfig, LegId};
use crate::nat::filter::NatType;

/// Everything a gateway is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// The networks of the inside; others may come and go (`Gateway::add_leg`).
    pub legs: Vec<(LegId, LegConfig)>,
    /// The side of the world, shared by all legs; None routes among the legs only.
    pub uplink: Option<Uplink>,
    /// Address translation.
    pub nat: NatConfig,
    /// Bounds of tables and queues.
    pub limits: Limits,
}

/// The uplink side.
#[derive(Clone, Debug)]
pub struct Uplink {
    /// The hardware address frames leave with.
    pub mac: MacAddr,
    /// The address everything is masqueraded behind; None while there is none.
    pub address: Option<UplinkAddress>,
    /// Largest IP packet of that side.
    pub mtu: u16,
    /// Ports and ICMP identifiers the NAT may use of that address.
    pub ports: RangeInclusive<u16>,
    /// True where a kernel owns the address too: the gateway then answers neither ARP nor echo
    /// there and is silent about everything outside its ports.
    pub shared: bool,
}

/// An address of the uplink with what routing needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UplinkAddress {
    /// The gateway's own address there.
    pub address: Ipv4Addr,
    /// Length of the prefix that is reached without a router.
    pub prefix_len: u8,
    /// The router for everything else.
    pub next_hop: Option<Ipv4Addr>,
}

/// What a host has to be told before it is a router, as Linux has it: `ip_forward`, and a rule of
/// netfilter that masquerades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routing {
    /// Packets that are not for the gateway itself go on (`net.ipv4.ip_forward`).
    pub forwarding: bool,
    /// What leaves by the uplink has the uplink's address. Without it packets leave with the sender's
    /// own, and nothing outside knows the way back to that.
    pub nat: bool,
}

impl Default for Routing {
    fn default() -> Self {
        Self { forwarding: true, nat: true }
    }
}

/// Address translation.
#[derive(Clone, Debug, Default)]
pub struct NatConfig {
    /// Mapping and filtering behaviour.
    pub kind: NatType,
    /// How long a silent session lives.
    pub lifetimes: Lifetimes,
    /// Keep session events for [`crate::Gateway::drain_events`].
    pub events: bool,
}

/// How long a silent session lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// UDP (RFC 4787 REQ-5: not under 2 minutes, 5 advised).
    pub udp: Duration,
    /// TCP with both SYNs seen (RFC 5382 REQ-5: not under 2 hours 4 minutes).
    pub tcp_established: Duration,
    /// TCP opening or closing (RFC 5382 REQ-5: not under 4 minutes).
    pub tcp_transitory: Duration,
    /// ICMP queries (RFC 5508 REQ-2: not under 60 seconds).
    pub icmp: Duration,
    /// A session opened from outside, until the inside answers; one of a protocol without ports, until
    /// the outside does.
    pub unanswered: Duration,
    /// GRE once answered (`nf_conntrack_gre_timeout_stream`).
    pub gre: Duration,
    /// All other protocols without ports (`nf_conntrack_generic_timeout`).
    pub other: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            udp: Duration::from_secs(300),
            tcp_established: Duration::from_secs(7440),
            tcp_transitory: Duration::from_secs(240),
            icmp: Duration::from_secs(60),
            unanswered: Duration::from_secs(30),
            gre: Duration::from_secs(180),
            other: Duration::from_secs(600),
        }
    }
}

/// Bounds of tables and queues. What happens at each is said where the table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions of each protocol; of those without ports together, 4096 at most.
    pub sessions: u32,
    /// Sessions, and ports, of one inside host in each protocol, beside the share that is always
    /// kept free for others (see `nat::quota`).
    pub per_node: u32,
    /// Neighbours remembered on the uplink and on each leg; of more than eight legs each has an
    /// equal part of eight times as many, and an eighth of this at least.
    pub neighbours: usize,
    /// Bytes waiting for a neighbour's address, on the uplink and on each leg; of more than sixteen
    /// legs each has an equal part of sixteen times as many, and a quarter of this at least.
    pub neighbour_queue_bytes: usize,
    /// Fragmented datagrams followed at a time.
    pub fragment_flows: usize,
    /// Bytes of fragments held until their first one comes.
    pub fragment_bytes: usize,
    /// Unsolicited SYNs remembered for six seconds.
    pub pending_syns: usize,
    /// Published ports.
    pub published: usize,
    /// Session events kept until drained.
    pub events: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 65_536,
            per_node: u32::MAX,
            neighbours: 4096,
            neighbour_queue_bytes: 1 << 20,
            fragment_flows: 1024,
            fragment_bytes: 1 << 20,
            pending_syns: 256,
            published: 1024,
            events: 1024,
        }
    }
}

impl Config {
    /// The lab's own: 10.100.0.1/16 inside, 203.0.113.2/24 outside, next hop 203.0.113.1.
    #[must_use]
    pub fn simulated(lan_mac: MacAddr, uplink_mac: MacAddr) -> Self {
        Self {
            legs: vec![(LegId::FIRST, LegConfig::new(lan_mac, Ipv4Addr::new(10, 100, 0, 1), 16))],
            uplink: Some(Uplink {
                mac: uplink_mac,
                address: Some(UplinkAddress {
                    address: Ipv4Addr::new(203, 0, 113, 2),
                    prefix_len: 24,
                    next_hop: Some(Ipv4Addr::new(203, 0, 113, 1)),
                }),
                mtu: 1500,
                ports: 1..=65535,
                shared: false,
            }),
            nat: NatConfig::default(),
            limits: Limits::default(),
        }
    }
}
