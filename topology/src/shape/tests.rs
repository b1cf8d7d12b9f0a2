#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use super::*;

#[test]
fn shapes_are_the_walkthroughs() {
    let spec = switch(2).unwrap();
    assert_eq!(spec.nodes.keys().collect::<Vec<_>>(), ["net1", "net2"]);
    assert_eq!(spec.gateways(LAN)[0].to_string(), "10.100.0.1/16");
    let net2 = spec.node("net2").unwrap().attachment(LAN).unwrap();
    assert_eq!(net2.addresses.as_ref().unwrap()[0].to_string(), "10.100.0.20");
    assert_eq!(net2.interface.as_deref(), Some("vethpeer2"));
    assert_eq!(spec.next_name(), "net3");
    assert_eq!(spec.next_free(subnet(), &HashSet::new()).unwrap().to_string(), "10.100.0.30");
    assert_eq!(spec.uplink(), Uplink::Sim);

    let spec = pair();
    let ends = |spec: &Spec, link: usize| {
        let end = |end: &End| (end.interface.clone().unwrap(), end.addresses[0].to_string());
        spec.links[link].endpoints.each_ref().map(end)
    };
    let both = [("veth1", "10.100.0.1/16"), ("veth2", "10.100.0.2/16")];
    assert_eq!(ends(&spec, 0), both.map(|(a, b)| (a.to_owned(), b.to_owned())));
    assert!(!spec.is_switched() && spec.uplink() == Uplink::None);

    let spec = mesh(4).unwrap();
    assert_eq!((spec.nodes.len(), spec.links.len()), (4, 6));
    let last = [("veth3-4", "10.100.0.21/30"), ("veth4-3", "10.100.0.22/30")];
    assert_eq!(ends(&spec, 5), last.map(|(a, b)| (a.to_owned(), b.to_owned())));
    assert_eq!(spec.ends("net1").count(), 3);
}

/// So that a running lab, which is spelled out, is still known for its shape.
#[test]
fn links_of_shapes_leave_nothing_to_choose() {
    for shape in [pair(), mesh(2).unwrap(), mesh(9).unwrap()] {
        assert_eq!(shape.check().unwrap().spelled_out(), shape);
    }
}

#[test]
fn shapes_have_limits() {
    for n in [0, 1, 182, 5000] {
        assert!(mesh(n).is_err(), "{n}");
    }
    for n in [0, 4096] {
        assert!(switch(n).is_err(), "{n}");
    }
    assert_eq!(switch(4095).unwrap().nodes.len(), 4095);
    assert_eq!(mesh(181).unwrap().links.len(), 16_290);
}
