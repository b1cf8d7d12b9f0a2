//! The files in `examples/`, each built and held to what it claims: who reaches whom, and who does
//! not.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::support::{Sandbox, captures, in_netns, rooted};
use crate::{lab, netns};

const PATIENCE: Duration = Duration::from_secs(20);

/// Builds an example and looks at it.
fn example(file: &str, look: impl FnOnce(&Sandbox) + Send) {
    rooted(|sandbox| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(file);
        let run = lab(sandbox, &["run", path.to_str().unwrap()]);
        let started = in_group(run.pid());
        look(sandbox);
        run.signal(Signal::SIGTERM);
        run.ended().ok();
        for process in started {
            let state = || std::fs::read_to_string(process.join("stat")).unwrap_or_default();
            // Somebody else waits for it, in their own time.
            let limit = Instant::now() + Duration::from_secs(30);
            while !state().is_empty() && !state().contains(") Z ") {
                assert!(Instant::now() < limit, "what exec left running ends with the lab");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    });
}

/// What the lab's `exec` has left running: the processes in the groups of its children.
fn in_group(lab: Pid) -> Vec<PathBuf> {
    let children = std::fs::read_to_string(format!("/proc/{lab}/task/{lab}/children"));
    let groups: Vec<String> =
        children.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let all = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let is_of_it = |process: &PathBuf| {
        let stat = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
        let rest = stat.rsplit(')').next().unwrap_or_default();
        rest.split_whitespace().nth(2).is_some_and(|group| groups.iter().any(|g| g == group))
    };
    all.filter(is_of_it).collect()
}

/// Whether node `from` hears an answer of `to`.
fn reaches(sandbox: &Sandbox, from: &str, to: &str) -> bool {
    let words = ["exec", from, "--", "ping", "-q", "-c", "3", "-i", "0.4", "-W", "1", to];
    sandbox.uswitch(&words).code == Some(0)
}

#[test]
fn pair() {
    example("pair.yaml", |sandbox| {
        assert!(reaches(sandbox, "net1", "10.100.0.2") && reaches(sandbox, "net2", "10.100.0.1"));
    });
}

#[test]
fn mesh() {
    example("mesh.yaml", |sandbox| {
        for (from, to) in [("a", "10.0.0.2"), ("a", "10.0.0.6"), ("b", "10.0.0.10")] {
            assert!(reaches(sandbox, from, to), "{from} to {to}");
        }
    });
}

#[test]
fn star() {
    example("star.toml", |sandbox| {
        assert!(reaches(sandbox, "h1", "10.1.0.6") && reaches(sandbox, "h5", "8.8.8.8"));
    });
}

#[test]
fn router() {
    example("router.yaml", |sandbox| {
        assert!(reaches(sandbox, "h1", "10.2.0.1"));
        assert!(!reaches(sandbox, "h2", "10.2.0.1"), "it has no route");
        assert!(!reaches(sandbox, "h1", "8.8.8.8"), "there is no way out");
    });
}

#[test]
fn vlan_trunk() {
    if !captures() {
        return;
    }
    example("vlan-trunk.yaml", |sandbox| {
        assert!(reaches(sandbox, "red", "10.10.0.1") && reaches(sandbox, "blue", "10.20.0.1"));
        assert!(!reaches(sandbox, "red", "10.20.0.2"), "it is in another VLAN");
        // Nobody has that address: who has it is asked of all of the VLAN.
        let line = "ip netns exec server tcpdump -Z root -l -nei eth0 -c 1 vlan 10 and arp";
        let mut trunk = sandbox.start_shell(line);
        trunk.wait_for_complaint("listening on");
        assert!(!reaches(sandbox, "red", "10.10.0.77"));
        let seen = trunk.ended().ok().out;
        assert!(seen.contains("vlan 10") && seen.contains("10.10.0.77"), "{seen}");
    });
}

#[test]
fn isolated() {
    example("isolated.yaml", |sandbox| {
        assert!(reaches(sandbox, "guest1", "10.1.0.4") && reaches(sandbox, "guest1", "10.1.0.1"));
        assert!(!reaches(sandbox, "guest1", "10.1.0.3"));
    });
}

#[test]
fn nat_types() {
    example("nat-types.yaml", |_| {
        let socket = |node: &str, at: &str| {
            let socket = in_netns(netns(node), || UdpSocket::bind(at).unwrap());
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket
        };
        let (client, asked, other) =
            (socket("h1", "0.0.0.0:0"), socket("inet", "8.8.8.8:53"), socket("inet", "1.1.1.1:53"));
        client.send_to(b"?", "8.8.8.8:53").unwrap();
        let mut word = [0; 8];
        let (_, door) = asked.recv_from(&mut word).unwrap();
        other.send_to(b"!", door).unwrap();
        let (_, from) = client.recv_from(&mut word).unwrap();
        assert_eq!(from.to_string(), "1.1.1.1:53", "whoever learns of the mapping may answer");
    });
}

#[test]
fn published() {
    example("published.yaml", |_| {
        let ask = |port: u16| {
            in_netns(netns("inet"), || {
                let mut stream = TcpStream::connect(("203.0.113.2", port))?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
                let mut said = String::new();
                stream.read_to_string(&mut said)?;
                std::io::Result::Ok(said)
            })
        };
        // The server takes a moment to listen.
        let begun = Instant::now();
        let said = loop {
            match ask(8080) {
                Ok(said) => break said,
                Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        assert!(said.contains("200 OK"), "{said}");
        assert!(ask(8081).is_err());
    });
}

#[test]
fn ring() {
    example("ring.yaml", |sandbox| {
        for to in ["10.0.0.2", "10.0.0.6", "10.0.0.9", "10.0.0.13"] {
            assert!(reaches(sandbox, "r1", to), "{to}");
        }
        assert!(reaches(sandbox, "r3", "10.0.0.1"));
    });
}

#[test]
fn linked() {
    example("linked.yaml", |sandbox| {
        assert!(reaches(sandbox, "h1", "10.1.0.20") && reaches(sandbox, "h2", "10.1.0.2"));
        assert!(reaches(sandbox, "h2", "8.8.8.8") && reaches(sandbox, "h1", "8.8.8.8"));
        assert!(reaches(sandbox, "h3", "10.1.0.20") && !reaches(sandbox, "h3", "10.1.0.2"));
    });
}

#[test]
fn snooping() {
    if !captures() {
        return;
    }
    example("snooping.yaml", |sandbox| {
        let socket =
            |node: &str| in_netns(netns(node), || UdpSocket::bind("0.0.0.0:5000").unwrap());
        let (sender, member) = (socket("sender"), socket("member"));
        member.set_read_timeout(Some(PATIENCE)).unwrap();
        member
            .join_multicast_v4(&Ipv4Addr::new(239, 1, 1, 1), &Ipv4Addr::new(10, 1, 0, 3))
            .unwrap();
        let begun = Instant::now();
        while !sandbox.uswitch(&["show", "mdb"]).ok().out.contains("239.1.1.1") {
            assert!(begun.elapsed() < PATIENCE, "the membership was not noted");
            std::thread::sleep(Duration::from_millis(50));
        }
        let line = "ip netns exec other tcpdump -Z root -l -ni eth0 -c 1 udp port 5000";
        // Until all have had their time to answer the querier, everybody hears it.
        loop {
            let mut other = sandbox.start_shell(line);
            other.wait_for_complaint("listening on");
            sender.send_to(b"to the group", "239.1.1.1:5000").unwrap();
            let mut word = [0; 32];
            let (length, from) = member.recv_from(&mut word).unwrap();
            let said = (&word[..length], from.to_string());
            assert_eq!(said, (&b"to the group"[..], "10.1.0.2:5000".to_owned()));
            // The first that the other one hears is then what was sent to it alone, later.
            sender.send_to(b"to you", "10.1.0.4:5000").unwrap();
            let heard = other.ended().ok().out;
            if heard.contains("10.1.0.4.5000") {
                return;
            }
            assert!(heard.contains("239.1.1.1") && begun.elapsed() < PATIENCE, "{heard}");
            std::thread::sleep(Duration::from_millis(200));
        }
    });
}
