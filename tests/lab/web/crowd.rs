//! More pages than there are places, and browsers that never read: told, bounded, and nothing to the lab.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{Served, lab, served};
use crate::door::{PATIENCE, until};
use crate::support::rooted;

#[test]
fn a_ninth_page_is_told_and_has_the_place_of_one_that_closes() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let served = served(sandbox);
        let mut pages: Vec<_> = (0..8).map(|_| served.events("")).collect();
        pages.iter_mut().for_each(|page| drop(page.next()));
        let refused = served.get("/events");
        assert_eq!(refused.status, 503);
        assert!(refused.error().contains("8 pages look"), "{}", refused.error());
        // The page itself is still to be had: it is the page that says so.
        assert_eq!(served.get("/").status, 200);
        pages.pop();
        until("the place is free", || answered(&mut served.open("/events")).then_some(()));
    });
}

/// A stream whose browser reads its first line and then no more, with next to no room for what comes.
fn deaf(served: &Served, path: &str) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(1024).unwrap();
    let address: std::net::SocketAddr = served.address.parse().unwrap();
    socket.connect(&address.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.write_all(served.request(path, "").as_bytes()).unwrap();
    assert!(answered(&mut stream), "{path}");
    stream
}

/// Whether a request was answered with 200.
fn answered(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).unwrap();
    start == *b"HTTP/1.1 200"
}

#[test]
fn browsers_that_never_read_cost_neither_memory_nor_frames() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let served = served(sandbox);
        let mut events = served.events("");
        events.tells("node/net1", |_| true);
        let before = served.process.status("VmRSS");
        let paths = ["/events", "/events?follow=icmp", "/events?follow=", "/events?hidden=true"];
        let capture = "/capture?count=100000&seconds=600";
        let _deaf: Vec<_> =
            paths.iter().chain([&capture, &capture]).map(|path| deaf(&served, path)).collect();
        assert_eq!(served.get(capture).status, 503);

        // 60 MB of frames, each of which two captures and two traces want.
        let flood = ["ping", "net1", "net2", "-c", "10000", "-s", "1400", "-i", "0", "-q"];
        let pinged = sandbox.uswitch(&flood).ok();
        assert!(pinged.out.contains("10000 received"), "{}", pinged.out);
        let grown = served.process.status("VmRSS").saturating_sub(before);
        assert!(grown < 16 * 1024, "{grown} KiB more than before");
        // Others are told as ever.
        sandbox.uswitch(&["add", "web"]).ok();
        events.tells("node/web", |_| true);
    });
}
