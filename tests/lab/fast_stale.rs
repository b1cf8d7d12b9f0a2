//! Sessions of the NAT that the kernel sends on by itself, under traffic that does not wait, while the
//! gateway is told one thing after the other: once a change has returned, no packet goes where the
//! gateway would not have sent it.

use std::net::{IpAddr, UdpSocket};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::door::until;
use crate::fast_nat::routes;
use crate::support::{Sandbox, bound, captured, in_netns};
use crate::{lab, netns};

const OUTSIDE: &str = "203.0.113.2";
const INSIDE: &str = "10.100.0.10";
/// The published port.
const PUBLISHED: &str = "7300";

/// Numbered datagrams one way, as fast as they go; now and then one comes back.
struct Stream {
    from: UdpSocket,
    to: UdpSocket,
    next: AtomicU32,
    /// Whether what comes is answered: held while that is done.
    answers: Mutex<bool>,
}

impl Stream {
    /// From a namespace to an address; who listens there is in another.
    fn new((from, bind): (&str, &str), to: &str, (at, listen): (&str, &str)) -> Self {
        let from = in_netns(netns(from), || bound(|| UdpSocket::bind(bind)));
        from.connect(to).unwrap();
        // Where nobody answers for the next hop it would wait for room.
        from.set_nonblocking(true).unwrap();
        let to = in_netns(netns(at), || bound(|| UdpSocket::bind(listen)));
        to.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        Self { from, to, next: AtomicU32::new(0), answers: Mutex::new(true) }
    }

    fn send(&self, stop: &AtomicBool) {
        while !stop.load(Ordering::SeqCst) {
            let n = self.next.fetch_add(1, Ordering::SeqCst);
            // Refused where an error has come back, or the link is down.
            let _ = self.from.send(&n.to_le_bytes());
            if n.is_multiple_of(16) {
                std::thread::sleep(Duration::from_micros(300));
                let _ = self.from.recv(&mut [0; 8]);
            }
        }
    }

    /// What came, and from whom.
    fn hear(&self, stop: &AtomicBool) -> Vec<(u32, IpAddr)> {
        let (mut heard, mut buffer) = (Vec::new(), [0; 8]);
        loop {
            match self.to.recv_from(&mut buffer) {
                Ok((4, from)) => {
                    let n = u32::from_le_bytes(buffer[..4].try_into().unwrap());
                    heard.push((n, from.ip()));
                    let answers = self.answers.lock().unwrap();
                    if n.is_multiple_of(8) && *answers {
                        // Nowhere where the sender's own address leads nowhere.
                        let _ = self.to.send_to(&[1], from);
                    }
                }
                Err(_) if stop.load(Ordering::SeqCst) => return heard,
                Ok(_) | Err(_) => {}
            }
        }
    }

    fn now(&self) -> u32 {
        self.next.load(Ordering::SeqCst)
    }
}

/// What the gateway has been told.
#[derive(Clone, Copy, Debug)]
struct Told {
    forwards: bool,
    translates: bool,
    link: bool,
    published: bool,
}

/// From whom packets may come: from one alone, from nobody; None where it is not to be told, for the
/// gateway lets packets wait for a host that does not answer.
type May = Option<Option<IpAddr>>;

impl Told {
    /// What may come of what the node sends to the world.
    fn out(self) -> May {
        let address = if self.translates { OUTSIDE } else { INSIDE };
        Some((self.forwards && self.link).then(|| address.parse().unwrap()))
    }

    /// And of what the world sends to the published port.
    fn back(self) -> May {
        let open = self.forwards && self.translates && self.published;
        (self.link || !open).then(|| open.then(|| IpAddr::from([9, 9, 9, 9])))
    }

