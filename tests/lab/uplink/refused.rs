//! What cannot be shared: one line that says why and what to do, and nothing is changed.

use std::net::{TcpListener, UdpSocket};
use std::path::Path;

use super::host::{end, lab, on_a_host, reserved, sh};
use crate::support::{As, Process, Sandbox, rootless};

/// `args` must fail with `code`, in one line that holds all of `words`, and change nothing.
#[track_caller]
pub(super) fn refused(sandbox: &Sandbox, args: &[&str], code: i32, words: &[&str]) {
    let before = (sandbox.state(), reserved());
    let ended = sandbox.uswitch(&[&["run", "--check"], args].concat());
    let line = ended.complaint(code);
    for word in words {
        assert!(line.contains(word), "{args:?}: no {word:?} in: {line}");
    }
    assert_eq!((sandbox.state(), reserved()), before, "{args:?} changed something");
}

#[test]
fn interfaces_that_cannot_be_shared() {
    on_a_host(|sandbox| {
        refused(sandbox, &["--uplink", "eth7"], 1, &["no interface eth7", "eth0"]);
        refused(sandbox, &["--uplink", "lo"], 1, &["lo is no Ethernet"]);
        sh(sandbox, "ip link add v1 type veth peer name v2; ip link set v1 up");
        refused(sandbox, &["--uplink", "v1"], 1, &["v1 has no IPv4 address", "--uplink sim"]);
        sh(sandbox, "ip addr add 10.100.9.1/24 dev v1");
        refused(sandbox, &["--uplink", "v1"], 1, &["10.100.9.1/24", "overlaps"]);
        sh(sandbox, "ip addr add 172.16.0.1/24 dev v2");
        refused(sandbox, &["--uplink", "v2"], 1, &["v2 is down", "ip link set v2 up"]);
        sh(sandbox, "ip link add br9 type bridge; ip link set v2 master br9");
        refused(sandbox, &["--uplink", "v2"], 1, &["port of br9", "--uplink br9"]);
        sh(sandbox, "ip route del default");
        refused(sandbox, &["--uplink", "auto"], 1, &["no default route", "--uplink IFACE"]);
        let mesh = ["mesh", "--uplink", "eth0"];
        refused(sandbox, &mesh, 2, &["--uplink eth0", "mesh"]);
        refused(sandbox, &["--uplink-ports", "30000-31000"], 2, &["--uplink IFACE"]);
        // A node that had the tunnel's port would have the other hosts' frames.
        let among = ["--uplink", "eth0", "--uplink-ports", "4000-9000", "--vtep", "192.0.2.2"];
        let join = ["--join", "vtep://192.0.2.1?vni=100"];
        let words = ["UDP port 4789 of the tunnel", "4000-9000", "--uplink-ports"];
        refused(sandbox, &[&among[..], &join].concat(), 2, &words);
    });
}

#[test]
fn without_a_default_route_the_link_itself_is_reached() {
    on_a_host(|sandbox| {
        sh(sandbox, "ip route del default");
        let run = lab(sandbox, &["run", "--uplink", "eth0"]);
        assert!(run.out().contains("no default route"), "{}", run.out());
        sh(sandbox, "ip netns exec net1 ping -c 1 -W 5 192.0.2.1");
        end(run);
    });
}

#[test]
fn ports_that_somebody_has() {
    on_a_host(|sandbox| {
        let auto = ["--uplink", "auto"];
        for at in ["0.0.0.0:20080", "192.0.2.2:29999", "[::]:20000"] {
            let _listener = TcpListener::bind(at).unwrap();
            let port = at.rsplit_once(':').unwrap().1;
            refused(sandbox, &auto, 1, &["tcp port", port, "--uplink-ports"]);
        }
        {
            let _socket = UdpSocket::bind("192.0.2.2:21000").unwrap();
            refused(sandbox, &auto, 1, &["udp port 21000", "192.0.2.2:21000"]);
            let elsewhere = [&auto[..], &["--uplink-ports", "40000-40999"]].concat();
            sandbox.uswitch(&[&["run", "--check"], &elsewhere[..]].concat()).ok();
        }
        // Out of the NAT's way.
        let _local = TcpListener::bind("127.0.0.1:20080").unwrap();
        let run = lab(sandbox, &["run", "--uplink", "auto"]);
        let second = ["--uplink", "auto", "--name", "other", "--uplink-ports", "29999-31000"];
        refused(sandbox, &second, 1, &["lab uswitch", "29999-31000", "--uplink-ports"]);
        let third = ["--uplink", "auto", "--name", "other", "--uplink-ports", "31000-31999"];
        sandbox.uswitch(&[&["run", "--check"], &third[..]].concat()).ok();
        assert_eq!(reserved(), "20000-29999", "the first lab's stay");
        end(run);
    });
}

#[test]
fn a_port_that_a_socket_of_the_host_has_taken_meanwhile_is_not_published() {
    on_a_host(|sandbox| {
        let run = lab(sandbox, &["run", "--uplink", "auto"]);
        {
            let _listener = TcpListener::bind("0.0.0.0:20080").unwrap();
            let _socket = UdpSocket::bind("192.0.2.2:20053").unwrap();
            for (port, words) in
                [("20080:net1:80", "tcp port 20080"), ("20053:net1:53/udp", "udp port 20053")]
            {
                let ended = sandbox.uswitch(&["publish", port]);
                let line = ended.complaint(1);
                assert!(line.contains(words) && line.contains("in use on this host"), "{line}");
            }
            // The other protocol's port of that number is free.
            sandbox.uswitch(&["publish", "20080:net1:80/udp"]).ok();
        }
        sandbox.uswitch(&["publish", "20080:net1:80"]).ok();
        sandbox.uswitch(&["publish", "20053:net1:53/udp"]).ok();
        end(run);
    });
}

#[test]
fn an_ordinary_user_is_told_what_to_do() {
    rootless(|sandbox| {
        for uplink in ["auto", "eth0"] {
            let ended = sandbox.uswitch(&["run", "--check", "--uplink", uplink]);
            let line = ended.complaint(1);
            for word in [uplink, "root", "sudo", "--uplink sim"] {
                assert!(line.contains(word), "no {word} in: {line}");
            }
        }
    });
}

#[test]
fn a_claim_of_another_user_is_no_claim() {
    on_a_host(|sandbox| {
        if !sandbox.real_root {
            return;
        }
        let script = "import socket, time\n\
             held = []\n\
             for lab in (b'x\\x1b]0;owned\\x07\\x1b[31m', b'uswitch', b'second', b'uswitch/0'):\n\
             \x20   s = socket.socket(socket.AF_UNIX)\n\
             \x20   s.bind(b'\\0uswitch/uplink/1024-65535/' + lab)\n\
             \x20   s.listen(1); held.append(s)\n\
             print('claimed', flush=True)\n\
             time.sleep(60)\n";
        let mut command = sandbox.command(As::User, Path::new("/usr/bin/python3"));
        command.args(["-c", script]);
        let mut claims = Process::start(command, "claims of a user");
        claims.wait_for("claimed");
        for block in ["20000-29999", "40000-41000"] {
            let args = ["run", "--check", "--uplink", "auto", "--uplink-ports", block];
            let ended = sandbox.uswitch(&args).ok();
            assert_eq!(ended.err, "", "{block}");
        }
        // A lab's own goes on being one, whoever fills its queue of callers.
        let run = lab(sandbox, &["run", "--uplink", "auto"]);
        let second = ["--uplink", "auto", "--name", "second"];
        refused(sandbox, &second, 1, &["lab uswitch", "--uplink-ports"]);
        end(run);
    });
}
