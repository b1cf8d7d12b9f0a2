//! Clients that mean ill: they never read, send half a request, come by the thousand. Meanwhile a
//! good client is served, and memory stays where it was.

use std::io::{Read, Write};
use std::time::Duration;

use super::{Fixture, plain};
use crate::api::{Event, EventKind};
use crate::testing::MemoryLab;
use crate::{ClientError, Door, EVENTS_KEPT, Limits};

fn quick() -> Limits {
    let short = Duration::from_millis(300);
    Limits { header: short, body: short, stall: short, ..Limits::default() }
}

/// Memory of this process that is in use, in bytes.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// Reads to the end, which must come; a reset counts as one.
fn read_out(stream: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => bytes,
        Err(error) => panic!("the server keeps the connection: {error}"),
    }
}

#[test]
fn half_a_request_is_given_up() {
    let fixture = Fixture::new(MemoryLab::with_nodes(1), quick());
    for half in [
        "",
        "GET /v1/top",
        "GET /v1/topology HTTP/1.1\r\nhost: x\r\n",
        "POST /v1/nodes HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{\"name\":",
    ] {
        let mut stream = fixture.connect();
        stream.write_all(half.as_bytes()).unwrap();
        let answer = String::from_utf8(read_out(&mut stream)).unwrap();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{half}: {answer}");
    }
}

#[test]
fn endless_headers_and_nonsense_are_refused() {
    let fixture = plain();
    let endless = format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(200_000));
    for nonsense in [endless.as_bytes(), b"\0\xff\r\n\r\n", b"GET GET GET\r\n\r\n"] {
        let mut stream = fixture.connect();
        // The server may close while we still write.
        let _ = stream.write_all(nonsense);
        let answer = read_out(&mut stream);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{answer:?}");
    }
    assert_eq!(fixture.client().topology().unwrap().nodes.len(), 2);
}

#[test]
fn a_client_that_never_reads_loses_its_place() {
    let lab = MemoryLab { fdb: 100_000, ..MemoryLab::with_nodes(1) };
    let fixture = Fixture::new(lab, Limits { connections: 2, ..quick() });
    let mut deaf: Vec<_> = (0..2)
        .map(|_| {
            let mut stream = fixture.connect();
            let request = "GET /v1/fdb?limit=1024 HTTP/1.1\r\nhost: x\r\n\r\n".repeat(20);
            let _ = stream.write_all(request.as_bytes());
            // So that one loses its place before the other does.
            std::thread::sleep(Duration::from_millis(150));
            stream
        })
        .collect();
    // Both places are taken at first; soon both are free again, which a client is served beside
    // one that holds the other place shows. With one place free alone, the other deaf client would
    // be a reader by now, and get all it asked for.
    let served = (0..50).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        let mut held = fixture.connect();
        let _ = held.write_all(b"GET /v1/topo");
        fixture.client().topology().is_ok()
    });
    assert!(served, "the places of clients that never read are never freed");
    for stream in &mut deaf {
        let unread = read_out(stream);
        assert!(unread.len() < 2_000_000, "{} bytes were waiting", unread.len());
    }
}

#[test]
fn a_thousand_connections_are_bounded_and_told_so() {
    let fixture = Fixture::new(MemoryLab::with_nodes(1), quick());
    let before = resident();
    let mut refused = 0;
    let mut open = Vec::new();
    for _ in 0..1000 {
        let mut stream = fixture.connect();
        // Refused ones may be gone already.
        let _ = stream.write_all(b"GET /v1/topo");
        open.push(stream);
    }
    for stream in &mut open {
        let answer = read_out(stream);
        refused += usize::from(answer.starts_with(b"HTTP/1.1 503"));
    }
    assert!(refused > 500, "only {refused} were told that there is no place");
    let grown = resident().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes more for clients that are gone");
    assert_eq!(fixture.client().topology().unwrap().nodes.len(), 1);
}

#[test]
fn a_listener_that_never_reads_costs_no_memory_and_no_time() {
    let fixture = Fixture::new(MemoryLab::with_nodes(1), quick());
    let client = fixture.client();
    let mut slow = client.events().unwrap();
    let before = resident();
    let told = 200_000;
    for count in 0..told {
        fixture.lab.events().tell(Event { time: count, kind: EventKind::Aged { count } });
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes for {EVENTS_KEPT} events");
    assert_eq!(fixture.client().topology().unwrap().nodes.len(), 1);
    // What it was not told and what it was add up: until the server gave up on it.
    let mut next = 0;
    let mut missed = 0;
    while let Some(Ok(event)) = slow.next() {
        match event.kind {
            EventKind::Aged { count } => {
                assert_eq!(count, next + missed);
                next += 1;
            }
            EventKind::Missed { count } => missed += count,
            other => panic!("{other:?}"),
        }
        if next + missed == told {
            break;
        }
    }
    assert!(missed > 0, "200,000 events fitted a ring of {EVENTS_KEPT}");
}

#[test]
fn event_streams_leave_places_for_questions() {
    let fixture = Fixture::new(MemoryLab::with_nodes(1), Limits { streams: 2, ..quick() });
    let clients: Vec<_> = (0..3).map(|_| fixture.client()).collect();
    let streams: Vec<_> = clients.iter().map(|client| client.events()).collect();
    assert!(streams[..2].iter().all(Result::is_ok));
    let error = streams[2].as_ref().unwrap_err().to_string();
    assert!(error.contains("too many clients listen"), "{error}");
    assert!(fixture.client().topology().is_ok());
}

#[test]
fn calls_that_hang_are_bounded_and_quick_questions_are_told() {
    let lab = MemoryLab { slow: Duration::from_secs(2), ..MemoryLab::with_nodes(1) };
    let limits = Limits { calls: 2, call: Duration::from_millis(300), ..quick() };
    let fixture = Fixture::new(lab, limits);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let error = fixture.client().counters().unwrap_err().to_string();
                assert!(error.contains("busy"), "{error}");
            });
        }
    });
}

#[test]
fn a_client_at_a_full_door_is_always_told_so() {
    let limits = Limits { connections: 2, header: Duration::from_secs(60), ..Limits::default() };
    let fixture = Fixture::new(MemoryLab::with_nodes(1), limits);
    let taken: Vec<_> = (0..2).map(|_| fixture.connect()).collect();
    std::thread::sleep(Duration::from_millis(200));
    for turn in 0..100 {
        match fixture.client().topology() {
            Err(ClientError::Refused { status: 503, .. }) => {}
            other => panic!("{turn}: {other:?}"),
        }
    }
    drop(taken);
    let served = (0..50).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        fixture.client().topology().is_ok()
    });
    assert!(served, "places come back");
}

#[test]
fn what_a_request_says_and_cannot_be_read_is_refused_in_json() {
    let fixture = plain();
    for (line, status) in [
        ("GET /v1/ports?limit=many", "400"),
        ("GET /v1/nat?cursor=-1", "400"),
        ("DELETE /v1/tunnels/many", "400"),
        ("DELETE /v1/published/sctp/80", "400"),
        ("DELETE /v1/flows/x", "400"),
    ] {
        let answer =
            fixture.raw(&format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{line}: {answer}");
        let problem: crate::api::Problem = serde_json::from_str(body).unwrap();
        assert!(!problem.error.is_empty() && !problem.error.contains('\n'), "{line}: {answer}");
    }
}
