//! What breaks: a speaker, its table, a lab.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::speakers::Speakers;
use super::{AT_WEB, WEB, bgp, flood, row, web};
use crate::door::until;

fn state(bgp: &Speakers<'_>, host: usize) -> String {
    bgp.world.json(host, &["show", "hosts"])[0]["state"].as_str().unwrap().to_owned()
}

#[test]
fn a_speaker_that_dies_leaves_what_is_known_and_is_told_again() {
    bgp(2, |bgp| {
        [1, 2].iter().for_each(|host| bgp.start(*host));
        let [mut one, two] = [1, 2].map(|host| bgp.lab(host));
        let all = [flood(2), row(2)];
        until("all are there", || (bgp.world.rows(&one) == all).then_some(()));
        let monitor = bgp.world.monitor(1);

        bgp.signal(1, Signal::SIGKILL);
        until("it knows that it is alone", || (state(bgp, 1) == "alone").then_some(()));
        let shown = bgp.world.uswitch(1, &["show", "hosts"]).ok().out;
        assert!(shown.contains("gobgpd has not answered for"), "{shown}");
        until("it was told", || monitor.out().contains("registry_alone").then_some(()));
        one.wait_for_complaint("gobgpd does not answer: 127.0.0.1:50051:");
        // Its neighbour takes it for gone. Here all is as it was, and a node may come.
        until("host 2 takes it for gone", || bgp.world.rows(&two).is_empty().then_some(()));
        bgp.world.uswitch(1, &AT_WEB).ok();
        assert_eq!(bgp.world.rows(&one), all);

        bgp.start(1);
        let begun = Instant::now();
        until("it answers again", || (state(bgp, 1) == "joined").then_some(()));
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        until("it was told", || monitor.out().contains("registry_back").then_some(()));
        until("host 2 knows all of it again", || {
            // Nothing is let go of before the speaker has heard of it.
            assert_eq!(bgp.world.rows(&one), all);
            (bgp.world.rows(&two) == [flood(1), row(1), web(1)]).then_some(())
        });
        assert!(bgp.world.pings(1, "n1", "10.100.1.2"));
        assert!(bgp.world.pings(2, "n2", "10.100.7.7"));

        // One that is stopped in order takes back what its neighbours have said. That says nothing of them.
        bgp.signal(1, Signal::SIGTERM);
        until("it is alone", || (state(bgp, 1) == "alone").then_some(()));
        assert_eq!(bgp.world.rows(&one), all);
        bgp.start(1);
        until("it is back", || (state(bgp, 1) == "joined").then_some(()));
        until("host 2 knows all of it again", || {
            assert_eq!(bgp.world.rows(&one), all);
            (bgp.world.rows(&two).len() == 3).then_some(())
        });

        // One that hangs is known by its silence.
        bgp.signal(1, Signal::SIGSTOP);
        until("it is alone", || (state(bgp, 1) == "alone").then_some(()));
        bgp.signal(1, Signal::SIGCONT);
        until("it is back", || (state(bgp, 1) == "joined").then_some(()));
        monitor.signal(Signal::SIGINT);
        monitor.ended();
        until("both know each other", || {
            (bgp.world.rows(&one) == all && bgp.world.rows(&two).len() == 3).then_some(())
        });
    });
}

#[test]
fn what_is_taken_away_behind_our_back_is_said_again_and_what_a_killed_lab_left_is_taken_over() {
    bgp(2, |bgp| {
        [1, 2].iter().for_each(|host| bgp.start(*host));
        let [one, two] = [1, 2].map(|host| bgp.lab(host));
        bgp.world.uswitch(1, &AT_WEB).ok();
        let all = [flood(1), row(1), web(1)];
        until("host 2 knows all", || (bgp.world.rows(&two) == all).then_some(()));
        bgp.gobgp(1, "global rib del all -a evpn");
        until("it is said again", || (bgp.said(1, 1).len() == 2).then_some(()));
        until("host 2 knows all", || (bgp.world.rows(&two) == all).then_some(()));
        // A row of the kernel's is set again.
        let gone = ["fdb", "del", &row(2).0, "dev", "vxlan100", "dst", "10.9.0.2", "self"];
        bgp.world.bridge(&one, &gone);
        until("it is repaired", || bgp.world.rows(&one).contains(&row(2)).then_some(()));

        one.signal(Signal::SIGKILL);
        one.ended();
        bgp.world.uswitch(1, &["down"]).ok();
        assert!(bgp.said(1, 1).contains_key(WEB), "a speaker keeps what it was told");
        let _one = bgp.lab(1);
        until("what has no node any more is taken back", || {
            (bgp.world.rows(&two) == [flood(1), row(1)]).then_some(())
        });
        until("host 2 is reached", || bgp.world.pings(1, "n1", "10.100.1.2").then_some(()));
    });
}
