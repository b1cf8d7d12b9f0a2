//! Clients that do not behave, while frames flow; and who may open the door at all.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{json, lab, until};
use crate::support::{As, Process, Sandbox, Wire, rooted, rootless};

const SOCKET: &str = "/run/uswitch/uswitch/control.sock";

#[test]
fn hostile_clients_leave_the_switch_forwarding() {
    rooted(|sandbox| {
        let lab = lab(sandbox, &["run"]);
        let before = lab.status("VmRSS");
        let mut ping = sandbox.command(As::Root, Path::new("ip"));
        let args = "netns exec net1 ping -q -c 3000 -i 0.001 10.100.0.20";
        ping.args(args.split(' '));
        let mut ping = Process::start(ping, args);

        // Listens to events and never reads them, while there are many.
        let mut deaf = UnixStream::connect(SOCKET).unwrap();
        deaf.write_all(b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        let mut wire = Wire::open("/run/netns/net2", "vethpeer2");
        for number in 0..3000u16 {
            let [high, low] = number.to_be_bytes();
            let head = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 2, 0, 0, high, low, 0x88, 0xb5];
            wire.send(&[&head[..], &[0; 46]].concat());
            if number % 64 == 63 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        // Half a request, and answers nobody takes.
        let mut half = UnixStream::connect(SOCKET).unwrap();
        half.write_all(b"GET /v1/fdb HT").unwrap();
        let mut greedy = UnixStream::connect(SOCKET).unwrap();
        greedy.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
        let ask = b"GET /v1/fdb?limit=1024 HTTP/1.1\r\nhost: x\r\n\r\n";
        while greedy.write_all(&ask.repeat(64)).is_ok() {}
        // A thousand at once. Those that find no place are told so and closed.
        let crowd: Vec<_> = (0..1000).filter_map(|_| UnixStream::connect(SOCKET).ok()).collect();
        assert!(crowd.len() > 64, "only {} connected", crowd.len());
        let mut refused = String::new();
        let last = crowd.last().unwrap();
        last.set_read_timeout(Some(super::PATIENCE)).unwrap();
        let _ = (&mut &*last).take(4096).read_to_string(&mut refused);
        assert!(refused.starts_with("HTTP/1.1 503"), "{refused:?}");
        let ended = sandbox.uswitch(&["show", "fdb"]);
        assert_eq!(ended.code, Some(1), "all places are taken: {}", ended.err);

        assert!(ping.running() || ping.out().contains("received"));
        let ended = ping.ended().ok();
        assert!(ended.out.contains("3000 received, 0% packet loss"), "{}", ended.out);
        let grown = lab.status("VmRSS").saturating_sub(before);
        assert!(grown < 64 << 10, "the lab grew by {grown} kB");

        // They go, and the door is open again.
        drop((deaf, half, greedy, crowd));
        until("the door answers", || (sandbox.uswitch(&["show"]).code == Some(0)).then_some(()));
        assert!(json(sandbox, &["show", "fdb", "-j"]).as_array().unwrap().len() > 3000);
    });
}

#[test]
fn nonsense_is_answered_with_what_is_wrong() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        for (request, status) in [
            ("GET /v1/nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "404"),
            ("DELETE /v1/fdb HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "405"),
            ("GET /v1/fdb?limit=many HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "400"),
            (
                "POST /v1/nodes HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 5\r\n\r\n\
              {\"a\":",
                "422",
            ),
            ("\0\x01\x02\r\n\r\n", "400"),
        ] {
            let mut stream = UnixStream::connect(SOCKET).unwrap();
            stream.set_read_timeout(Some(super::PATIENCE)).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request:?}: {answer}");
        }
    });
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn only_the_owner_opens_the_door() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let socket = Path::new(SOCKET);
        assert_eq!((mode(socket), mode(socket.parent().unwrap())), (0o600, 0o700));
        if sandbox.real_root {
            let mut other = sandbox.command(As::User, &sandbox.dir.join("uswitch"));
            other.args(["show"]).env("USWITCH_RUN_DIR", "/run/uswitch");
            assert_eq!(Process::start(other, "show by another user").ended().code, Some(1));
            let mut other = sandbox.command(As::User, Path::new("test"));
            other.args(["-e", SOCKET]);
            assert_eq!(Process::start(other, "test -e").ended().code, Some(1));
        }
    });
}

fn own_socket(sandbox: &Sandbox) -> PathBuf {
    let found = sandbox.dir.join("user/uswitch/uswitch/control.sock");
    if found.exists() { found } else { sandbox.dir.join("uswitch/uswitch/control.sock") }
}

#[test]
fn an_ordinary_users_door_is_their_own() {
    rootless(|sandbox| {
        let lab = lab(sandbox, &["run"]);
        let socket = own_socket(sandbox);
        assert_eq!((mode(&socket), mode(socket.parent().unwrap())), (0o600, 0o700));
        for what in ["topology", "ports", "fdb", "nat", "counters"] {
            sandbox.uswitch(&["show", what]).ok();
        }
        lab.signal(nix::sys::signal::Signal::SIGTERM);
        lab.ended().ok();
        assert!(!socket.exists(), "the socket outlived its lab");
    });
}
