//! A watch that tells nothing any more, though nobody has closed it.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::world::World;
use super::{flood, hosts, mac, row};
use crate::door::until;
use crate::support::Process;

/// What other programs on the machine may take of the time.
const BUSY: Duration = Duration::from_secs(4);

fn rows_become(
    world: &World<'_>,
    lab: &Process,
    rows: &[(String, String)],
    limit: u64,
    what: &str,
) {
    let begun = Instant::now();
    until(what, || (world.rows(lab) == rows).then_some(()));
    println!("{what}: {:.1} s", begun.elapsed().as_secs_f64());
    assert!(begun.elapsed() < Duration::from_secs(limit) + BUSY, "{what}: {:?}", begun.elapsed());
}

/// The local ports of host 1's lab's connections to members that are there for two looks: a watch's alone.
fn watches(world: &World<'_>, lab: &Process) -> Vec<String> {
    let own = format!("pid={},", lab.pid());
    let look = || -> Vec<String> {
        let args = ["-Htnp", "state", "established", "dport", "=", ":2379"];
        let said = world.on(1, "ss", &args).ended().out;
        let local =
            |line: &str| Some(line.split_whitespace().nth(2)?.rsplit(':').next()?.to_owned());
        said.lines().filter(|line| line.contains(&own)).filter_map(local).collect()
    };
    let before = look();
    std::thread::sleep(Duration::from_millis(700));
    look().into_iter().filter(|port| before.contains(port)).collect()
}

#[test]
fn a_watch_whose_packets_are_lost_is_opened_anew() {
    hosts(|world| {
        let [one, two, _three] = [1, 2, 3].map(|host| world.lab(host));
        let all = [flood(2), flood(3), row(2), row(3)];
        until("all are there", || (world.rows(&one) == all).then_some(()));
        // On the way back something has forgotten that one flow, as a NAT or a firewall does.
        let nft = |line: &str| {
            world.on(1, "nft", &line.split(' ').collect::<Vec<_>>()).ended().ok();
        };
        nft("add table ip t");
        nft("add chain ip t in { type filter hook input priority 0 ; }");
        let ports = watches(world, &one);
        assert_eq!(ports.len(), 1, "{ports:?}");
        for port in ports {
            nft(&format!("add rule ip t in tcp sport 2379 tcp dport {port} drop"));
        }
        two.signal(Signal::SIGKILL);
        rows_become(world, &one, &[flood(3), row(3)], 7, "host 2 is gone");
        two.ended();
        world.uswitch(3, &["add", "y", "--address", "10.100.1.4"]).ok();
        let more = [flood(3), row(3), (mac(4), "10.9.0.3".to_owned())];
        rows_become(world, &one, &more, 3, "a node that came");
    });
}

/// Whoever meets it first, be it a claim or the lease.
#[test]
fn a_watch_at_a_member_that_is_frozen_is_opened_at_another() {
    hosts(|world| {
        let [one, _two, three] = [1, 2, 3].map(|host| world.lab(host));
        let all = [flood(2), flood(3), row(2), row(3)];
        until("all are there", || (world.rows(&one) == all).then_some(()));
        // Host 1 asks the member beside it first. One that follows, so that the others need no new leader.
        while world.leader() == 1 {
            world.signal_member(1, Signal::SIGSTOP);
            std::thread::sleep(Duration::from_secs(3));
            world.signal_member(1, Signal::SIGCONT);
            std::thread::sleep(Duration::from_secs(1));
        }
        until("all are there again", || (world.rows(&one) == all).then_some(()));
        for last in 11..14 {
            let name = format!("x{last}");
            world.uswitch(1, &["add", &name, "--address", &format!("10.100.1.{last}")]).ok();
        }
        until("host 3 has heard", || (world.rows(&three).len() == 7).then_some(()));
        world.signal_member(1, Signal::SIGSTOP);
        for last in 11..14 {
            // What is given up meets the member before the lease does.
            world.uswitch(1, &["remove", &format!("x{last}")]).ok();
        }
        until("it is known elsewhere", || (world.rows(&three).len() == 4).then_some(()));
        world.uswitch(3, &["add", "y", "--address", "10.100.1.4"]).ok();
        let mut more = [&all[..], &[(mac(4), "10.9.0.3".to_owned())]].concat();
        more.sort();
        rows_become(world, &one, &more, 7, "a node that came");
        world.signal_member(1, Signal::SIGCONT);
    });
}
