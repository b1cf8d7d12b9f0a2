//! Real namespaces, each test in a mount and network namespace of its own, so that nothing of it is
//! seen on the host. Needs root: without it each test says that it could not run, and
//! `USWITCH_REQUIRE_ROOT=1` makes that a failure.

#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use ns::namespace::{Removal, remove};
use ns::nft::{Ask, Key, Remote, Table};
use ns::plan::VethOptions;
use ns::{Applied, Directory, Error, Identity, NsId, Observer, Plan};
use uswitch_ns as ns;

#[path = "real/routes.rs"]
mod routes;
#[path = "../../tests/support/skip.rs"]
mod skip;

/// Runs the test on a thread with its own `/run` and network; false when that is not allowed.
fn alone(test: impl FnOnce() + Send) {
    let none = None::<&str>;
    let ran = std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            if unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).is_err() {
                return false;
            }
            mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
            mount(Some("none"), "/run", Some("tmpfs"), MsFlags::empty(), none).unwrap();
            test();
            true
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    if !ran {
        skip::skip("this test needs root");
    }
}

#[derive(Default)]
struct Notes {
    identities: Vec<Identity>,
    stop_after: Option<usize>,
    full: bool,
}

impl Observer for Notes {
    fn recording(&mut self, identity: &Identity) -> io::Result<()> {
        let seen = std::fs::symlink_metadata(&identity.path).map(|m| m.ino());
        assert_ne!(seen.ok(), Some(identity.file), "told before anything of ours can be seen");
        self.identities.push(identity.clone());
        if self.full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn progress(&mut self, done: usize, _total: usize) -> bool {
        self.stop_after != Some(done)
    }
}

fn two_nodes() -> (Plan, [NsId; 3]) {
    let mut plan = Plan::new();
    let (hub, one, two) = (plan.anonymous(), plan.named("net1"), plan.named("net2"));
    plan.sysctl(hub, "ipv6/conf/all/disable_ipv6", "1");
    for (i, node) in [one, two].into_iter().enumerate() {
        let last = u8::try_from(10 * (i + 1)).unwrap();
        let names = (format!("veth{}", i + 1), format!("vethpeer{}", i + 1));
        let options =
            VethOptions { mac_b: Some([2, 0, 10, 100, 0, last]), ..VethOptions::default() };
        let (port, peer) = plan.veth((hub, &names.0), (node, &names.1), options);
        plan.up(hub, port);
        plan.up(node, 1);
        plan.up(node, peer);
        plan.address(node, peer, Ipv4Addr::new(10, 100, 0, last), 16);
        plan.route(node, None, Ipv4Addr::new(10, 100, 0, 1), peer);
    }
    (plan, [hub, one, two])
}

fn build(plan: &Plan, notes: &mut Notes) -> ns::Result<Applied> {
    ns::apply(plan, &Directory::system()?, &[], notes)
}

fn names() -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir("/run/netns")
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_plan_builds_what_it_says_and_takes_it_away_again() {
    alone(|| {
        let (plan, [hub, one, _]) = two_nodes();
        let mut applied = build(&plan, &mut Notes::default()).unwrap();
        assert_eq!(names(), ["net1", "net2"]);
        let hub = applied.take(hub).unwrap();
        let ports = ns::link::list(hub.as_fd()).unwrap();
        let seen: Vec<_> = ports.iter().map(|l| (l.index, l.name.as_str(), l.carrier)).collect();
        assert_eq!(seen, [(1, "lo", false), (2, "veth1", true), (3, "veth2", true)]);
        assert!(ports[1..].iter().all(|link| link.running), "what is built works: {ports:?}");
        let one = applied.take(one).unwrap();
        let links = ns::link::list(one.as_fd()).unwrap();
        let peer = links.iter().find(|l| l.name == "vethpeer1").unwrap();
        assert_eq!(peer.mac, Some([2, 0, 10, 100, 0, 10]));
        assert!(links.iter().all(|l| l.up));
        let (route, arp) = sys::netns::inside(one.as_fd(), || {
            Ok((
                std::fs::read_to_string("/proc/thread-self/net/route")?,
                std::fs::read_to_string("/proc/thread-self/net/fib_trie")?,
            ))
        })
        .unwrap();
        assert!(route.contains("vethpeer1\t00000000\t0100640A"), "{route}");
        assert!(arp.contains("10.100.0.10"), "{arp}");
        drop((one, applied));
        assert!(names().is_empty());
    });
}

/// What `ethtool` says is on of an interface's segments and checksums.
fn offloads(netns: &ns::Namespace, interface: &str) -> Vec<String> {
    let said = sys::netns::inside(netns.as_fd(), || {
        std::process::Command::new("ethtool").args(["-k", interface]).output()
    });
    let said = String::from_utf8(said.unwrap().stdout).unwrap();
    let on = said.lines().filter_map(|line| line.trim().strip_suffix(": on"));
    let of_ours = |name: &&str| {
        name.starts_with("tx-gso-")
            || name.starts_with("tx-checksum-")
            || name.starts_with("tx-") && name.ends_with("-segmentation")
    };
    on.filter(of_ours).map(str::to_owned).collect()
}

#[test]
fn both_ends_offload_what_the_vnet_header_can_tell_and_no_more() {
    alone(|| {
        let (plan, [hub, one, two]) = two_nodes();
        let mut applied = build(&plan, &mut Notes::default()).unwrap();
        let [hub, one, two] = [hub, one, two].map(|ns| applied.take(ns).unwrap());
        let ends = [(&hub, "veth1"), (&hub, "veth2"), (&one, "vethpeer1"), (&two, "vethpeer2")];
        for (netns, interface) in ends {
            let on = offloads(netns, interface);
            for wanted in ["tx-checksum-ip-generic", "tx-tcp-segmentation", "tx-tcp6-segmentation"]
            {
                assert!(on.iter().any(|name| name == wanted), "{interface}: no {wanted}: {on:?}");
            }
            let told = ["tx-tcp-ecn-segmentation", "tx-udp-segmentation"];
            let more: Vec<_> =
                on[..].iter().filter(|name| !told.contains(&name.as_str())).collect();
            assert_eq!(more.len(), 3, "{interface}: {on:?}");
        }
    });
}

#[test]
fn a_neighbour_is_forgotten_and_no_other() {
    alone(|| {
        let (plan, [_, one, _]) = two_nodes();
        let mut applied = build(&plan, &mut Notes::default()).unwrap();
        let one = applied.take(one).unwrap();
        // Nobody answers for these: the kernel keeps that it has asked.
        let asked = [[10, 100, 0, 77], [10, 100, 0, 78]].map(Ipv4Addr::from);
        let known = || {
            let read = || std::fs::read_to_string("/proc/thread-self/net/arp");
            let arp = sys::netns::inside(one.as_fd(), read).unwrap();
            asked.map(|address| arp.contains(&format!("{address} ")))
        };
        let socket = || UdpSocket::bind("0.0.0.0:0");
        let socket = sys::netns::inside(one.as_fd(), socket).unwrap();
        for address in asked {
            socket.send_to(b"?", (address, 9)).unwrap();
        }
        assert_eq!(known(), [true, true]);
        ns::neighbour::forget(one.as_fd(), asked[0]).unwrap();
        assert_eq!(known(), [false, true]);
        ns::neighbour::forget(one.as_fd(), asked[0]).unwrap();
    });
}

#[test]
fn a_table_drops_what_it_says_and_goes_with_its_owner() {
    alone(|| {
        let namespace = ns::Namespace::anonymous().unwrap();
        let ends = |port: u16| {
            sys::netns::inside(namespace.as_fd(), move || {
                let (from, to) = (UdpSocket::bind("127.0.0.1:0")?, ("127.0.0.1", port));
                let to = UdpSocket::bind(to)?;
                to.set_read_timeout(Some(Duration::from_millis(200)))?;
                from.send_to(b"x", to.local_addr()?)?;
                Ok(to.recv(&mut [0]).is_ok())
            })
            .unwrap()
        };
        ns::link::set_up(namespace.as_fd(), 1, true).unwrap();
        assert!(ends(20_000));
        let at = Ipv4Addr::LOCALHOST;
        let install = |name| {
            let (interface, ports, remote) = ("lo", &(20_000..=20_099), Remote::Nothing);
            let ask = Ask { name, interface, address: at, ports, remote };
            Table::install(namespace.as_fd(), &ask)
        };
        let table = install("ours").unwrap();
        assert!(ends(20_000), "nothing is dropped yet");
        let keys = [19_999, 20_000, 20_099, 20_100].map(|port| Key::Port(17, port));
        table.change(&keys, true).unwrap();
        for (port, arrives) in [(19_999, true), (20_000, false), (20_099, false), (20_100, true)] {
            assert_eq!(ends(port), arrives, "port {port}");
        }
        table.change(&keys[2..], false).unwrap();
        assert!(ends(20_099));
        assert!(table.change(&keys[2..], false).is_err(), "they are gone");
        assert_eq!(install("ours").err().unwrap().kind(), io::ErrorKind::PermissionDenied, "owned");
        drop(table);
        assert!(ends(20_000));
    });
}

#[test]
fn a_name_already_taken_is_left_alone_and_the_rest_undone() {
    alone(|| {
        let (plan, _) = two_nodes();
        Directory::system().unwrap();
        std::fs::write("/run/netns/net2", "somebody's").unwrap();
        let error = build(&plan, &mut Notes::default()).unwrap_err();
        assert!(matches!(&error, Error::Foreign(name) if name == "net2"), "{error}");
        assert_eq!(names(), ["net2"]);
        assert_eq!(std::fs::read_to_string("/run/netns/net2").unwrap(), "somebody's");
    });
}

#[test]
fn stopping_after_any_step_leaves_nothing() {
    alone(|| {
        let (plan, _) = two_nodes();
        for done in 1..=plan.steps().len() {
            let mut notes = Notes { stop_after: Some(done), ..Notes::default() };
            let error = build(&plan, &mut notes).unwrap_err();
            assert!(matches!(error, Error::Interrupted), "after {done}: {error}");
            assert!(names().is_empty(), "after {done}");
        }
    });
}

#[test]
fn a_record_that_cannot_be_written_stops_the_making() {
    alone(|| {
        let (plan, _) = two_nodes();
        let error = build(&plan, &mut Notes { full: true, ..Notes::default() }).unwrap_err();
        assert_eq!(error.to_string(), "writing down the namespace net1");
        assert!(names().is_empty());
    });
}

#[test]
fn a_step_the_kernel_refuses_is_named_and_undone() {
    alone(|| {
        let mut plan = Plan::new();
        let (a, b) = (plan.named("net1"), plan.named("net2"));
        let too_long = "a-name-longer-than-15";
        plan.veth((a, "veth1"), (b, too_long), VethOptions::default());
        let error = build(&plan, &mut Notes::default()).unwrap_err().to_string();
        assert!(error.contains("veth1 in net1") && error.contains(too_long), "{error}");
        assert!(names().is_empty());
    });
}

/// Where a crash can leave a name: nothing yet, the file without its mount, both.
#[test]
fn what_a_crash_leaves_is_recognised_and_foreign_names_are_not_touched() {
    alone(|| {
        let (plan, _) = two_nodes();
        let mut notes = Notes::default();
        let applied = build(&plan, &mut notes).unwrap();
        let [one, two] = notes.identities.as_slice() else { panic!("two were recorded") };
        // Leaks the guards, as a killed process does.
        std::mem::forget(applied);
        assert_eq!(remove(one).unwrap(), Removal::Removed);
        assert_eq!(remove(one).unwrap(), Removal::Absent);
        umount2(&two.path, MntFlags::MNT_DETACH).unwrap();
        assert_eq!(remove(two).unwrap(), Removal::Removed);
        assert!(names().is_empty());
        // The same names, somebody else's: a plain file, and a mounted namespace.
        File::create(&one.path).unwrap();
        assert_eq!(remove(one).unwrap(), Removal::Foreign);
        File::create(&two.path).unwrap();
        let other = ns::Namespace::anonymous().unwrap();
        let own = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&other.as_fd()));
        let none = None::<&str>;
        mount(Some(own.as_str()), &two.path, none, MsFlags::MS_BIND, none).unwrap();
        assert_eq!(remove(two).unwrap(), Removal::Foreign);
        assert_eq!(names(), ["net1", "net2"]);
    });
}

