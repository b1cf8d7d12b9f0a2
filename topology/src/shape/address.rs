//! Which node of a shape gets which address. Pure.
//!
//! The first 25 nodes have the walkthrough's: 10.100.0.10, .20, … .250. Beyond, with k = I - 26,
//! node I has 10.100.(1 + k/254).(1 + k%254): the pool 10.100.0.0/16 ends with node 64,795.

use std::net::Ipv4Addr;

use wire::MacAddr;

#[cfg(test)]
mod tests;

/// The LAN's prefix length.
pub const PREFIX: u8 = 16;
/// The gateway.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 100, 0, 1);
/// The last node the pool has an address for.
pub const LAST: u32 = 25 + 255 * 254;
/// The LAN's network.
pub const NETWORK: Ipv4Addr = Ipv4Addr::new(10, 100, 0, 0);

/// Subnets of four addresses the pool has for a mesh's pairs.
pub const MESH_SUBNETS: u32 = 1 << 14;
/// The largest mesh those are enough for: 181 * 180 / 2 = 16,290.
pub const LARGEST_MESH: u32 = 181;

/// Node `number`'s address, from 1; None beyond the pool.
#[must_use]
pub fn of_node(number: u32) -> Option<Ipv4Addr> {
    let host = match number {
        0 => return None,
        1..=25 => 10 * number,
        _ => {
            let k = number - 26;
            (1 + k / 254) << 8 | (1 + k % 254)
        }
    };
    (number <= LAST).then(|| Ipv4Addr::from(NETWORK.to_bits() | host))
}

/// Whether a host of the LAN can have this address: in its network, and neither that nor the
/// broadcast.
#[must_use]
pub fn is_host(address: Ipv4Addr) -> bool {
    let host = address.to_bits() ^ NETWORK.to_bits();
    (1..0xffff).contains(&host)
}

/// The two addresses of pair `number` of a mesh, from 0, in a subnet of prefix length 30.
#[must_use]
pub fn of_pair(number: u32) -> Option<[Ipv4Addr; 2]> {
    let subnet = NETWORK.to_bits() | number << 2;
    (number < MESH_SUBNETS).then(|| [Ipv4Addr::from(subnet | 1), Ipv4Addr::from(subnet | 2)])
}

/// The hardware address that goes with an address: locally administered, and readable.
#[must_use]
pub fn mac(address: Ipv4Addr) -> MacAddr {
    let [a, b, c, d] = address.octets();
    MacAddr([2, 0, a, b, c, d])
}
