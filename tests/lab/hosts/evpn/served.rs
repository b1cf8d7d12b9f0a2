//! `serve` whose network joins hosts that BGP tells of.

use super::super::served::{MAC, Served};
use super::{Speakers, bgp};
use crate::door::until;

#[test]
fn a_container_is_on_the_network_of_hosts_that_bgp_tells_of() {
    bgp(2, |bgp| {
        [1, 2].iter().for_each(|host| bgp.start(*host));
        let one = bgp.lab(1);
        let served = Served::start(&bgp.world, &[]);
        // A speaker that is not there: no network, and a line says why.
        let said = served.network("bgp://127.0.0.1:1/prod?vni=100");
        assert!(said.contains("Err") && said.contains("gobgpd does not answer"), "{said}");
        assert_eq!(served.network(Speakers::url()), "{}");
        served.container();
        until("the container reaches host 1", || served.pings("10.100.1.1").then_some(()));
        let own = (MAC.to_owned(), "10.9.0.2".to_owned());
        until("host 1 has its row", || bgp.world.rows(&one).contains(&own).then_some(()));
        assert_eq!(bgp.said(2, 2).len(), 1);
        served.end();
        until("nothing of host 2 is left", || bgp.world.rows(&one).is_empty().then_some(()));
        assert!(bgp.said(2, 2).is_empty());
        drop(one);
    });
}

#[test]
fn packets_that_a_tunnel_does_not_carry_are_refused_before_anything_is_said() {
    bgp(1, |bgp| {
        bgp.start(1);
        let before = bgp.world.sandbox.state();
        let ended = bgp.try_run(1, Speakers::url(), &["--vtep", "10.9.0.1", "--mtu", "1480"]);
        let says = "packets of 1480 bytes, and a tunnel from 10.9.0.1 carries 1450: say MTU 1450";
        assert!(ended.complaint(2).contains(says), "{}", ended.err);
        assert_eq!(bgp.world.sandbox.state(), before);
        assert_eq!(bgp.gobgp(1, "global rib -a evpn").trim(), "Network not in table");
        let _one = bgp.lab(1);
        assert_eq!(bgp.world.json(1, &["network", "ls"])[0]["mtu"], 1450);
    });
}
