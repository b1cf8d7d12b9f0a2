//! Published ports on loopback, where a "container" is another socket.
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use topology::Protocol;

use super::*;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A process that starts has a copy of every descriptor until it runs its program: a port that was let go
/// of in between is still bound. So none starts while a test counts on a port that is free again.
static STARTING: RwLock<()> = RwLock::new(());

fn none_starts() -> RwLockReadGuard<'static, ()> {
    STARTING.read().unwrap_or_else(PoisonError::into_inner)
}

fn ask(protocol: Protocol, port: u16, first: u16, last: u16) -> PortAsk {
    PortAsk { protocol, port, host: Some(HERE), first: Some(first), last: Some(last) }
}

/// A port that is free, at least a moment ago.
fn free() -> u16 {
    TcpListener::bind((HERE, 0)).unwrap().local_addr().unwrap().port()
}

fn end<T>(socket: &T, set: impl Fn(&T, Option<Duration>) -> std::io::Result<()>) {
    set(socket, Some(Duration::from_secs(20))).unwrap();
}

#[test]
fn bytes_pass_both_ways_until_both_are_done() {
    let _none = none_starts();
    let publisher = Publisher::start().unwrap();
    let server = TcpListener::bind((HERE, 0)).unwrap();
    let (inside, outside) = (server.local_addr().unwrap().port(), free());
    publisher
        .publish("e", (HERE, true), (&[ask(Protocol::Tcp, inside, outside, outside)], &[]), vec![])
        .unwrap();
    let mut client = TcpStream::connect((HERE, outside)).unwrap();
    let (mut there, _) = server.accept().unwrap();
    end(&client, TcpStream::set_read_timeout);
    end(&there, TcpStream::set_read_timeout);
    client.write_all(b"question").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut text = String::new();
    there.read_to_string(&mut text).unwrap();
    there.write_all(b"answer").unwrap();
    drop(there);
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!((text.as_str(), answer.as_str()), ("question", "answer"));
    // Withdrawn it is free for others, and connections have ended.
    let mut client = TcpStream::connect((HERE, outside)).unwrap();
    let (_there, _) = server.accept().unwrap();
    end(&client, TcpStream::set_read_timeout);
    publisher.withdraw("e");
    let ended = client.read(&mut [0]);
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    publisher
        .publish("f", (HERE, true), (&[ask(Protocol::Tcp, inside, outside, outside)], &[]), vec![])
        .unwrap();
}

#[test]
fn a_port_that_is_taken_is_refused_in_dockers_words_and_a_range_goes_on() {
    let _none = none_starts();
    let publisher = Publisher::start().unwrap();
    let taken = TcpListener::bind((HERE, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let why = publisher
        .publish("e", (HERE, true), (&[ask(Protocol::Tcp, 80, port, port)], &[]), vec![])
        .unwrap_err();
    let wanted = format!("Bind for 127.0.0.1:{port} failed: port is already allocated");
    assert_eq!(why.0, wanted);
    // All or none: the first of these was free.
    let other = free();
    let two = [ask(Protocol::Tcp, 80, other, other), ask(Protocol::Tcp, 81, port, port)];
    assert!(publisher.publish("e", (HERE, true), (&two, &[]), vec![]).is_err());
    drop(TcpListener::bind((HERE, other)).unwrap());
    // Those that can be had, where it is others that serve the world.
    publisher.publish("e", (HERE, false), (&two, &[]), vec![]).unwrap();
    let led: Vec<_> =
        publisher.leading("e").iter().map(|led| (led.port, led.inside.port())).collect();
    assert_eq!(led, [(other, 80)]);
    // There the engine's own resolver has its port.
    for host in [None, Some("0.0.0.0"), Some("::")] {
        let host = host.map(|text| text.parse().unwrap());
        let names = PortAsk { host, ..ask(Protocol::Udp, 53, NAMES, NAMES) };
        assert!(is_of_names(&names), "{host:?}");
        publisher.publish("names", (HERE, false), (&[names], &[]), vec![]).unwrap();
        assert!(publisher.leading("names").is_empty());
    }
    assert!(!is_of_names(&ask(Protocol::Udp, 53, NAMES, NAMES)), "at one address it is not");
    let range = ask(Protocol::Tcp, 80, port, port.saturating_add(50));
    publisher.publish("e", (HERE, true), (&[range], &[]), vec![]).unwrap();
}

/// The rest of it runs in a process of its own, which has few descriptors.
#[test]
fn ports_that_take_more_than_there_is_are_none_where_others_serve_the_world() {
    const FEW: &str = "USWITCH_TEST_FEW";
    if std::env::var_os(FEW).is_none() {
        let own = std::env::current_exe().unwrap();
        let name = "ports_that_take_more_than_there_is_are_none_where_others_serve_the_world";
        let line = format!("ulimit -n 64; exec {} --exact publish::tests::{name}", own.display());
        let mut few = Command::new("sh");
        few.args(["-c", &line]).env(FEW, "1").stdout(Stdio::piped());
        let alone = STARTING.write().unwrap_or_else(PoisonError::into_inner);
        let started = few.spawn().unwrap();
        drop(alone);
        let ended = started.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stdout);
        return assert!(ended.status.success() && said.contains("1 passed"), "{said}");
    }
    let publisher = Publisher::start().unwrap();
    let any = PortAsk { first: None, last: None, ..ask(Protocol::Udp, 53, 0, 0) };
    let many = vec![any.clone(); 100];
    let Refusal(why) = publisher.publish("e", (HERE, true), (&many, &[]), vec![]).unwrap_err();
    assert!(why.contains("Too many open files"), "{why}");
    publisher.publish("e", (HERE, false), (&many, &[]), vec![]).unwrap();
    assert!(publisher.leading("e").is_empty());
    publisher.publish("e", (HERE, false), (&many[..10], &[]), vec![]).unwrap();
    assert_eq!(publisher.leading("e").len(), 10);
    // In both families, where the host has both, or in none: one descriptor is left.
    if UdpSocket::bind("[::]:0").is_ok() {
        let mut all: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        all.pop();
        let both = PortAsk { host: None, ..any };
        assert!(publisher.publish("f", (HERE, true), (&[both], &[]), vec![]).is_err());
    }
}

#[test]
fn answers_to_datagrams_find_their_clients() {
    let _none = none_starts();
    let publisher = Publisher::start().unwrap();
    let server = UdpSocket::bind((HERE, 0)).unwrap();
    let outside = UdpSocket::bind((HERE, 0)).unwrap().local_addr().unwrap().port();
    let inside = server.local_addr().unwrap().port();
    publisher
        .publish("e", (HERE, true), (&[ask(Protocol::Udp, inside, outside, outside)], &[]), vec![])
        .unwrap();
    let clients = [b"one", b"two"].map(|word| {
        let client = UdpSocket::bind((HERE, 0)).unwrap();
        end(&client, UdpSocket::set_read_timeout);
        client.send_to(word, (HERE, outside)).unwrap();
        (client, word)
    });
    end(&server, UdpSocket::set_read_timeout);
    let mut buffer = [0; 16];
    for _ in &clients {
        let (length, from) = server.recv_from(&mut buffer).unwrap();
        server.send_to(&buffer[..length], from).unwrap();
    }
    for (client, word) in &clients {
        let (length, from) = client.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], from.port()), (&word[..], outside));
    }
}

