//! Ports that are published for containers: by sockets of ours, and by those that whoever calls the
//! plugin holds already, as podman does.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Runtime, refused};
use crate::recorded::served;
use crate::support::in_netns;

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
    let listener = in_netns(format!("/run/netns/{container}"), || TcpListener::bind("0.0.0.0:80"));
    let listener = listener.unwrap();
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
fn sockets_that_the_caller_holds_are_shared_with_it() {
    served(|sandbox, _| {
        let runtime = Runtime::new(sandbox, "lab", "10.92.0");
        runtime.make("c1");
        // As podman does: bound before the plugin is called, and never accepted on.
        let held = TcpListener::bind("127.0.0.1:8080").unwrap();
        let datagrams = UdpSocket::bind("127.0.0.1:8053").unwrap();
        let conf = mapped(
            &runtime,
            json!([tcp(8080), tcp(8081), {"hostPort": 8053, "containerPort": 53,
                "protocol": "udp", "hostIP": "127.0.0.1"}]),
        );
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
        runtime.call("DEL", "c1", &conf).ok();
        assert!(!is_open(8081));
        // What is the caller's stays with it, and with nobody else.
        drop((held, datagrams));
        assert!(!is_open(8080));
        drop(TcpListener::bind("127.0.0.1:8080").unwrap());
        drop(UdpSocket::bind("127.0.0.1:8053").unwrap());
        runtime.nothing_is_left();
        runtime.unmake(&["c1"]);
    });
}
