//! `uswitch top` in a pseudo-terminal, against a real lab under real traffic. What it shows is held
//! against the counters and addresses of the nodes' own interfaces.

mod ending;
mod plain;

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::lab;
use crate::support::{Sandbox, Terminal, in_netns, rooted, rootless};

/// A terminal as wide as it takes to see every column, and not all panes at once.
const WIDE: (u16, u16) = (140, 30);

fn top(sandbox: &Sandbox, args: &[&str], size: (u16, u16)) -> Terminal {
    Terminal::start(&sandbox.uswitch_command(&[&["top"], args].concat()), size)
}

/// Datagrams on their way at once: far fewer than the switch's ring holds, so that none is dropped
/// however seldom it runs.
const ON_THEIR_WAY: u32 = 256;
/// What has not come by then does not come any more.
const LOST: Duration = Duration::from_secs(1);

/// Sends datagrams from net1 to net2, up to a few thousand a second, while `body` runs.
fn under_traffic(body: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    let to = in_netns("/run/netns/net2", || UdpSocket::bind("10.100.0.20:9000").unwrap());
    let from = in_netns("/run/netns/net1", || UdpSocket::bind("10.100.0.10:0").unwrap());
    to.set_nonblocking(true).unwrap();
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let limit = Instant::now() + Duration::from_secs(60);
            let (mut waiting, mut heard) = (0, Instant::now());
            while !stop.load(Ordering::Relaxed) && Instant::now() < limit {
                if waiting < ON_THEIR_WAY || heard.elapsed() > LOST {
                    for _ in 0..8 {
                        from.send_to(&[7; 1000], "10.100.0.20:9000").ok();
                    }
                    waiting += 8;
                }
                let mut sink = [0; 1024];
                while to.recv(&mut sink).is_ok() {
                    (waiting, heard) = (waiting.saturating_sub(1), Instant::now());
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        // Set however the body ends: a failed test must not wait for the limit.
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let end = Stop(&stop);
        body();
        drop(end);
        sending.join().unwrap();
    });
}

/// The cell below `title` in the row that begins with `name`.
fn cell(screen: &str, name: &str, title: &str) -> Option<String> {
    let heading = screen.lines().find(|line| line.contains("RX b/s"))?;
    let row = screen.lines().find(|line| line.split(' ').next() == Some(name))?;
    let start = heading.find(title)?;
    // To the right: the value ends where the title does.
    let end = heading[..start + title.len()].chars().count();
    let cell: String = row.chars().take(end).collect();
    cell.split(' ').next_back().map(str::to_owned)
}

/// A number as `top` shortens it.
fn short(number: u64) -> String {
    let (mut unit, mut letters) = (1, ["", "k", "M", "G"].into_iter());
    let mut letter = letters.next().unwrap();
    while number / unit >= 1000 {
        unit *= 1000;
        letter = letters.next().unwrap();
    }
    if unit == 1 {
        return number.to_string();
    }
    let digits = (number * 100 / unit).to_string();
    let (whole, rest) = digits.split_at(digits.len() - 2);
    let rest = &rest[..3usize.saturating_sub(whole.len())];
    if rest.is_empty() { format!("{whole}{letter}") } else { format!("{whole}.{rest}{letter}") }
}

/// What the kernel counted at a node's end of its cable: sent and received bytes.
fn kernel(sandbox: &Sandbox, node: &str, interface: &str) -> (u64, u64) {
    let args = ["-n", node, "-s", "-j", "link", "show", interface];
    let link: serde_json::Value = serde_json::from_str(&sandbox.tool("ip", &args)).unwrap();
    let counter = |way: &str| link[0]["stats64"][way]["bytes"].as_u64().unwrap();
    (counter("tx"), counter("rx"))
}

fn live(sandbox: &Sandbox) {
    let run = lab(sandbox, &["run"]);
    let mut top = top(sandbox, &["-d", "0.3"], WIDE);
    top.wait_for("veth2");
    // The last line of the screen is drawn last.
    let first = top.wait_for("q quit");
    for words in ["lab uswitch", "2 nodes", "gateway 10.100.0.1", "1 Ports", "5 Events", "q quit"] {
        assert!(first.contains(words), "no {words} in\n{first}");
    }
    top.keys("q");
    assert_eq!(top.ended(), 0);
    top.is_restored();
    assert_eq!(top.text().trim(), "", "something is left on the usual screen");
    run.signal(Signal::SIGTERM);
    run.ended().ok();
}

#[test]
fn a_lab_as_root() {
    rooted(live);
}

#[test]
fn a_lab_as_an_ordinary_user() {
    rootless(live);
}

#[test]
fn rates_rise_with_the_traffic_and_bytes_are_the_kernels() {
    rooted(|sandbox| {
        let _run = lab(sandbox, &["run"]);
        let mut top = top(sandbox, &["-d", "0.2"], WIDE);
        top.wait_for("veth2");
        under_traffic(|| {
            // A thousand bytes and the headers, a few thousand times a second: far above a megabit.
            let busy = |text: &str, name: &str, title: &str| {
                cell(text, name, title).is_some_and(|rate| rate.ends_with('M'))
            };
            let text = top.wait_until("megabits from net1 to net2", |text| {
                busy(text, "veth1", "RX b/s") && busy(text, "veth2", "TX b/s")
            });
            assert!(!busy(&text, "veth1", "TX b/s"), "nothing of the kind comes back:\n{text}");
            top.wait_until("bars", |text| text.contains('█'));
        });
        top.wait_until("quiet again", |text| {
            cell(text, "veth1", "RX b/s").is_some_and(|rate| !rate.ends_with('M'))
        });
        // The kernel's count at the other end of the cable, whenever the two are looked at at once.
        top.wait_until("the kernel's bytes", |text| {
            let (sent, received) = kernel(sandbox, "net1", "vethpeer1");
            cell(text, "veth1", "RX BYTES") == Some(short(sent))
                && cell(text, "veth1", "TX BYTES") == Some(short(received))
        });
    });
}

