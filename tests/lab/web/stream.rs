//! The stream of a page: a snapshot, then what changes; walks of frames; captures as files. The lab may
//! stop and come back.

use nix::sys::signal::Signal;
use observe::pcapng::{Block, Reader};
use serde_json::Value;

use super::{lab, served};
use crate::door::json;
use crate::support::rooted;

/// The names of one kind in a snapshot.
fn names<'a>(snapshot: &'a Value, kind: &str) -> Vec<&'a str> {
    let keys = snapshot.as_object().unwrap().keys();
    keys.filter_map(|key| key.strip_prefix(kind)).collect()
}

#[test]
fn first_all_of_the_lab_then_what_changes() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "3"]);
        let served = served(sandbox);
        served.events("").tells("node/net1", |_| true);
        // Somebody has looked: the next one's first event has it all.
        let mut events = served.events("");
        let (kind, snapshot) = events.next();
        assert_eq!(kind, "snapshot");
        let topology = json(sandbox, &["show", "topology", "-j"]);
        let nodes = topology["nodes"].as_array().unwrap();
        let shown: Vec<_> = nodes.iter().map(|node| node["name"].as_str().unwrap()).collect();
        assert_eq!(names(&snapshot, "node/"), shown);
        assert_eq!(names(&snapshot, "port/"), ["veth1", "veth2", "veth3", "vethinet"]);
        assert_eq!(names(&snapshot, "network/"), ["lan"]);
        assert_eq!(snapshot["lab"]["pid"], topology["pid"]);
        assert_eq!(snapshot["gateway"]["address"], topology["gateway"]["address"]);
        assert_eq!(snapshot["uplink"]["answers"], topology["uplink"]["answers"]);

        sandbox.uswitch(&["add", "web"]).ok();
        let added = events.tells("node/web", |_| true);
        // What has not changed is not told again.
        assert!(added["node/net1"].is_null(), "{added}");
        sandbox.uswitch(&["link", "net2", "down"]).ok();
        events.tells("port/veth2", |port| port["state"] == "DOWN");
        sandbox.uswitch(&["remove", "web"]).ok();
        let gone = |kind: &str, data: &Value| {
            kind == "change"
                && data["del"].as_array().is_some_and(|del| del.contains(&"node/web".into()))
        };
        events.comes(gone);
    });
}

#[test]
fn labs_without_a_switch_are_shown_by_their_links() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "mesh", "-n", "4"]);
        let served = served(sandbox);
        let mut events = served.events("");
        let all = events.tells("node/net4", |_| true);
        assert_eq!(names(&all, "link/").len(), 6);
        assert!(names(&all, "port/").is_empty());
    });
}

#[test]
fn the_walks_of_frames_come_by_the_same_stream() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let served = served(sandbox);
        let mut events = served.events("?follow=net1%20icmp");
        events.tells("node/net1", |_| true);
        sandbox.uswitch(&["ping", "net1", "8.8.8.8", "-c", "1"]).ok();
        let data = events.comes(|kind, _| kind == "walk");
        let walk = &data["walk"];
        assert_eq!((&walk["port"], &walk["verdict"]), (&"veth1".into(), &"uplink".into()));
        let changes = walk["changes"].as_array().unwrap();
        assert!(changes.iter().any(|change| change["field"] == "ip.ttl"), "{walk}");
        assert_eq!(data["skipped"], 0);

        let refused = served.get("/events?follow=net1%20frobnicate");
        assert_eq!(refused.status, 422);
        assert!(refused.error().contains("frobnicate"), "{}", refused.error());
        let refused = served.get("/events?follow=nobody");
        assert!(refused.error().contains("nobody"), "{}", refused.error());
    });
}

#[test]
fn a_capture_is_a_file_that_ends_by_frames_or_by_time() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run"]);
        let served = served(sandbox);
        let mut ping = sandbox.start(&["ping", "net1", "net2", "-i", "0.05"]);
        ping.wait_for("seq=1 ");
        let file = served.get("/capture?filter=net1+icmp&count=4&seconds=600");
        assert_eq!(file.header("content-type"), "application/x-pcapng");
        assert!(file.header("content-disposition").starts_with("attachment; "));
        assert_eq!(packets(&file.body), 4);
        // Nobody sends such frames: time ends it, and it is a whole file all the same.
        let empty = served.get("/capture?filter=host+192.0.2.1&seconds=1");
        assert_eq!((empty.status, packets(&empty.body)), (200, 0));
    });
}

/// How many packets a file has, which must be whole.
#[track_caller]
fn packets(file: &[u8]) -> usize {
    let mut reader = Reader::new();
    reader.feed(file);
    let (mut packets, mut read, mut told) = (0, 0, false);
    while let Some((block, bytes)) = reader.block().unwrap() {
        read += bytes.len();
        packets += usize::from(matches!(block, Block::Packet(_)));
        told |= matches!(block, Block::Statistics { .. });
    }
    assert_eq!(read, file.len(), "the last block is cut off");
    assert!(told, "what was lost is not told");
    packets
}

#[test]
fn the_page_stays_while_its_lab_stops_and_comes_back() {
    rooted(|sandbox| {
        let first = lab(sandbox, &["run"]);
        let served = served(sandbox);
        let mut events = served.events("");
        events.tells("node/net2", |_| true);
        first.signal(Signal::SIGTERM);
        first.ended().ok();
        events.tells("lab", |lab| lab["running"] == false && lab["why"] == "it does not run");
        // What asks the lab says so as well.
        let refused = served.get("/events?follow=icmp");
        assert_eq!((refused.status, refused.error().as_str()), (503, "the lab does not run"));

        let again = lab(sandbox, &["run", "-n", "4"]);
        let change = events.tells("node/net4", |_| true);
        assert_eq!(change["lab"]["running"], true);
        assert_eq!(change["lab"]["pid"], again.pid().as_raw());

        served.process.signal(Signal::SIGTERM);
        served.process.ended().ok();
    });
}
