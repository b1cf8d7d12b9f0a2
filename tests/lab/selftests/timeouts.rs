//! What becomes of sources in time, and of those that another port asks for: the last cases of
//! bridge_igmp and bridge_mld.

use super::packets::{data_from, data6_from, report_to_all, report6};
use super::sources::{
    ALLOW, IS_EX, IS_IN, OURS, THEIRS, group, group6, rows_by_both, source, source6,
};
use super::{Scenario, Step, play, send, wait};
use crate::support::captures;

const SOURCES: &[u8] = &[1, 2, 3];
const OTHERS: &[u8] = &[1, 2, 20, 21];

fn says(v6: bool, port: usize, kind: u8, sources: &[u8]) -> Step {
    let n = u8::try_from(port).unwrap();
    send(
        port,
        match v6 {
            false => report_to_all(
                n,
                kind,
                group(0),
                &sources.iter().map(|n| source(*n)).collect::<Vec<_>>(),
            ),
            true => report6(
                n,
                kind,
                group6(0),
                &sources.iter().map(|n| source6(*n)).collect::<Vec<_>>(),
            ),
        },
    )
}

fn streams(v6: bool, sources: &[u8]) -> Vec<Step> {
    let frame = |n: &u8| match v6 {
        false => data_from(1, source(*n), group(0)),
        true => data6_from(1, source6(*n), group6(0)),
    };
    sources.iter().map(|n| send(1, frame(n))).collect()
}

/// A member that excludes has let its group time out, and has asked for two sources since: it includes
/// those that are left.
fn timed_out(v6: bool) -> Vec<Step> {
    vec![
        Step::Set(OURS, THEIRS),
        wait(2500),
        Step::Set(
            "network set lan --mcast-membership-interval 3",
            &["ip link set br0 type bridge mcast_membership_interval 300"],
        ),
        says(v6, 2, IS_IN, SOURCES), // 0
        says(v6, 2, IS_EX, OTHERS),  // 1
        Step::Set(
            "network set lan --mcast-membership-interval 15",
            &["ip link set br0 type bridge mcast_membership_interval 1500"],
        ),
        says(v6, 2, ALLOW, &[20, 30]), // 2
        wait(4500),
    ]
}

fn times_out(v6: bool) {
    if !captures() {
        return;
    }
    let told = rows_by_both(&timed_out(v6));
    assert_eq!(told.len(), 3, "the group and two sources: {told:#?}");
    assert!(told.iter().any(|row| row.contains(r#""filter_mode":"include","#)), "{told:#?}");
    let mut steps = timed_out(v6);
    steps.extend(streams(v6, &[20, 30, 1, 2, 21, 100])); // 3 to 8
    play(&Scenario { steps, wanted: [&[0, 1, 2], &[3, 4], &[0, 1, 2], &[0, 1, 2]] });
}

#[test]
fn an_ipv4_group_that_is_excluded_from_times_out() {
    times_out(false);
}

#[test]
fn an_ipv6_group_that_is_excluded_from_times_out() {
    times_out(true);
}

/// Port 2 wants all but a few, port 3 some of those sources, one of which port 2 has not named: it gets
/// that one too.
fn asked_for_elsewhere(v6: bool) -> Vec<Step> {
    vec![
        Step::Set(OURS, THEIRS),
        wait(2500),
        says(v6, 2, IS_IN, SOURCES), // 0
        says(v6, 2, IS_EX, OTHERS),  // 1
        says(v6, 3, IS_IN, SOURCES), // 2
    ]
}

fn is_added(v6: bool) {
    if !captures() {
        return;
    }
    let told = rows_by_both(&asked_for_elsewhere(v6));
    let added = told.iter().filter(|row| row.contains("added_by_star_ex"));
    assert_eq!(added.count(), 1, "{told:#?}");
    let mut steps = asked_for_elsewhere(v6);
    steps.extend(streams(v6, &[1, 2, 3, 20, 21, 100])); // 3 to 8
    play(&Scenario { steps, wanted: [&[0, 1, 2], &[2, 3, 4, 5, 8], &[0, 1, 3, 4, 5], &[0, 1, 2]] });
}

#[test]
fn an_ipv4_source_that_another_port_asks_for_passes_where_it_is_not_excluded() {
    is_added(false);
}

#[test]
fn an_ipv6_source_that_another_port_asks_for_passes_where_it_is_not_excluded() {
    is_added(true);
}
