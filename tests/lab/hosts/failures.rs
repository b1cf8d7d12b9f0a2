//! What breaks: a host, a leader, a cable, all of etcd, a row behind our back.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{flood, hosts, mac, row};
use crate::door::until;

/// What other programs on the machine may take of the time.
const BUSY: Duration = Duration::from_secs(4);

/// Waits for `look`, and holds it to a limit.
fn within(limit: u64, what: &str, look: impl FnMut() -> Option<()>) {
    let begun = Instant::now();
    until(what, look);
    println!("{what}: {:.1} s", begun.elapsed().as_secs_f64());
    assert!(begun.elapsed() <= Duration::from_secs(limit) + BUSY, "{what}: {:?}", begun.elapsed());
}

#[test]
fn a_host_that_dies_or_freezes_is_gone_in_time_and_the_others_lose_no_ping() {
    hosts(|world| {
        let [one, two, three] = [1, 2, 3].map(|host| world.lab(host));
        let all = [flood(2), flood(3), row(2), row(3)];
        let left = [flood(3), row(3)];
        until("all are there", || (world.rows(&one) == all).then_some(()));
        until("host 3 is reached", || world.pings(1, "n1", "10.100.1.3").then_some(()));
        let ping = world.start_ping(1, "n1", "10.100.1.3");

        two.signal(Signal::SIGKILL);
        within(7, "killed", || (world.rows(&one) == left).then_some(()));
        two.ended();
        world.uswitch(2, &["down"]).ok();
        let two = world.lab(2);
        until("it is back", || (world.rows(&one) == all).then_some(()));

        two.signal(Signal::SIGSTOP);
        within(7, "frozen", || (world.rows(&one) == left).then_some(()));
        two.signal(Signal::SIGCONT);
        until("it has thawed", || (world.rows(&one) == all).then_some(()));
        until("its node is reached", || world.pings(1, "n1", "10.100.1.2").then_some(()));
        assert_eq!(world.json(2, &["show", "hosts"])[0]["leases_lost"], 1);

        let leader = world.leader();
        two.signal(Signal::SIGKILL);
        world.signal_member(leader, Signal::SIGKILL);
        within(13, "killed with etcd's leader", || (world.rows(&one) == left).then_some(()));
        two.ended();
        until("a claim is made without that member", || {
            (world.uswitch(1, &["add", "late"]).code == Some(0)).then_some(())
        });
        ping.signal(Signal::SIGINT);
        let said = ping.ended().out;
        assert!(said.contains(" 0% packet loss"), "{said}");
        drop(three);
    });
}

#[test]
fn a_minority_goes_on_by_what_it_knows_and_is_told_of_conflicts_when_it_is_back() {
    hosts(|world| {
        let [one, _two, three] = [1, 2, 3].map(|host| world.lab(host));
        world.uswitch(3, &["add", "m3", "--address", "10.100.1.33"]).ok();
        until("all are there", || (world.rows(&one).len() == 5).then_some(()));
        let before = world.rows(&three);

        world.set_cable(3, false);
        until("host 3 knows that it is alone", || {
            (world.json(3, &["show", "hosts"])[0]["state"] == "alone").then_some(())
        });
        let begun = Instant::now();
        let ended = world.uswitch(3, &["add", "more"]);
        let took = begun.elapsed();
        let says = "network prod: node more cannot be claimed, for etcd does not answer";
        assert!(ended.complaint(1).contains(says), "{}", ended.err);
        assert!(took < Duration::from_secs(3) + BUSY, "{took:?}");
        // Nothing is forgotten, though its lease runs out; its own nodes reach each other.
        until("host 1 takes it for gone", || (world.rows(&one).len() == 2).then_some(()));
        assert_eq!(world.rows(&three), before);
        assert!(world.pings(3, "n3", "10.100.1.33"));
        // What it had is free meanwhile.
        world.uswitch(1, &["add", "n3", "--address", "10.100.1.3"]).ok();

        world.set_cable(3, true);
        until("host 3 is back", || {
            let hosts = world.json(3, &["show", "hosts"]);
            let told = hosts[0]["cut_off"]["n3"].as_str();
            told.is_some_and(|why| why == "node n3 is on host h1").then_some(())
        });
        let moved = (mac(3), "10.9.0.1".to_owned());
        until("its rows are those of the registry", || {
            let rows = world.rows(&three);
            (rows.len() == 5 && rows.contains(&moved)).then_some(())
        });
        until("its other node is reached", || world.pings(1, "n1", "10.100.1.33").then_some(()));
        assert!(!world.pings(3, "n3", "10.100.1.1"), "n3 of host 3 is to be cut off");
        // Both have that address, and each host's nodes reach their own host's.
        until("m3 reaches n3 of its host", || world.pings(3, "m3", "10.100.1.3").then_some(()));
        assert!(world.pings(3, "n3", "10.100.1.33"), "n3 is to reach m3");
        world.uswitch(1, &["remove", "n3"]).ok();
        until("n3 of host 3 has its own again", || {
            world.json(3, &["show", "hosts"])[0].get("cut_off").is_none().then_some(())
        });
        until("n3 reaches the others", || world.pings(3, "n3", "10.100.1.1").then_some(()));
    });
}

