//! Reports of IGMPv3 and MLDv2 that change what a member wants, case by case as bridge_igmp and
//! bridge_mld have them: what both switches then tell of the group, and whose frames they let through.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::packets::{data_from, data6_from, report_to_all, report6};
use super::{Scenario, Step, enact, in_bridge, linux_bridge, play, send, wait, wires};
use crate::READY;
use crate::support::{captured, captures};

/// Kinds of records (RFC 3376, section 4.2.12).
pub(super) const IS_IN: u8 = 1;
pub(super) const IS_EX: u8 = 2;
const TO_EX: u8 = 4;
pub(super) const ALLOW: u8 = 5;
const BLOCK: u8 = 6;

/// What a member says, one record after the other.
type Said = &'static [(u8, &'static [u8])];

const FIRST: (u8, &[u8]) = (IS_IN, &[1, 2, 3]);
const SECOND: (u8, &[u8]) = (IS_EX, &[1, 2, 20, 21]);

/// A case: its name, what is said, then sources that are let through, and such that are not.
type Case = (&'static str, Said, &'static [u8], &'static [u8]);

const CASES: [Case; 11] = [
    ("include", &[FIRST], &[1, 2, 3], &[100]),
    ("include, allow", &[FIRST, (ALLOW, &[10, 11, 12])], &[1, 10, 11, 12], &[100]),
    ("include, is include", &[FIRST, (IS_IN, &[10, 11, 12])], &[1, 10, 11, 12], &[100]),
    ("include, is exclude", &[FIRST, SECOND], &[1, 2, 100], &[20, 21]),
    ("include, to exclude", &[FIRST, (TO_EX, &[1, 20, 30])], &[1, 100], &[20, 30]),
    ("exclude, allow", &[FIRST, SECOND, (ALLOW, &[20, 30])], &[1, 2, 20, 30, 100], &[21]),
    ("exclude, is include", &[FIRST, SECOND, (IS_IN, &[20, 30])], &[1, 2, 20, 30, 100], &[21]),
    ("exclude, is exclude", &[FIRST, SECOND, (IS_EX, &[20, 30])], &[30, 100], &[20]),
    ("exclude, to exclude", &[FIRST, SECOND, (TO_EX, &[1, 20, 30])], &[1, 30, 100], &[20]),
    ("include, block", &[FIRST, (BLOCK, &[1, 20, 30])], &[2, 3], &[100]),
    ("exclude, block", &[FIRST, SECOND, (BLOCK, &[1, 20, 30])], &[1, 2, 30, 100], &[20, 21]),
];

/// The group of a case: each has one of its own.
pub(super) fn group(case: usize) -> [u8; 4] {
    [239, 10, 10, 10 + u8::try_from(case).unwrap()]
}

pub(super) fn group6(case: usize) -> Ipv6Addr {
    format!("ff02::cc:{:x}", 10 + case).parse().unwrap()
}

pub(super) fn source(n: u8) -> [u8; 4] {
    [192, 0, 2, n]
}

pub(super) fn source6(n: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, n.into())
}

/// All that is said, in the order of the cases.
fn reports(v6: bool) -> Vec<Vec<u8>> {
    let of_case = |(case, (_, said, ..)): (usize, &Case)| {
        let frame = |(kind, sources): &(u8, &[u8])| match v6 {
            false => {
                let sources: Vec<_> = sources.iter().map(|n| source(*n)).collect();
                report_to_all(2, *kind, group(case), &sources)
            }
            true => {
                let sources: Vec<_> = sources.iter().map(|n| source6(*n)).collect();
                report6(2, *kind, group6(case), &sources)
            }
        };
        said.iter().map(frame).collect::<Vec<_>>()
    };
    CASES.iter().enumerate().flat_map(of_case).collect()
}

/// A second to answer, and five to answer for a member that may have left.
pub(super) const OURS: &str = "network set lan --mcast-snooping on --mcast-querier on \
     --mcast-query-response-interval 1 --mcast-last-member-interval 5 --mcast-igmp-version 3 \
     --mcast-mld-version 2";
pub(super) const THEIRS: &[&str] = &[
    "ip link set br0 type bridge mcast_query_response_interval 100 mcast_last_member_interval 500",
    "ip link set br0 type bridge mcast_igmp_version 3 mcast_mld_version 2",
    "ip link set br0 type bridge mcast_snooping 1 mcast_querier 1",
];