    /// Tells something else. A late answer to what came to the published port would open a session by
    /// which more may come, so there is none from before it is withdrawn on.
    fn change(&mut self, what: u8, back: &Stream, sandbox: &Sandbox) {
        let say = |words: &[&str]| drop(sandbox.uswitch(words).ok());
        let gateway = |name: &str, value: &str| say(&["set", "gateway", name, value]);
        match what {
            0 => {
                self.forwards = !self.forwards;
                gateway("--forwarding", if self.forwards { "on" } else { "off" });
            }
            1 => {
                self.translates = !self.translates;
                gateway("--nat", if self.translates { "port-restricted-cone" } else { "none" });
            }
            2 => {
                self.link = !self.link;
                say(&["link", "net1", if self.link { "up" } else { "down" }]);
            }
            3 => {
                self.published = !self.published;
                let port = format!("{PUBLISHED}:net1:{PUBLISHED}/udp");
                if !self.published {
                    *back.answers.lock().unwrap() = false;
                }
                match self.published {
                    true => say(&["publish", &port]),
                    false => say(&["unpublish", &format!("{PUBLISHED}/udp")]),
                }
                *back.answers.lock().unwrap() = self.published;
                // Sessions would go on.
                say(&["nat", "flush"]);
            }
            _ => say(&["nat", "flush"]),
        }
    }
}

/// Lets the threads end, also where the test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A stretch of a stream that was sent while this held.
type Stretch = (std::ops::Range<u32>, May, String);

#[test]
fn under_traffic_no_packet_is_sent_on_by_what_held_before() {
    captured(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "1", "--fast-path", "on"]);
        let out = Stream::new(("net1", "0.0.0.0:7100"), "9.9.9.9:7200", ("inet", "9.9.9.9:7200"));
        let published = format!("{OUTSIDE}:{PUBLISHED}");
        let here = format!("0.0.0.0:{PUBLISHED}");
        let back = Stream::new(("inet", "9.9.9.9:7201"), &published, ("net1", &here));
        // Or packets would wait there for an answer, and leave when much has changed.
        let gateway = ["10.100.0.1", "lladdr", "02:00:0a:64:00:01", "nud", "permanent"];
        let replace = ["-n", "net1", "neigh", "replace"];
        sandbox.tool("ip", &[&replace[..], &gateway, &["dev", "vethpeer1"]].concat());
        let stop = AtomicBool::new(false);
        let mut told = Told { forwards: true, translates: true, link: true, published: false };
        told.change(3, &back, sandbox);
        // One thing, another while that is so, and both taken back.
        let plan = proptest::collection::vec((0..5u8, 0..5u8), 10);
        let plan = plan.new_tree(&mut TestRunner::deterministic()).unwrap().current();
        let plan = plan.into_iter().flat_map(|(one, other)| [one, other, other, one]);
        let mut stretches: [Vec<Stretch>; 2] = Default::default();
        let heard = std::thread::scope(|scope| {
            let hearing = [&out, &back].map(|stream| {
                scope.spawn(|| stream.send(&stop));
                scope.spawn(|| stream.hear(&stop))
            });
            let ends = Ends(&stop);
            for what in plan {
                told.change(what, &back, sandbox);
                // One of each may be between its number and the socket.
                let from = [&out, &back].map(|stream| stream.now() + 1);
                let may = [told.out(), told.back()];
                if may.iter().flatten().any(Option::is_some) {
                    let carries = || !routes(sandbox, "udp").is_empty();
                    until("the kernel sends on", || carries().then_some(()));
                }
                std::thread::sleep(Duration::from_millis(50));
                let until = [&out, &back].map(|stream| stream.now().saturating_sub(1));
                // The last ones are on their way through the ring.
                std::thread::sleep(Duration::from_millis(50));
                for (n, stretches) in stretches.iter_mut().enumerate() {
                    stretches.push((from[n]..until[n], may[n], format!("{what} made {told:?}")));
                }
            }
            drop(ends);
            hearing.map(|thread| thread.join().unwrap())
        });
        for (heard, stretches) in heard.iter().zip(&stretches) {
            let shut = stretches.iter().filter(|(_, may, _)| *may == Some(None));
            let kept: usize = shut.map(|(sent, ..)| sent.len()).sum();
            assert!(kept > 500, "{kept} packets were sent where none may come through");
            let mut open = 0;
            for (n, from) in heard {
                let within = stretches.iter().find(|(sent, ..)| sent.contains(n));
                let Some((sent, Some(may), told)) = within else { continue };
                assert_eq!(Some(*from), *may, "packet {n} of {sent:?}: {told}");
                open += 1;
            }
            assert!(open > 500, "{open} packets came through where they may");
        }
    });
}
