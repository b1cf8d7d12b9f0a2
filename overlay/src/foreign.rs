//! What others may write into a registry, and what no row is to follow from.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::json;

use crate::desired::{Row, Rows};
use crate::key::Space;
use crate::record::Host;
use crate::registry::{Change, Put, Registry, Unread};

const LEASE: i64 = 7;

struct World {
    registry: Registry,
    revision: i64,
}

impl World {
    /// Host h1 at 10.9.0.1, which knows h2 at 10.9.0.2 and is there itself.
    fn new() -> Self {
        let own = IpAddr::from([10, 9, 0, 1]);
        let registry = Registry::new(Space::of("net").unwrap()).at("h1", own);
        let mut world = Self { registry, revision: 1 };
        world.put("hosts/h1", r#"{"vtep":"10.9.0.1","lab":"l"}"#);
        world.put("vteps/10.9.0.1", "h1");
        world.put("hosts/h2", r#"{"vtep":"10.9.0.2","lab":"l"}"#);
        world
    }

    fn set(&mut self, key: &str, put: Option<Put>) {
        self.revision += 1;
        let (key, revision) = (format!("/uswitch/net/{key}"), self.revision);
        self.registry.apply(&Change { key, revision, put });
    }

    fn put(&mut self, key: &str, value: &str) {
        self.put_by(key, value, LEASE);
    }

    fn put_by(&mut self, key: &str, value: &str, lease: i64) {
        let revision = self.revision + 1;
        self.set(key, Some(Put { value: value.into(), lease, revision }));
    }

    fn is_here(&self) -> bool {
        let own = Host { vtep: [10, 9, 0, 1].into(), lab: "l".into() };
        self.registry.is_here(&own, LEASE)
    }
}

#[test]
fn a_hardware_address_that_is_no_nodes_leaves_the_floods_alone() {
    let mut world = World::new();
    let mut rows = Rows::default();
    rows.follow(&mut world.registry, "h1");
    let floods: BTreeSet<Row> = [Row::flood([10, 9, 0, 2].into())].into();
    assert_eq!(*rows.all(), floods);
    for mac in ["00:00:00:00:00:00", "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff"] {
        let claim = json!({ "host": "h2", "node": "n", "ips": ["10.0.0.9"], "macs": [mac] });
        world.put(&format!("mac/{mac}"), &claim.to_string());
        assert_eq!(rows.follow(&mut world.registry, "h1"), [], "{mac}");
        world.put("nodes/n", &claim.to_string());
        assert!(world.registry.nodes().all(|node| node.addresses().next().is_none()));
        world.set(&format!("mac/{mac}"), None);
        assert_eq!(rows.follow(&mut world.registry, "h1"), [], "{mac}");
    }
    assert_eq!(*rows.all(), floods);
    // Nor where another source of rows says so.
    assert_eq!(rows.step([wire::MacAddr::ZERO].into(), |_| None, None), []);
    assert_eq!(*rows.all(), floods);
}

#[test]
fn an_end_that_is_no_other_hosts_is_as_if_it_were_not_there() {
    let mut world = World::new();
    for end in [
        "0.0.0.0",
        "127.0.0.1",
        "224.0.0.5",
        "255.255.255.255",
        "10.9.0.1",
        "fd09::3",
        "::",
        "ff02::1",
    ] {
        world.put("hosts/h3", &json!({ "vtep": end, "lab": "l" }).to_string());
        assert_eq!(
            world.registry.desired("h1").hosts,
            [IpAddr::from([10, 9, 0, 2])].into(),
            "{end}"
        );
        assert!(world.registry.hosts().all(|(name, _)| name != "h3"), "{end}");
    }
    world.put("hosts/h3", r#"{"vtep":"10.9.0.3","lab":"l"}"#);
    assert_eq!(world.registry.desired("h1").hosts.len(), 2);
}

#[test]
fn a_host_sees_that_it_is_not_there_any_more() {
    let mut world = World::new();
    assert!(world.is_here());
    for (key, value) in [("hosts/h1", r#"{"vtep":"10.9.0.1","lab":"l"}"#), ("vteps/10.9.0.1", "h1")]
    {
        world.set(key, None);
        assert!(!world.is_here(), "{key} is gone");
        world.put(key, value);
        assert!(world.is_here());
        // By a lease of somebody else's, or none, it stays when this host goes.
        world.put_by(key, value, 0);
        assert!(!world.is_here(), "{key} has another lease");
        world.put(key, value);
    }
    world.put("hosts/h1", r#"{"vtep":"10.9.0.77","lab":"l"}"#);
    assert!(!world.is_here());
    world.put("hosts/h1", "{");
    assert!(!world.is_here());
    world.put("hosts/h1", r#"{"vtep":"10.9.0.1","lab":"l"}"#);
    world.put("vteps/10.9.0.1", "h9");
    assert!(!world.is_here());
    // Nobody else's end matters here.
    world.put("vteps/10.9.0.1", "h1");
    world.put("vteps/10.9.0.2", "h9");
    assert!(world.is_here());
}

#[test]
fn what_all_agree_on_is_gone_or_cannot_be_read() {
    let mut world = World::new();
    assert_eq!(world.registry.agreed(), None);
    world.put("config", "{\"vni\"");
    assert_eq!(world.registry.agreed(), Some(Err(Unread)));
    let agreed = json!({ "vni": 7, "port": 4789, "subnets": [], "gateways": [] });
    world.put("config", &agreed.to_string());
    assert_eq!(world.registry.agreed().unwrap().unwrap().vni, 7);
    world.set("config", None);
    assert_eq!(world.registry.agreed(), None);
}
