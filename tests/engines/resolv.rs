//! Who is asked for containers of podman what no container is called.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::machine::{Machine, eventually};
use crate::podman::{SLEEP, podman, suite};

/// A name server in the world that knows one address, for every name; it ends with this.
struct Knows {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Knows {
    fn start(machine: &Machine, at: &str, address: [u8; 4]) -> Self {
        let socket = machine.datagrams("/run/netns/world", &format!("{at}:53"));
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let ends = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ends);
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                answer(&socket, address);
            }
        });
        Self { ends, thread: Some(thread) }
    }
}

impl Drop for Knows {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Answers one query, by hand (RFC 1035, section 4).
fn answer(socket: &UdpSocket, address: [u8; 4]) {
    let mut query = [0; 512];
    let Ok((length, from)) = socket.recv_from(&mut query) else { return };
    let name = query[12..length].iter().position(|byte| *byte == 0).unwrap();
    let question = &query[12..12 + name + 5];
    let is_a = question[name + 1..] == [0, 1, 0, 1];
    let mut said = [&query[..2], &[0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]].concat();
    said.extend(question);
    if is_a {
        said.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        said.extend(address);
    }
    socket.send_to(&said, from).unwrap();
}

/// As with podman's own bridge: containers know the gateway alone, and it asks those of the network.
#[test]
fn a_networks_servers_are_asked_for_its_containers() {
    podman(&suite(), "netavark", |podman| {
        let _own = Knows::start(podman.machine, "203.0.113.9", [192, 0, 2, 1]);
        let _hosts = Knows::start(podman.machine, "198.51.100.1", [192, 0, 2, 2]);
        podman.sh("podman network create -d uswitch --subnet 10.92.0.0/24 --dns 203.0.113.9 lab");
        podman.network("plain", "10.93.0");
        podman.run("--name web --network lab", SLEEP);
        podman.run("--name db --network lab", SLEEP);
        podman.run("--name other --network plain", SLEEP);
        let servers = podman.sh("podman exec db cat /etc/resolv.conf | grep nameserver");
        assert_eq!(servers, "nameserver 10.92.0.1\n");
        for killed in [false, true] {
            if killed {
                podman.kill();
                podman.serve();
            }
            for (container, address) in [("db", "192.0.2.1"), ("other", "192.0.2.2")] {
                let ask = format!("podman exec {container} nslookup -type=a far.example");
                eventually(&ask, || {
                    podman.machine.try_sh(&ask).out.contains(address).then_some(())
                });
            }
            podman.reaches("db", "web", true);
        }
    });
}
