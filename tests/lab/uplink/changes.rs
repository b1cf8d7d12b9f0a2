//! The host's address, routes and links change while a lab shares them.

use std::net::UdpSocket;
use std::time::Duration;

use super::host::{Talk, end, eventually, lab, on_a_host, sh};
use super::{hops, inside, is_silent, whole};
use crate::support::{Wire, in_netns};

#[test]
fn a_lease_renewed_is_no_change() {
    on_a_host(|sandbox| {
        let run = lab(sandbox, &["run", "--uplink", "auto"]);
        let talk = Talk::open(("net1", "server"), "8.8.8.8:7400");
        let port = talk.seen_as();
        for seconds in ["100", "200"] {
            let lifetime = format!("valid_lft {seconds} preferred_lft {seconds}");
            sh(sandbox, &format!("ip addr change 192.0.2.2/24 dev eth0 {lifetime}"));
            sh(sandbox, "ip route replace default via 192.0.2.1");
            talk.talk();
        }
        assert_eq!(talk.seen_as(), port);
        run.signal(nix::sys::signal::Signal::SIGINT);
        let ended = run.ended();
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "it has said something");
    });
}

#[test]
fn connections_survive_a_link_flap_and_a_route_that_comes_back() {
    on_a_host(|sandbox| {
        let run = lab(sandbox, &["run", "--uplink", "eth0"]);
        let talk = Talk::open(("net1", "server"), "8.8.8.8:7410");
        talk.talk();
        // The kernel takes the routes of a link that goes down, and a client puts them back.
        sh(sandbox, "ip link set eth0 down; ip link set eth0 up");
        let unreachable = "ping -c 1 -W 5 8.8.8.8 || true";
        eventually("the node is told", || {
            inside(sandbox, "net1", unreachable).contains("Net Unreachable")
        });
        sh(sandbox, "ip route add default via 192.0.2.1");
        talk.talk();
        // The same without a link that moves: another router of the same network.
        sh(sandbox, "ip -n isp addr add 192.0.2.9/24 dev isp0");
        sh(sandbox, "ip route replace default via 192.0.2.9");
        talk.talk();
        whole(("net2", "server"), "8.8.8.8:7411", 8 << 20);
        end(run);
    });
}

#[test]
fn a_new_address_forgets_the_sessions_and_is_kept_silent() {
    on_a_host(|sandbox| {
        let mut run = lab(sandbox, &["run", "--uplink", "eth0"]);
        let old = Talk::open(("net1", "server"), "8.8.8.8:7420");
        old.talk();
        assert!(is_silent("192.0.2.2:25000"));
        sh(sandbox, "ip addr flush dev eth0");
        run.wait_for_complaint("has no IPv4 address");
        run.wait_for_complaint("sessions forgotten");
        sh(sandbox, "ip addr add 192.0.2.7/24 dev eth0; ip route add default via 192.0.2.1");
        run.wait_for_complaint("192.0.2.7");
        // The route may come a moment after the address.
        let ping = "ip netns exec net1 ping -n -c 1 -W 1 8.8.8.8";
        sh(sandbox, &format!("timeout 60 sh -c 'until {ping}; do sleep 0.1; done'"));
        let new = Talk::open(("net1", "server"), "8.8.8.8:7421");
        new.talk();
        assert_eq!(new.seen_as().ip().to_string(), "192.0.2.7");
        assert!(is_silent("192.0.2.7:25000"));
        // An address beside it is the host's alone.
        sh(sandbox, "ip addr add 192.0.2.8/24 dev eth0");
        let beside = Talk::open(("server", "host"), "192.0.2.8:25000");
        beside.talk();
        new.talk();
        let text = super::topology();
        assert!(text.contains("192.0.2.7") && !text.contains("192.0.2.2,"), "{text}");
        end(run);
    });
}

