//! A refusal of the kernel's own, told as what it means; how long many links are waited for. Needs root,
//! for namespaces to ask in.

use nix::sched::unshare;

use super::*;
use crate::plan::{End, VethOptions};
use crate::skip::skip;

#[test]
fn a_kind_the_kernel_does_not_know_is_no_veth() {
    let refused = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).ok()?;
        Some(Netlink::open().unwrap().run(&[message::of_no_kind()]).unwrap_err().error)
    });
    let Some(error) = refused.join().unwrap() else {
        return skip("this test needs root");
    };
    let end = |name: &str| End { ns: NsId(0), name: name.into(), index: 2, mac: None };
    let veth = Step::Veth { a: end("veth1"), b: end("vethpeer1"), mtu: 1500 };
    assert!(is_no_veth(&veth, &error), "{error}");
    assert!(!is_no_veth(&Step::Up { ns: NsId(0), index: 2 }, &error));
    assert!(!is_no_veth(&veth, &io::Error::from(Errno::EEXIST)));
    let line = Error::NoVeth.to_string();
    assert!(line.contains("modprobe veth") && line.lines().count() == 1, "{line}");
}

struct Nobody;

impl Observer for Nobody {
    fn recording(&mut self, _: &Identity) -> io::Result<()> {
        Ok(())
    }

    fn progress(&mut self, _: usize, _: usize) -> bool {
        true
    }
}

/// Of itself the kernel sets a hundred ends a second to work: 300 would take it three seconds.
#[test]
fn many_links_are_not_waited_for() {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    if (numbers.next(), numbers.next()) < (Some(6), Some(8)) {
        return skip("before Linux 6.8 the kernel takes its time");
    }
    let mut plan = Plan::new();
    let (hub, room) = (plan.anonymous(), plan.anonymous());
    for number in 1..=300 {
        let (port, peer) = (format!("veth{number}"), format!("vethpeer{number}"));
        let (port, peer) = plan.veth((hub, &port), (room, &peer), VethOptions::default());
        plan.up(hub, port);
        plan.up(room, peer);
    }
    let slept = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).ok()?;
        let directory = Directory::at("/nowhere");
        let applied = Applied { held: lent(&plan, &[]).unwrap() };
        let mut nobody = Nobody;
        let mut apply = Apply::new(&plan, &directory, applied, &mut nobody);
        for (place, step) in plan.steps().iter().enumerate() {
            apply.step(place, step).unwrap();
        }
        apply.flush().unwrap();
        Some(apply.settle().unwrap())
    });
    match slept.join().unwrap() {
        Some(slept) => assert_eq!(slept, Duration::ZERO),
        None => skip("this test needs root"),
    }
}