#[test]
fn an_answer_to_a_datagram_comes_from_the_address_that_was_asked() {
    let publisher = Publisher::start().unwrap();
    for (all, host) in [(false, "127.0.0.1"), (false, "127.7.7.7"), (true, "::1")] {
        let own: IpAddr = if all { "::1".parse().unwrap() } else { HERE };
        let server = UdpSocket::bind((own, 0)).unwrap();
        let inside = server.local_addr().unwrap().port();
        let asked = PortAsk { host: None, first: None, ..ask(Protocol::Udp, inside, 0, 0) };
        publisher.publish("e", (own, true), (&[asked], &[]), vec![]).unwrap();
        let outside = publisher.leading("e")[0].port;
        let host: IpAddr = host.parse().unwrap();
        let client = UdpSocket::bind((own, 0)).unwrap();
        client.connect((host, outside)).unwrap();
        end(&client, UdpSocket::set_read_timeout);
        end(&server, UdpSocket::set_read_timeout);
        client.send(b"hi").unwrap();
        let mut buffer = [0; 16];
        let (length, from) = server.recv_from(&mut buffer).unwrap();
        server.send_to(&buffer[..length], from).unwrap();
        assert_eq!(client.recv(&mut buffer).unwrap(), 2, "{host}");
    }
}

#[test]
fn a_port_that_was_found_is_found_again() {
    let _none = none_starts();
    let publisher = Publisher::start().unwrap();
    let any = PortAsk { first: None, last: None, ..ask(Protocol::Tcp, 80, 0, 0) };
    let asked = [any.clone(), any.clone()];
    let found = publisher.publish("e", (HERE, true), (&asked, &[]), vec![]).unwrap();
    let ports: Vec<_> = found.iter().map(|own| own.port).collect();
    publisher.withdraw("e");
    let again = publisher.publish("e", (HERE, true), (&asked, &found), vec![]).unwrap();
    assert_eq!(again, found);
    publisher.withdraw("e");
    // Another has one of them meanwhile, and the second is kept for whoever had it.
    let taken = TcpListener::bind((HERE, ports[0])).unwrap();
    ports.iter().for_each(|port| publisher.reserve(exactly(&any, *port)));
    let range = ask(Protocol::Tcp, 80, ports[1], ports[1]);
    assert!(TcpListener::bind((HERE, ports[1])).is_err(), "it is bound");
    let other = publisher.publish("e", (HERE, true), (&asked, &found), vec![]).unwrap();
    assert!(other[0].port != ports[0] && other[1] == found[1], "{other:?}");
    publisher.withdraw("e");
    drop(taken);
    publisher.reserve(range.clone());
    publisher.release();
    assert_eq!(publisher.publish("f", (HERE, true), (&[range], &[]), vec![]).unwrap(), []);
}

#[test]
fn a_port_at_one_address_is_not_in_the_way_at_another() {
    let _none = none_starts();
    let publisher = Publisher::start().unwrap();
    let port = free();
    publisher
        .publish("e", (HERE, true), (&[ask(Protocol::Tcp, 80, port, port)], &[]), vec![])
        .unwrap();
    let at = |host: Option<[u8; 4]>| {
        let host = host.map(IpAddr::from);
        publisher.holding(&[PortAsk { host, ..ask(Protocol::Tcp, 80, port, port) }])
    };
    assert!(at(Some([127, 0, 0, 2])).is_empty());
    assert_eq!([at(None), at(Some([127, 0, 0, 1]))].concat(), ["e", "e"]);
}