#[test]
fn a_router_with_a_new_card_is_found() {
    on_a_host(|sandbox| {
        let run = lab(sandbox, &["run", "--uplink", "auto"]);
        let talk = Talk::open(("net1", "server"), "8.8.8.8:7415");
        talk.talk();
        // One that announces itself, and one that has forgotten the host and asks for it.
        sh(sandbox, "ip netns exec isp sysctl -qw net.ipv4.conf.isp0.arp_notify=1");
        sh(sandbox, "ip -n isp link set isp0 address 02:aa:00:00:00:01");
        talk.talk();
        sh(sandbox, "ip netns exec isp sysctl -qw net.ipv4.conf.isp0.arp_notify=0");
        sh(sandbox, "ip -n isp link set isp0 address 02:aa:00:00:00:02");
        sh(sandbox, "ip netns exec server ping -c 1 -W 5 192.0.2.2");
        talk.talk();
        end(run);
    });
}

/// A host's new hardware address, told to all by an answer that nobody has asked for (`arping -A`).
fn announce(netns: &str, interface: &str, address: [u8; 4]) {
    let mut wire = Wire::open(super::netns(netns), interface);
    let arp: [u8; 10] = [8, 6, 0, 1, 8, 0, 6, 4, 0, 2];
    let (all, own) = ([0xff; 6], wire.mac);
    wire.send(&[&all[..], &own, &arp, &own, &address, &all, &address, &[0; 18]].concat());
}

#[test]
fn a_new_card_that_an_answer_tells_of_is_found() {
    on_a_host(|sandbox| {
        let run = lab(sandbox, &["run", "--uplink", "auto"]);
        let reaches = || {
            inside(sandbox, "net1", "ping -c 1 -W 1 8.8.8.8 || true").contains(" 0% packet loss")
        };
        assert!(reaches());
        sh(sandbox, "ip -n isp link set isp0 address 02:aa:00:00:00:01");
        announce("isp", "isp0", [192, 0, 2, 1]);
        eventually("the router is found", reaches);

        sandbox.uswitch(&["publish", "20080:net2:80/udp"]).ok();
        let inner = in_netns(super::netns("net2"), || UdpSocket::bind("0.0.0.0:80").unwrap());
        inner.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let outer = in_netns(super::netns("server"), || UdpSocket::bind("0.0.0.0:0").unwrap());
        let arrives = || {
            outer.send_to(b"knock", "192.0.2.2:20080").unwrap();
            inner.recv(&mut [0; 8]).is_ok()
        };
        eventually("the published port", arrives);
        sh(sandbox, "ip -n net2 link set vethpeer2 address 02:aa:00:00:00:02");
        announce("net2", "vethpeer2", [10, 100, 0, 20]);
        // What was on its way to the old card.
        while inner.recv(&mut [0; 8]).is_ok() {}
        eventually("the node is found", arrives);
        end(run);
    });
}

#[test]
fn an_interface_that_vanishes_and_comes_back() {
    on_a_host(|sandbox| {
        let mut run = lab(sandbox, &["run", "--uplink", "eth0"]);
        let talk = Talk::open(("net1", "server"), "8.8.8.8:7430");
        talk.talk();
        sh(sandbox, "ip link del eth0");
        run.wait_for_complaint("no interface eth0");
        let told = inside(sandbox, "net1", "ping -c 1 -W 5 8.8.8.8 || true");
        assert!(told.contains("Net Unreachable"), "{told}");
        inside(sandbox, "net1", "ping -c 1 -W 5 10.100.0.20");
        let why = "there is no interface eth0";
        assert!(super::topology().contains(why), "{}", super::topology());
        let shown = sandbox.uswitch(&["show"]).ok().out;
        assert!(shown.contains(&format!("uplink   eth0, waited for: {why}")), "{shown}");
        let told = sandbox.uswitch(&["explain", "net1", "8.8.8.8"]);
        let part = format!("there is no way out: eth0 is waited for: {why}");
        assert!(told.code == Some(1) && told.out.contains(&part), "{}", told.out);
        sh(
            sandbox,
            "ip link add eth0 type veth peer name isp0 netns isp
             ip -n isp addr add 192.0.2.1/24 dev isp0; ip -n isp link set isp0 up
             ip addr add 192.0.2.2/24 dev eth0; ip link set eth0 up
             ip route add default via 192.0.2.1",
        );
        run.wait_for_complaint("the address is 192.0.2.2 now");
        eventually("the way out is back", || {
            inside(sandbox, "net1", "ping -c 1 -W 1 8.8.8.8 || true").contains(" 0% packet loss")
        });
        assert!(!sandbox.uswitch(&["show"]).ok().out.contains("waited for"));
        whole(("net1", "server"), "8.8.8.8:7431", 8 << 20);
        assert!(is_silent("192.0.2.2:25000"));
        end(run);
    });
}