#[test]
fn all_goes_on_while_etcd_is_gone_and_is_settled_when_it_is_back() {
    hosts(|world| {
        let [one, two, _three] = [1, 2, 3].map(|host| world.lab(host));
        until("all are there", || (world.rows(&one).len() == 4).then_some(()));
        let mut monitor = world.monitor(1);
        let before = [world.rows(&one), world.rows(&two)];
        (1..=3).for_each(|host| world.signal_member(host, Signal::SIGKILL));
        for host in [1, 2] {
            until("it is told", || {
                (world.json(host, &["show", "hosts"])[0]["state"] == "alone").then_some(())
            });
        }
        monitor.wait_for("\"registry_alone\"");
        // Longer than any lease.
        until("its time is up", || {
            let alone = world.json(1, &["show", "hosts"])[0]["alone"].as_u64();
            alone.is_some_and(|seconds| seconds > 6).then_some(())
        });
        assert_eq!([world.rows(&one), world.rows(&two)], before);
        assert!(world.pings(1, "n1", "10.100.1.2"));
        // Rows are looked after all the same.
        world.bridge(&one, &["fdb", "del", &mac(2), "dev", "vxlan100", "dst", "10.9.0.2"]);
        within(31, "repaired", || (world.rows(&one) == before[0]).then_some(()));
        assert_eq!(world.json(1, &["show", "hosts"])[0]["state"], "alone");
        // A node that goes meanwhile is given up when etcd is back.
        world.uswitch(2, &["remove", "n2"]).ok();
        (1..=3).for_each(|host| world.start_member(host, "existing"));
        monitor.wait_for("\"registry_back\"");
        until("host 1 has no row for it", || {
            (world.rows(&one) == [flood(2), flood(3), row(3)]).then_some(())
        });
        until("its name is free", || {
            let add = ["add", "n2", "--address", "10.100.1.2"];
            (world.uswitch(1, &add).code == Some(0)).then_some(())
        });
        until("it is reached where it is now", || world.pings(3, "n3", "10.100.1.2").then_some(()));
        monitor.signal(Signal::SIGINT);
        monitor.ended();
    });
}

/// What was put back from nothing, or from a copy, counts its changes anew.
#[test]
fn an_etcd_that_has_forgotten_all_is_told_all() {
    hosts(|world| {
        let [one, two] = [1, 2].map(|host| world.lab(host));
        // Ahead of whatever the new one will count to.
        for _ in 0..100 {
            world.ask(1, "kv/put", r#"{"key":"YQ==","value":"YQ=="}"#);
        }
        let all = [flood(2), row(2)];
        until("both are there", || (world.rows(&one) == all).then_some(()));
        (1..=3).for_each(|host| world.signal_member(host, Signal::SIGKILL));
        (1..=3).for_each(|host| world.forget(host));
        (1..=3).for_each(|host| world.start_member(host, "new"));
        (1..=3).for_each(|host| world.member_answers(host));
        let three = world.lab(3);
        until("the new one is known", || {
            (world.rows(&one) == [flood(2), flood(3), row(2), row(3)]).then_some(())
        });
        until("it knows the others", || (world.rows(&three).len() == 4).then_some(()));
        until("they are reached", || world.pings(3, "n3", "10.100.1.1").then_some(()));
        drop(two);
    });
}

#[test]
fn rows_that_vanish_are_set_again_and_told() {
    hosts(|world| {
        let [one, two, _three] = [1, 2, 3].map(|host| world.lab(host));
        let all = [flood(2), flood(3), row(2), row(3)];
        until("all are there", || (world.rows(&one) == all).then_some(()));
        let mut monitor = world.monitor(1);
        let gone = mac(2);
        world.bridge(&one, &["fdb", "del", &gone, "dev", "vxlan100", "dst", "10.9.0.2"]);
        let zero = "00:00:00:00:00:00";
        world.bridge(&one, &["fdb", "del", zero, "dev", "vxlan100", "dst", "10.9.0.3"]);
        world.bridge(
            &one,
            &["fdb", "add", "02:00:00:00:00:99", "dev", "vxlan100", "dst", "10.9.0.3"],
        );
        within(31, "repaired", || (world.rows(&one) == all).then_some(()));
        monitor.wait_for("\"rows_repaired\"");
        assert_eq!(world.json(1, &["show", "hosts"])[0]["repairs"], 3);
        // What happens while nobody looks is caught up with.
        one.signal(Signal::SIGSTOP);
        two.signal(Signal::SIGTERM);
        assert_eq!(two.ended().code, Some(0));
        one.signal(Signal::SIGCONT);
        until("host 2 is gone", || (world.rows(&one) == [flood(3), row(3)]).then_some(()));
        monitor.signal(Signal::SIGINT);
        monitor.ended();
    });
}
