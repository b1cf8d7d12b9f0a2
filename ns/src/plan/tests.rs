//! A plan chooses indices a namespace at a time and keeps the order it was told.

use std::net::Ipv4Addr;

use super::*;

#[test]
fn indices_start_behind_lo_and_are_never_used_twice() {
    let mut plan = Plan::new();
    let (a, b) = (plan.named("net1"), plan.named("net2"));
    let first = plan.veth((a, "x1"), (b, "y1"), VethOptions::default());
    let second = plan.veth((a, "x2"), (b, "y2"), VethOptions::default());
    assert_eq!((first, second), ((2, 2), (3, 3)));
}

#[test]
fn both_ends_may_live_in_one_namespace() {
    let mut plan = Plan::new();
    let only = plan.anonymous();
    assert_eq!(plan.veth((only, "x"), (only, "y"), VethOptions::default()), (2, 3));
}

#[test]
fn an_existing_namespace_goes_on_counting_and_is_not_made() {
    let mut plan = Plan::new();
    let old = plan.existing("switch", 40);
    let new = plan.named("net9");
    assert_eq!(plan.veth((old, "veth9"), (new, "vethpeer9"), VethOptions::default()), (40, 2));
    let made: Vec<_> = plan.steps().iter().filter(|s| matches!(s, Step::Namespace(_))).collect();
    assert_eq!(made, [&Step::Namespace(new)]);
}

#[test]
fn steps_say_where_they_are_done() {
    let mut plan = Plan::new();
    let (a, b) = (plan.anonymous(), plan.named("net1"));
    let (_, peer) = plan.veth((a, "veth1"), (b, "vethpeer1"), VethOptions::default());
    plan.up(b, peer);
    plan.address(b, peer, Ipv4Addr::new(10, 100, 0, 10), 16);
    plan.route(b, None, Ipv4Addr::new(10, 100, 0, 1), peer);
    plan.sysctl(a, "ipv6/conf/all/disable_ipv6", "1");
    let places: Vec<_> = plan.steps().iter().map(Step::ns).collect();
    assert_eq!(places, [a, b, a, b, b, b, a]);
    assert_eq!(plan.label(b), "net1");
}

#[test]
fn the_end_brought_up_first_is_early() {
    let mut plan = Plan::new();
    let (one, two) = (plan.named("net1"), plan.named("net2"));
    let mut pair = |name: &str| {
        plan.veth((one, &format!("a{name}")), (two, &format!("b{name}")), VethOptions::default())
    };
    let (first, second, third) = (pair("1"), pair("2"), pair("3"));
    plan.up(one, first.0);
    plan.up(two, second.1);
    plan.up(two, third.1);
    plan.up(two, first.1);
    plan.up(one, second.0);
    let early = plan.early();
    assert_eq!(early.len(), 2);
    assert_eq!(early[&one].iter().collect::<Vec<_>>(), [&first.0]);
    assert_eq!(early[&two].iter().collect::<Vec<_>>(), [&second.1], "the third stays down");
}
