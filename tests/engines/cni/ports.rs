//! Ports that are published for containers: by sockets of ours, and by those that an engine holds
//! already, as podman does.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{Runtime, refused};
use crate::machine::eventually;
use crate::recorded::{published, served, start};
use crate::support::{As, bound, in_netns};

fn mapped(runtime: &Runtime<'_>, ports: Value) -> Value {
    let mut conf = runtime.conf.clone();
    conf["runtimeConfig"] = json!({ "portMappings": ports });
    conf
}

fn tcp(host: u16) -> Value {
    json!({"hostPort": host, "containerPort": 80, "protocol": "tcp", "hostIP": "127.0.0.1"})
}

/// Serves one connection in a container, asked for at this port of the host.
#[track_caller]
fn serves(container: &str, port: u16) {
    let at = format!("/run/netns/{container}");
    let listener = in_netns(at, || bound(|| TcpListener::bind("0.0.0.0:80")));
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    server.write_all(b"hello").unwrap();
    drop(server);
    let mut said = String::new();
    client.read_to_string(&mut said).unwrap();
    assert_eq!(said, "hello");
}

fn is_open(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[test]
fn a_port_is_published_once_though_it_is_told_for_each_network() {
    served(|sandbox, _| {
        let (one, two) =
            (Runtime::new(sandbox, "one", "10.92.0"), Runtime::new(sandbox, "two", "10.93.0"));
        one.make("c1");
        one.make("c2");
        let (first, second) = (mapped(&one, json!([tcp(8080)])), mapped(&two, json!([tcp(8080)])));
        one.call("ADD", "c1", &first).ok();
        serves("c1", 8080);
        let add = |verb: &str| {
            let netns = "/run/netns/c1";
            let variables = [
                ("CNI_COMMAND", verb),
                ("CNI_CONTAINERID", "c1"),
                ("CNI_IFNAME", "eth1"),
                ("CNI_NETNS", netns),
            ];
            let mut conf = second.clone();
            // Its way out is the first network's.
            conf["ipam"]["ways"] = json!([]);
            two.start_with(&variables, &conf).ended().ok();
        };
        add("ADD");
        serves("c1", 8080);
        // Another container cannot have it, and leaves nothing.
        let why = refused(&one.call("ADD", "c2", &first), 999);
        assert!(why.contains("8080") && why.contains("already"), "{why}");
        assert!(!sandbox.uswitch(&["show"]).ok().out.contains("10.92.0.11"));
        // It goes on by the network that is left.
        one.del("c1");
        serves("c1", 8080);
        add("DEL");
        assert!(!is_open(8080));
        one.nothing_is_left();
        one.unmake(&["c1", "c2"]);
    });
}

#[test]
fn sockets_that_an_engine_holds_are_shared_with_it() {
    served(|sandbox, serve| {
        let runtime = Runtime::new(sandbox, "lab", "10.92.0");
        runtime.make("c1");
        // As podman's conmon has them: bound before, and never accepted on.
        let (held, datagrams) = (
            TcpListener::bind("127.0.0.1:8080").unwrap(),
            UdpSocket::bind("127.0.0.1:8053").unwrap(),
        );
        let name = sandbox.dir.join("conmon");
        std::os::unix::fs::symlink("/bin/sh", &name).unwrap();
        let mut keeper = sandbox.command(As::Root, &name);
        keeper.args(["-c", "sleep 1000 <&- >&-; :", "-c", "c1"]);
        keeper.stdin(Stdio::from(OwnedFd::from(held))).stdout(OwnedFd::from(datagrams));
        let mut running = keeper.stderr(Stdio::null()).spawn().unwrap();
        // It has copies of its own.
        drop(keeper);
        let conf = mapped(
            &runtime,
            json!([tcp(8080), tcp(8081), {"hostPort": 8053, "containerPort": 53,
                "protocol": "udp", "hostIP": "127.0.0.1"}]),
        );
        let comm = format!("/proc/{}/comm", running.id());
        while std::fs::read_to_string(&comm).unwrap() != "conmon\n" {
            std::thread::sleep(Duration::from_millis(5));
        }
        runtime.call("ADD", "c1", &conf).ok();
        serves("c1", 8080);
        serves("c1", 8081);
        let inside = in_netns("/run/netns/c1", || UdpSocket::bind("0.0.0.0:53").unwrap());
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        for socket in [&inside, &client] {
            socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        }
        client.send_to(b"who", "127.0.0.1:8053").unwrap();
        let mut bytes = [0; 16];
        let (length, from) = inside.recv_from(&mut bytes).unwrap();
        inside.send_to(&bytes[..length], from).unwrap();
        let (length, from) = client.recv_from(&mut bytes).unwrap();
        assert_eq!((&bytes[..length], from), (&b"who"[..], "127.0.0.1:8053".parse().unwrap()));
        // The next server finds them where they are.
        let killed = serve.take().unwrap();
        killed.signal(Signal::SIGKILL);
        killed.ended();
        *serve = Some(start(sandbox));
        serves("c1", 8080);
        serves("c1", 8081);
        runtime.call("DEL", "c1", &conf).ok();
        assert!(!is_open(8081));
        // What the engine holds is nobody else's by now.
        running.kill().unwrap();
        running.wait().unwrap();
        assert!(!is_open(8080));
        drop(TcpListener::bind("127.0.0.1:8080").unwrap());
        drop(UdpSocket::bind("127.0.0.1:8053").unwrap());
        runtime.nothing_is_left();
        runtime.unmake(&["c1"]);
    });
}

#[test]
fn a_port_leads_by_the_network_with_the_way_out() {
    served(|sandbox, _| {
        let (mut inner, outer) =
            (Runtime::new(sandbox, "inner", "10.92.0"), Runtime::new(sandbox, "outer", "10.93.0"));
        inner.conf["internal"] = json!(true);
        inner.conf["ipam"]["ways"] = json!([]);
        inner.make("c1");
        let (first, second) =
            (mapped(&inner, json!([tcp(8080)])), mapped(&outer, json!([tcp(8080)])));
        let leads = |to: &str| {
            let table = sandbox.uswitch(&["show", "published"]).ok().out;
            assert!(
                table.contains(&format!("{to}:80")) && table.matches(":80 ").count() < 2,
                "{table}"
            );
            serves("c1", 8080);
        };
        inner.call("ADD", "c1", &first).ok();
        leads("10.92.0.10");
        // Chosen anew when a network comes, and when one goes.
        outer.start("ADD", "c1", "eth1", &second).ended().ok();
        leads("10.93.0.10");
        outer.start("DEL", "c1", "eth1", &second).ended().ok();
        leads("10.92.0.10");
        inner.del("c1");
        assert!(!is_open(8080));
        inner.nothing_is_left();
        inner.unmake(&["c1"]);
    });
}

#[test]
fn a_port_that_was_found_stays_whoever_leads_there_and_serves() {
    served(|sandbox, serve| {
        let (mut inner, outer) =
            (Runtime::new(sandbox, "inner", "10.92.0"), Runtime::new(sandbox, "outer", "10.93.0"));
        inner.conf["internal"] = json!(true);
        inner.conf["ipam"]["ways"] = json!([]);
        let (first, second) = (mapped(&inner, json!([tcp(0)])), mapped(&outer, json!([tcp(0)])));
        for name in ["c1", "c2"] {
            inner.make(name);
            inner.call("ADD", name, &first).ok();
        }
        let before = published(sandbox);
        let (one, two) = (before["10.92.0.10:80"], before["10.92.0.11:80"]);
        let leads = |to: &str| {
            let wanted = [(to.to_owned(), one), ("10.92.0.11:80".into(), two)];
            assert_eq!(published(sandbox), wanted.into());
        };
        outer.start("ADD", "c1", "eth1", &second).ended().ok();
        leads("10.93.0.10:80");
        let killed = serve.take().unwrap();
        killed.signal(Signal::SIGKILL);
        killed.ended();
        *serve = Some(start(sandbox));
        leads("10.93.0.10:80");
        outer.start("DEL", "c1", "eth1", &second).ended().ok();
        leads("10.92.0.10:80");
        for name in ["c1", "c2"] {
            inner.del(name);
        }
        inner.nothing_is_left();
        inner.unmake(&["c1", "c2"]);
    });
}

/// A namespace that goes without DEL, as with a runtime that is killed.
#[test]
fn a_port_is_anothers_once_its_container_has_ended_though_nobody_has_told() {
    served(|sandbox, _| {
        let (old, new) =
            (Runtime::new(sandbox, "old", "10.93.0"), Runtime::new(sandbox, "new", "10.92.0"));
        for name in ["c1", "c2"] {
            old.make(name);
        }
        old.call("ADD", "c1", &mapped(&old, json!([tcp(8080)]))).ok();
        let conf = mapped(&new, json!([tcp(8080)]));
        let why = refused(&new.call("ADD", "c2", &conf), 999);
        assert!(why.contains("already allocated"), "{why}");
        old.unmake(&["c1"]);
        // At once, which may be before the kernel has taken the link away.
        new.call("ADD", "c2", &conf).ok();
        serves("c2", 8080);
        // It was the last in its network.
        let networks = sandbox.uswitch(&["network", "ls"]).ok().out;
        assert!(networks.contains("new") && !networks.contains("old"), "{networks}");
        old.del("c1");
        serves("c2", 8080);
        new.del("c2");
        assert!(!is_open(8080));
        new.nothing_is_left();
        new.unmake(&["c2"]);
    });
}

#[test]
fn a_port_is_the_hosts_once_its_container_has_ended_though_nobody_has_told() {
    served(|sandbox, _| {
        let runtime = Runtime::new(sandbox, "lab", "10.92.0");
        runtime.make("c1");
        runtime.call("ADD", "c1", &mapped(&runtime, json!([tcp(8080)]))).ok();
        runtime.unmake(&["c1"]);
        let own = eventually("the port", || TcpListener::bind("127.0.0.1:8080").ok());
        let gone = || !sandbox.uswitch(&["network", "ls"]).ok().out.contains("lab");
        eventually("the end of its network", || gone().then_some(()));
        drop(own);
        runtime.del("c1");
        runtime.nothing_is_left();
    });
}
