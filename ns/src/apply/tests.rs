//! A refusal of the kernel's own, told as what it means. Needs root, for a namespace to ask in.

use nix::sched::unshare;

use super::*;
use crate::plan::End;
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
