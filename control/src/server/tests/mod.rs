//! The server on a real socket, before a lab in memory: what it answers, and to whom it does not
//! listen.

mod flows;
mod hostile;
mod unknown;

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Limits, ROUTES, Server};
use crate::api::{AddNode, Event, EventKind, FlushFdb, FlushNat, Problem, Protocol, Publish};
use crate::testing::MemoryLab;
use crate::{Client, ClientError, Door, Exporter};

/// A server before a lab, in a directory of its own.
struct Fixture {
    lab: Arc<MemoryLab>,
    server: Option<Server>,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn new(lab: MemoryLab, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lab/control.sock");
        let lab = Arc::new(lab);
        let server = Some(Server::start(&path, lab.clone(), limits).unwrap());
        Self { lab, server, path, _folder: folder }
    }

    fn client(&self) -> Client {
        Client::new(&self.path).unwrap()
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// One request as it is, and the whole answer.
    fn raw(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

fn plain() -> Fixture {
    Fixture::new(MemoryLab::with_nodes(2), Limits::default())
}

#[test]
fn the_socket_and_its_directory_are_the_owners_alone() {
    let fixture = plain();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&fixture.path) & 0o777, 0o600);
    assert_eq!(mode(fixture.path.parent().unwrap()) & 0o777, 0o700);
}

#[test]
fn the_client_gets_what_the_lab_says() {
    let fixture = plain();
    let client = fixture.client();
    assert_eq!(client.topology().unwrap(), fixture.lab.topology());
    assert_eq!(client.version().unwrap().lab, "test");
    assert_eq!(client.ports().unwrap().len(), 2);
    assert_eq!(client.home("net2").unwrap().node, "net2");
    assert!(matches!(client.home("net9"), Err(ClientError::Refused { status: 404, .. })));
    assert_eq!(client.neighbours().unwrap()[0].state, ["REACHABLE"]);
    assert_eq!(client.sessions(0, 10).unwrap().items[0].remote.port(), 443);
    assert_eq!(client.names().unwrap()[0].fqdn, "net1.test");
    assert_eq!(client.counters().unwrap(), fixture.lab.counters());
    assert_eq!(client.published().unwrap()[0].port, 8080);
    assert_eq!(client.fdb().unwrap()[0].updated, 1);
    assert_eq!(client.flush_nat(&FlushNat::default()).unwrap().flushed, 2);
    let of_one = FlushNat { node: Some("net1".into()), ..FlushNat::default() };
    assert_eq!(client.flush_nat(&of_one).unwrap().flushed, 1);
    assert_eq!(client.flush_fdb(&FlushFdb::default()).unwrap().flushed, 3);
    assert_eq!(
        client
            .flush_fdb(&FlushFdb { port: Some("veth1".into()), ..FlushFdb::default() })
            .unwrap()
            .flushed,
        1
    );
    assert_eq!(client.metrics().unwrap(), crate::openmetrics(&*fixture.lab));
    assert_eq!(client.add_node(&AddNode::default()).unwrap().name, "net3");
    client.remove_node("net3").unwrap();
    assert_eq!(client.topology().unwrap().nodes.len(), 2);
    client.unpublish(Protocol::Tcp, 8080).unwrap();
    let ask = Publish {
        protocol: Protocol::Tcp,
        address: None,
        port: 8081,
        node: "net1".into(),
        node_port: 80,
    };
    assert_eq!(client.publish(&ask).unwrap().port, 8081);
}

#[test]
fn refusals_carry_a_status_and_the_labs_line() {
    let fixture = plain();
    let client = fixture.client();
    let refused = |error: ClientError| match error {
        ClientError::Refused { status, message } => (status, message),
        other => panic!("{other}"),
    };
    let name = "no/such?node #1";
    let line = format!("there is no node {name}");
    assert_eq!(refused(client.remove_node(name).unwrap_err()), (404, line));
    let line = "this lab has no gateway".into();
    assert_eq!(refused(client.routes().unwrap_err()), (501, line));
    let ask = Publish {
        protocol: Protocol::Tcp,
        address: None,
        port: 8080,
        node: "net1".into(),
        node_port: 80,
    };
    assert_eq!(refused(client.publish(&ask).unwrap_err()).0, 409);
    for (request, status) in [
        ("GET /v1/nothing", 404),
        ("DELETE /v1/topology", 405),
        ("GET /v1/ports?limit=many", 400),
        ("DELETE /v1/published/sctp/1", 400),
    ] {
        let answer =
            fixture.raw(&format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
    }
    for (body, status) in [("{\"name\": 7}", 422), ("{", 422), (&*"[".repeat(20_000), 413)] {
        let answer = fixture.raw(&format!(
            "POST /v1/nodes HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str::<Problem>(body).unwrap();
    }
}

#[test]
fn every_route_of_the_table_is_served() {
    let fixture = plain();
    for route in ROUTES.iter().filter(|route| !["/v1/events", "/v1/capture"].contains(&route.path))
    {
        let method = route.method.to_uppercase();
        let path =
            route.path.replace("{protocol}", "tcp").replace("{port}", "1").replace("{id}", "7");
        let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = fixture.raw(&request);
        assert!(!answer.contains("no such path"), "{path}: {answer}");
        assert!(!answer.starts_with("HTTP/1.1 405"), "{path}: {answer}");
    }
}

#[test]
fn long_lists_come_in_pages_and_arrive_whole() {
    let lab = MemoryLab { fdb: 5000, ..MemoryLab::with_nodes(1) };
    let fixture = Fixture::new(lab, Limits::default());
    let entries = fixture.client().fdb().unwrap();
    assert_eq!(entries.len(), 5000);
    assert!(entries.windows(2).all(|pair| pair[0].mac < pair[1].mac));
    let answer = fixture
        .raw("GET /v1/fdb?limit=1000000000 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(answer.len() < 400_000, "a page of {} bytes", answer.len());
}

#[test]
fn events_arrive_in_order_and_end_with_the_lab() {
    let mut fixture = plain();
    let client = fixture.client();
    let mut stream = client.events().unwrap();
    let told: Vec<Event> =
        (0..100).map(|count| Event { time: count, kind: EventKind::Aged { count } }).collect();
    for event in &told {
        fixture.lab.events().tell(event.clone());
    }
    for event in &told {
        assert_eq!(stream.next().unwrap().unwrap(), *event);
    }
    fixture.server = None;
    assert!(stream.next().is_none());
    assert!(!fixture.path.exists());
    assert!(matches!(client.topology(), Err(ClientError::NoLab(_))));
}

#[test]
fn a_socket_left_by_a_crash_is_replaced_and_a_long_path_is_explained() {
    let fixture = plain();
    let folder = fixture.path.parent().unwrap();
    let stale = folder.join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    assert!(matches!(Client::new(&stale).unwrap().topology(), Err(ClientError::NoLab(_))));
    let server = Server::start(&stale, fixture.lab.clone(), Limits::default()).unwrap();
    assert_eq!(Client::new(server.path()).unwrap().topology().unwrap().lab, "test");
    let long = folder.join("x".repeat(120));
    let error = Server::start(&long, fixture.lab.clone(), Limits::default()).unwrap_err();
    assert!(error.to_string().contains("USWITCH_RUN_DIR"), "{error}");
}

#[test]
fn prometheus_can_scrape() {
    let lab = Arc::new(MemoryLab::with_nodes(1));
    let exporter = Exporter::start("127.0.0.1:0".parse().unwrap(), lab.clone()).unwrap();
    let newer = crate::openmetrics(&*lab);
    for (accept, kind, text) in [
        ("", "text/plain; version=0.0.4", crate::prometheus_text(&newer)),
        ("accept: application/openmetrics-text\r\n", "application/openmetrics-text", newer.clone()),
    ] {
        let mut stream = std::net::TcpStream::connect(exporter.address()).unwrap();
        let ask = format!("GET /metrics HTTP/1.1\r\nhost: x\r\n{accept}connection: close\r\n\r\n");
        stream.write_all(ask.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-type: {kind}")), "{head}");
        assert_eq!(body, text);
    }
}
