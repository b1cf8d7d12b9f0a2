//! The addresses of the simulated internet, which no network of a lab may have.

use std::net::Ipv4Addr;

/// Its router.
pub const SIM_ROUTER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// The gateway's address in it.
pub const SIM_GATEWAY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);
/// Its prefix length.
pub const SIM_PREFIX: u8 = 24;
/// Who answers in it.
pub const SIM_HOSTS: [Ipv4Addr; 4] = [
    Ipv4Addr::new(8, 8, 8, 8),
    Ipv4Addr::new(1, 1, 1, 1),
    Ipv4Addr::new(8, 8, 4, 4),
    Ipv4Addr::new(9, 9, 9, 9),
];
