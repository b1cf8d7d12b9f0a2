//! Captures and traces: bytes arrive whole, end when they should, and a client that does not read
//! or goes away costs a few chunks and no more.

use std::io::{Read, Write};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Fixture, plain};
use crate::api::{CaptureAsk, Event, EventKind, ExplainAsk, TraceAsk, TraceLine};
use crate::server::Limits;
use crate::testing::{FLOW_OVER, MemoryLab};
use crate::{CHUNK, ClientError};

#[test]
fn a_capture_arrives_whole_and_a_trace_line_by_line() {
    let fixture = plain();
    let client = fixture.client();
    let ask = CaptureAsk { count: Some(40), ..CaptureAsk::default() };
    let stream = client.capture(&ask).unwrap();
    assert_eq!(stream.id(), 7);
    let bytes: usize = stream.map(|bytes| bytes.unwrap().len()).sum();
    assert_eq!(bytes, 40 * CHUNK);
    let ask = TraceAsk { count: Some(30), ..TraceAsk::default() };
    let lines: Vec<_> = client.trace(&ask).unwrap().map(Result::unwrap).collect();
    let told: Vec<_> = (0..30).map(|count| TraceLine::Lost { count }).collect();
    assert_eq!(lines, told);
    let ask = ExplainAsk { from: "net1".into(), to: "net2".into(), port: None, protocol: None };
    assert_eq!(client.explain(&ask).unwrap().port, "net1");
    client.end_flow(7).unwrap();
    assert!(matches!(client.end_flow(9), Err(ClientError::Refused { status: 404, .. })));
    let ask = CaptureAsk { filter: "nonsense".into(), ..CaptureAsk::default() };
    assert!(client.capture(&ask).unwrap_err().to_string().contains("no such word"));
}

#[test]
fn what_is_under_way_is_read_to_its_end_when_the_server_stops() {
    let mut fixture = plain();
    let ask = CaptureAsk { count: Some(100), ..CaptureAsk::default() };
    let body = serde_json::to_string(&ask).unwrap();
    let ask = format!(
        "POST /v1/capture HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut flow = fixture.connect();
    flow.write_all(ask.as_bytes()).unwrap();
    let mut events = fixture.connect();
    events.write_all(b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut first = [0; 1];
    flow.read_exact(&mut first).unwrap();
    events.read_exact(&mut first).unwrap();
    let reading = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        flow.read_to_end(&mut bytes).unwrap();
        bytes
    });
    drop(fixture.server.take());
    let bytes = reading.join().unwrap();
    assert!(bytes.len() > 100 * CHUNK && bytes.ends_with(b"\r\n0\r\n\r\n"), "{}", bytes.len());
    // Events have no end of their own.
    let mut bytes = Vec::new();
    events.read_to_end(&mut bytes).unwrap();
    assert!(bytes.ends_with(b"\r\n0\r\n\r\n"), "{bytes:?}");
}

#[test]
fn a_client_that_does_not_read_or_goes_away_ends_its_flow_and_costs_a_few_chunks() {
    let limits = Limits { stall: Duration::from_millis(500), ..Limits::default() };
    let fixture = Fixture::new(MemoryLab::with_nodes(1), limits);
    let begin = || {
        let mut stream = fixture.connect();
        let ask = "POST /v1/capture HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}";
        stream.write_all(ask.as_bytes()).unwrap();
        stream
    };
    let over = |flows: u64| {
        for _ in 0..2000 {
            let written = fixture.lab.written.load(Ordering::Relaxed);
            if written >> 32 == flows {
                return written % FLOW_OVER;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the flow goes on")
    };
    // Never reads: given up after the time for a stalled write.
    let silent = begin();
    let chunks = over(1);
    assert!(chunks < 40, "{chunks} chunks for nobody");
    drop(silent);
    // Goes away at once.
    drop(begin());
    over(2);
    assert_eq!(fixture.client().version().unwrap().lab, "test");
}

#[test]
fn a_stream_that_breaks_off_says_whether_the_lab_has_ended() {
    let mut fixture = plain();
    let client = fixture.client();
    // It is not read, so it has no end of its own when the server stops.
    let mut stream = client.capture(&CaptureAsk::default()).unwrap();
    drop(fixture.server.take());
    let why = stream.find_map(Result::err).unwrap();
    assert!(matches!(why, ClientError::Ended(_)), "{why}");

    let limits = Limits { stall: Duration::from_millis(300), ..Limits::default() };
    let fixture = Fixture::new(MemoryLab::with_nodes(1), limits);
    let client = fixture.client();
    let mut stream = client.capture(&CaptureAsk::default()).unwrap();
    while fixture.lab.written.load(Ordering::Relaxed) < FLOW_OVER {
        std::thread::sleep(Duration::from_millis(10));
    }
    let why = stream.find_map(Result::err).unwrap();
    assert!(why.to_string().contains("not read for too long"), "{why}");
}

#[test]
fn what_was_told_before_the_end_is_heard() {
    let mut fixture = plain();
    let client = fixture.client();
    let events = client.events().unwrap();
    let aged = |count| Event { time: count, kind: EventKind::Aged { count } };
    for count in 0..100 {
        fixture.lab.events.tell(aged(count));
    }
    drop(fixture.server.take());
    let heard: Vec<_> = events.map(Result::unwrap).collect();
    assert_eq!(heard, (0..100).map(aged).collect::<Vec<_>>());
}