#[test]
fn keys_lead_to_each_pane() {
    rooted(|sandbox| {
        let _run = lab(sandbox, &["run"]);
        let mut top = top(sandbox, &["-d", "0.2"], WIDE);
        top.wait_for("veth2");
        let ping = ["netns", "exec", "net1", "ping", "-n", "-c", "2", "-i", "0.2", "8.8.8.8"];
        sandbox.tool("ip", &ping);
        top.keys("2");
        let link = sandbox.tool("ip", &["-n", "net1", "-o", "link", "show", "vethpeer1"]);
        let mac = link.split("link/ether ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
        let row =
            |text: &str| text.lines().any(|line| line.starts_with(&mac) && line.contains("veth1"));
        top.wait_until("the address the kernel gave net1", row);
        top.keys("\t");
        top.wait_until("the ping's session", |text| {
            let session = |line: &str| {
                ["icmp", "10.100.0.10:", "8.8.8.8", "203.0.113.2:"].iter().all(|w| line.contains(w))
            };
            text.lines().any(|line| line.starts_with("icmp") && session(line))
        });
        // A frame whose source is a group address is one the switch has to drop.
        drop_a_frame();
        top.keys("4");
        let text = top.wait_until("the drop", |text| text.contains("veth1 1"));
        assert!(text.lines().any(|line| line.starts_with("switch")), "{text}");
        top.keys("5");
        top.wait_for("AGO EVENT");
        sandbox.tool("ip", &["-n", "net2", "link", "set", "vethpeer2", "down"]);
        top.wait_until("the link that went down", |text| {
            text.lines().any(|line| line.contains("port down") && line.contains("veth2"))
        });
        top.keys("1");
        top.wait_until("its port", |text| {
            text.lines().any(|line| line.starts_with("veth2") && line.contains("down"))
        });
    });
}

fn drop_a_frame() {
    let mut wire = crate::support::Wire::open("/run/netns/net1", "vethpeer1");
    let mut frame = [0xff; 60];
    frame[6..12].copy_from_slice(&[0x01, 0, 0, 0, 0, 1]);
    wire.send(&frame);
}

#[test]
fn keys_sort_filter_help_and_pace() {
    rooted(|sandbox| {
        let _run = lab(sandbox, &["run"]);
        let mut top = top(sandbox, &[], WIDE);
        top.wait_for("RX+TX▼");
        top.keys("N");
        top.wait_for("PORT▲");
        top.keys("R");
        top.wait_for("PORT▼");
        top.keys(">");
        top.wait_for("NODE▼");
        top.keys("h");
        top.wait_for("sort by traffic, name, drops");
        top.keys(" ");
        top.wait_until("no help", |text| !text.contains("sort by traffic"));
        top.keys("d0.5x\r");
        top.wait_for("0.5x: a delay is 0.1 to 3600 seconds");
        top.keys("s0.5\r");
        top.wait_for("d delay 0.5 s");
        top.keys("/net2\r");
        top.wait_until("only net2", |text| text.contains("veth2") && !text.contains("\nveth1"));
        top.keys("\x1b");
        top.wait_for("\nveth1");
        top.keys("\x0c");
        top.wait_for("\nveth1");
        top.keys("\x03");
        assert_eq!(top.ended(), 0, "Ctrl-C is a key");
        top.is_restored();
    });
}

#[test]
fn any_size_and_changes_of_it() {
    rooted(|sandbox| {
        let _run = lab(sandbox, &["run"]);
        let mut top = top(sandbox, &["-d", "0.3"], (80, 24));
        let usual = top.wait_for("RX+TX▼");
        assert!(usual.lines().all(|line| line.chars().count() <= 80), "{usual}");
        top.resize((40, 10));
        let small = top.wait_until("a small screen", |text| {
            text.contains("PORT") && text.contains("veth2") && !text.contains("RX+TX")
        });
        assert!(small.lines().count() <= 10, "{small}");
        top.resize((200, 60));
        let large = top.wait_until("everything at once", |text| {
            let panes = ["1 Ports ─", "2 MACs ─", "3 NAT ─", "4 Drops ─", "5 Events ─"];
            panes.iter().all(|pane| text.contains(pane)) && text.contains("learned")
        });
        assert!(large.lines().count() > 50, "{large}");
        for tiny in [(10, 3), (1, 1), (300, 2), (5, 90)] {
            top.resize(tiny);
            top.keys("h \t4 1");
        }
        top.resize((80, 24));
        top.wait_for("RX+TX▼");
        top.keys("q");
        assert_eq!(top.ended(), 0);
        top.is_restored();
    });
}

#[test]
fn no_colour_where_none_is_wanted() {
    rooted(|sandbox| {
        let _run = lab(sandbox, &["run"]);
        let colours = |top: &Terminal| {
            top.look(|screen| {
                let cell = |index: u16| screen.cell(index / 80, index % 80);
                (0..24 * 80)
                    .filter_map(cell)
                    .filter(|c| c.fgcolor() != vt100::Color::Default)
                    .count()
            })
        };
        let mut command = sandbox.uswitch_command(&["top"]);
        let mut top = Terminal::start(&command, (80, 24));
        top.wait_for("veth2");
        assert!(colours(&top) > 0);
        command.env("NO_COLOR", "1");
        let mut top = Terminal::start(&command, (80, 24));
        top.wait_for("veth2");
        assert_eq!(colours(&top), 0);
    });
}
