//! What the fuzz target begins with is read as what it is: routes as GoBGP tells them, its own and FRR's.

use std::net::Ipv4Addr;

use overlay::evpn::{Heard, Of, Site, Table};
use wire::MacAddr;

/// The messages of a seed, each behind its length.
fn routes(mut bytes: &[u8]) -> Vec<Heard> {
    let mut all = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let (message, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
        all.push(uswitch_evpn::routes::read(message).expect("a route"));
        bytes = rest;
    }
    all
}

#[test]
fn routes_of_a_move_and_of_frr_are_read() {
    let site = Site::usual(100, Ipv4Addr::new(10, 9, 0, 9), 65000);
    let mut table = Table::new(site.vtep);
    let moves = routes(include_bytes!("../../fuzz/seeds/evpn_paths/moves"));
    let frr = routes(include_bytes!("../../fuzz/seeds/evpn_paths/frr"));
    assert_eq!((moves.len(), frr.len()), (4, 2));
    let far = MacAddr([2, 0xf0, 0, 0, 0, 3]);
    assert_eq!(frr[1].key.of, Of::Mac(far, None), "an address of <nil> is none");
    for Heard { key, says } in moves.into_iter().chain(frr) {
        match says {
            Some(says) => {
                assert!(site.takes(&says), "{says:?}");
                table.hear(key, says.route);
            }
            None => table.forget(&key),
        }
    }
    let end = |host| Some(Ipv4Addr::new(10, 9, 0, host).into());
    assert_eq!(table.whereabouts(MacAddr([2, 0, 10, 100, 1, 1])), end(2));
    assert_eq!(table.whereabouts(far), end(3));
    assert_eq!(table.floods().len(), 2);
}