/// The rows of all the groups, without what only one of both can know; timers by whether they run.
fn rows(said: &str) -> BTreeSet<String> {
    let said: Value = serde_json::from_str(said).unwrap();
    let timer = |timer: &mut Value| {
        *timer = (timer.as_str().unwrap().trim() != "0.00").into();
    };
    let ours = |row: &&Value| match row["grp"].as_str().unwrap().parse::<IpAddr>().unwrap() {
        IpAddr::V4(own) => own.octets()[..3] == Ipv4Addr::from(group(0)).octets()[..3],
        IpAddr::V6(own) => own.segments()[6] == 0xcc,
    };
    let bare = |row: &Value| {
        let mut row = row.clone();
        let fields = row.as_object_mut().unwrap();
        ["index", "dev", "node"].iter().for_each(|key| _ = fields.remove(*key));
        timer(&mut row["timer"]);
        if let Some(list) = row.get_mut("source_list").and_then(Value::as_array_mut) {
            list.iter_mut().for_each(|source| timer(&mut source["timer"]));
            list.sort_by_key(ToString::to_string);
        }
        row.to_string()
    };
    said[0]["mdb"].as_array().unwrap().iter().filter(ours).map(bare).collect()
}

/// What both tell of the groups in the end, which is the same.
pub(super) fn rows_by_both(steps: &[Step]) -> BTreeSet<String> {
    let mut told = BTreeSet::new();
    captured(|sandbox| {
        let say = |set: &dyn Fn(&str, &[&str]), tell: &dyn Fn() -> String| {
            enact(&mut wires(), steps, set);
            rows(&tell())
        };
        let mut run = sandbox.start(&["run", "-n", "4", "--uplink", "none"]);
        run.wait_for(READY);
        let ours = say(
            &|line, _| _ = sandbox.uswitch(&line.split_whitespace().collect::<Vec<_>>()).ok(),
            &|| sandbox.uswitch(&["show", "mdb", "-j"]).ok().out,
        );
        run.signal(Signal::SIGTERM);
        run.ended();
        linux_bridge(sandbox);
        let words = ["-n", "bridge", "-d", "-s", "-j", "mdb", "show", "dev", "br0"];
        let theirs = say(&|_, lines| in_bridge(sandbox, lines), &|| sandbox.tool("bridge", &words));
        let (only_ours, only_theirs) = (ours.difference(&theirs), theirs.difference(&ours));
        let [more, less] = [only_ours, only_theirs].map(|rows| rows.collect::<Vec<_>>());
        assert!(more.is_empty() && less.is_empty(), "ours: {more:#?}\ntheirs: {less:#?}");
        told = ours;
    });
    told
}

/// Both tell the same of every case.
fn told_alike(v6: bool) {
    let mut steps = vec![Step::Set(OURS, THEIRS), wait(2500)];
    steps.extend(reports(v6).into_iter().map(|frame| send(2, frame)));
    let told = rows_by_both(&steps);
    assert!(told.len() > CASES.len() || !captures(), "{told:#?}");
}

#[test]
fn what_members_of_ipv4_groups_want_is_told_as_bridge_tells_it() {
    told_alike(false);
}

#[test]
fn what_members_of_ipv6_groups_want_is_told_as_bridge_tells_it() {
    told_alike(true);
}

/// The frames of each case's sources, by what becomes of them: the member at port 2 gets those that it
/// wants, a router at port 3 all.
fn let_through(v6: bool) {
    let mut steps = vec![Step::Set(OURS, THEIRS), wait(2500)];
    steps.push(Step::Set(
        "port net3 --mcast-router 2",
        &["bridge link set dev veth3 mcast_router 2"],
    ));
    let reports = reports(v6);
    let said = u8::try_from(reports.len()).unwrap();
    // A report of a newer version is heard by everybody.
    let mut wanted: [Vec<u8>; 4] = std::array::from_fn(|_| Vec::new());
    for port in [0, 2, 3] {
        wanted[port].extend(0..said);
    }
    steps.extend(reports.into_iter().map(|frame| send(2, frame)));
    let mut number = said;
    for (case, (_, _, through, refused)) in CASES.iter().enumerate() {
        let all = through.iter().map(|n| (*n, true)).chain(refused.iter().map(|n| (*n, false)));
        for (n, passes) in all {
            steps.push(send(
                1,
                match v6 {
                    false => data_from(1, source(n), group(case)),
                    true => data6_from(1, source6(n), group6(case)),
                },
            ));
            if passes {
                wanted[1].push(number);
            }
            wanted[2].push(number);
            number += 1;
        }
    }
    let wanted = wanted.map(|port| &*port.leak());
    play(&Scenario { steps, wanted });
}

#[test]
fn sources_of_ipv4_groups_pass_as_members_want() {
    let_through(false);
}

#[test]
fn sources_of_ipv6_groups_pass_as_members_want() {
    let_through(true);
}
