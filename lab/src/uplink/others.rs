//! Tunnels that the host has itself by the uplink's address: what comes from their remote ends is the
//! host's, and no node speaks with these by the same protocol. Followed with the links of the host.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use gateway::IpProtocol;
use ns::route::View;

use crate::lab::Lab;

/// By what, and with whom; with anybody where no remote is named.
type Others = BTreeSet<(IpProtocol, Option<Ipv4Addr>)>;

/// What the host's tunnels speak that are up and may begin at this address.
fn of(view: &View, own: Ipv4Addr) -> Others {
    let up = view.tunnels.iter().filter(|tunnel| tunnel.up);
    let here = up.filter(|tunnel| tunnel.local.is_none_or(|local| local == own));
    here.flat_map(|tunnel| {
        let remote = tunnel.remote;
        tunnel.protocols.iter().map(move |number| (IpProtocol(*number), remote))
    })
    .collect()
}

/// Has the gateway leave them to the host.
pub(super) fn leave(lab: &Lab, view: &View, own: Ipv4Addr) {
    lab.with_gateway(|gateway| gateway.leave_to_host(of(view, own)));
}

#[cfg(test)]
mod tests {
    use ns::tunnel::Tunnel;

    use super::*;

    #[test]
    fn tunnels_that_are_up_and_begin_at_the_address_count() {
        let own = Ipv4Addr::new(192, 0, 2, 2);
        let remote = Some(Ipv4Addr::new(8, 8, 8, 8));
        let tunnel = |up, protocols: &[u8], local, remote| Tunnel {
            up,
            protocols: protocols.to_vec(),
            local,
            remote,
        };
        let view = View {
            tunnels: vec![
                tunnel(true, &[47], Some(own), remote),
                tunnel(true, &[41, 4], None, None),
                // As the kernel makes them by itself, and one by another address.
                tunnel(false, &[47], None, None),
                tunnel(true, &[50], Some(Ipv4Addr::new(192, 0, 2, 3)), remote),
            ],
            ..View::default()
        };
        let wanted = [(47, remote), (41, None), (4, None)];
        let wanted: Others = wanted.map(|(number, to)| (IpProtocol(number), to)).into();
        assert_eq!(of(&view, own), wanted);
    }
}
