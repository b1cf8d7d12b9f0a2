//! The simulated internet, behind the gateway's uplink.

use ns::plan::LOOPBACK;
use ns::{NsId, Plan};

use crate::address;

/// The simulated internet: it answers, has no route to the LAN, and is of IPv4 alone.
pub(super) fn furnish(plan: &mut Plan, inet: NsId, peer: u32) {
    plan.sysctl(inet, "ipv6/conf/all/disable_ipv6", "1");
    plan.up(inet, LOOPBACK);
    plan.up(inet, peer);
    plan.address(inet, peer, address::SIM_ROUTER, address::SIM_PREFIX);
    for host in address::SIM_HOSTS {
        plan.address(inet, LOOPBACK, host, 32);
    }
}
