use std::net::Ipv4Addr;

use super::lines;
use crate::plan::{LOOPBACK, Plan, VethOptions};

#[test]
fn each_step_is_a_line() {
    let mut plan = Plan::new();
    let (switch, net1) = (plan.anonymous(), plan.named("net1"));
    plan.sysctl(switch, "ipv4/ip_forward", "0");
    let options = VethOptions { mac_b: Some([2, 0, 10, 100, 0, 10]), ..VethOptions::default() };
    let (_, peer) = plan.veth((switch, "veth1"), (net1, "vethpeer1"), options);
    plan.up(net1, LOOPBACK);
    plan.address(net1, peer, Ipv4Addr::new(10, 100, 0, 10), 16);
    plan.address(net1, LOOPBACK, Ipv4Addr::new(8, 8, 8, 8), 32);
    plan.route(net1, None, Ipv4Addr::new(10, 100, 0, 1), peer);
    let wanted = [
        "ip netns add switch",
        "ip netns add net1",
        "ip netns exec switch sysctl -qew net.ipv4.ip_forward=0",
        "ip -n switch link add veth1 index 2 mtu 1500 type veth peer name vethpeer1 netns net1 \
         index 2 mtu 1500 address 02:00:0a:64:00:0a",
        "ip -n net1 link set lo up",
        "ip -n net1 addr add 10.100.0.10/16 brd + dev vethpeer1",
        "ip -n net1 addr add 8.8.8.8/32 dev lo",
        "ip -n net1 route add default via 10.100.0.1 dev vethpeer1 proto static",
    ];
    assert_eq!(lines(&plan, "switch"), wanted);
}