#[test]
fn links_that_come_and_go_are_announced() {
    use ns::watch::{Event, Watcher};
    alone(|| {
        let (plan, [hub, ..]) = two_nodes();
        let mut applied = build(&plan, &mut Notes::default()).unwrap();
        let hub = applied.take(hub).unwrap();
        let mut watcher = Watcher::new(hub.as_fd()).unwrap();
        assert_eq!(watcher.events().unwrap(), []);
        ns::link::set_up(hub.as_fd(), 2, false).unwrap();
        let events = watcher.events().unwrap();
        assert!(
            events.iter().any(|e| matches!(e, Event::Changed(l) if l.index == 2 && !l.up)),
            "{events:?}"
        );
        ns::link::delete(hub.as_fd(), 3).unwrap();
        let events = watcher.events().unwrap();
        assert!(
            events.iter().any(|e| matches!(e, Event::Gone(l) if l.name == "veth2")),
            "{events:?}"
        );
        // Another was faster; and what the kernel keeps.
        ns::link::delete(hub.as_fd(), 3).unwrap();
        assert!(ns::link::delete(hub.as_fd(), ns::plan::LOOPBACK).is_err());
    });
}

#[test]
fn many_nodes_fit_in_one_plan() {
    alone(|| {
        let mut plan = Plan::new();
        let hub = plan.anonymous();
        for i in 0..150 {
            let node = plan.named(format!("net{i}"));
            let (port, peer) = plan.veth(
                (hub, &format!("veth{i}")),
                (node, &format!("vethpeer{i}")),
                VethOptions::default(),
            );
            plan.up(hub, port);
            plan.up(node, peer);
        }
        let mut applied = build(&plan, &mut Notes::default()).unwrap();
        let hub = applied.take(hub).unwrap();
        assert_eq!(ns::link::list(hub.as_fd()).unwrap().len(), 151);
        drop(applied);
        assert!(names().is_empty());
        assert!(Path::new("/run/netns").is_dir());
    });
}