#[test]
fn auto_goes_where_the_default_route_goes() {
    on_a_host(|sandbox| {
        sh(
            sandbox,
            "ip link add wlan0 type veth peer name core2 netns core
             ip -n core addr add 203.0.113.1/24 dev core2; ip -n core link set core2 up
             ip addr add 203.0.113.2/24 dev wlan0; ip link set wlan0 up
             ip route add default via 203.0.113.1 metric 600",
        );
        let mut run = lab(sandbox, &["run", "--uplink", "auto"]);
        let trace = "traceroute -n -q 3 -w 5 -N 1 8.8.8.8";
        let first = hops(&inside(sandbox, "net1", trace));
        assert_eq!(first, ["10.100.0.1", "192.0.2.1", "198.51.100.2", "8.8.8.8"]);
        sh(sandbox, "ip route del default via 192.0.2.1");
        run.wait_for_complaint("the address is 203.0.113.2 now");
        let second = hops(&inside(sandbox, "net1", trace));
        assert_eq!(second, ["10.100.0.1", "203.0.113.1", "8.8.8.8"]);
        assert!(is_silent("203.0.113.2:25000"));
        sh(sandbox, "ip route add default via 192.0.2.1");
        run.wait_for_complaint("the address is 192.0.2.2 now");
        whole(("net1", "server"), "8.8.8.8:7440", 8 << 20);
        end(run);
    });
}

#[test]
fn link_local_addresses_are_reached_where_the_host_has_a_route_to_them() {
    on_a_host(|sandbox| {
        // One on the link, as a cloud's metadata service, and one behind the router.
        sh(
            sandbox,
            "ip -n isp addr add 169.254.169.254/32 dev isp0
             ip -n server addr add 169.254.7.7/32 dev lo
             ip -n isp route add 169.254.7.7 via 198.51.100.2
             ip -n core route add 169.254.7.7 via 198.51.100.6",
        );
        let run = lab(sandbox, &["run", "--uplink", "auto"]);
        let told = |to: &str| inside(sandbox, "net1", &format!("ping -c 1 -W 1 {to} || true"));
        let both = ["169.254.169.254", "169.254.7.7"];
        for to in both {
            let told = told(to);
            assert!(told.contains("Net Unreachable"), "{told}");
        }
        sh(
            sandbox,
            "ip route add 169.254.169.254 dev eth0; ip route add 169.254.7.7 via 192.0.2.1",
        );
        for to in both {
            eventually(to, || told(to).contains(" 0% packet loss"));
        }
        assert!(told("169.254.9.9").contains("Net Unreachable"), "no other");
        let routes = sandbox.uswitch(&["show", "routes"]).ok().out;
        assert!(both.iter().all(|to| routes.contains(&format!("{to}/32"))), "{routes}");
        // A route that refuses it, before one that would lead there.
        sh(
            sandbox,
            "ip route add 169.254.0.0/16 dev eth0; ip route replace unreachable 169.254.169.254",
        );
        for (to, word) in
            [("169.254.169.254", "Net Unreachable"), ("169.254.9.9", "Host Unreachable")]
        {
            eventually(to, || told(to).contains(word));
        }
        end(run);
    });
}
