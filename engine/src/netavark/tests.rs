//! What podman 5.4 and 5.8 were recorded to say.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use topology::Protocol;

use super::*;

const ID: &str = "3f1c5f3b0e6a1b7c2d9e8f00112233445566778899aabbccddeeff0011223344";
const CONTAINER: &str = "5ae2d3a0e7ff00112233445566778899aabbccddeeff00112233445566778899";

/// `podman network create -d uswitch --subnet 10.94.0.0/16 -o mtu=1400 --label l=1 lab`.
fn network() -> Value {
    json!({"name": "lab", "id": ID, "driver": "uswitch",
        "created": "2026-11-25T10:00:00.000000000Z",
        "subnets": [{"subnet": "10.94.0.0/16", "gateway": "10.94.0.1",
            "lease_range": {"start_ip": "10.94.9.0", "end_ip": "10.94.9.255"}}],
        "ipv6_enabled": false, "internal": false, "dns_enabled": true,
        "network_dns_servers": ["10.1.1.1"], "labels": {"l": "1"}, "options": {"mtu": "1400"},
        "ipam_options": {"driver": "host-local"}})
}

fn coming() -> Value {
    json!({"container_id": CONTAINER, "container_name": "web",
        "port_mappings": [{"container_port": 80, "host_ip": "", "host_port": 8080,
            "protocol": "tcp", "range": 1}, {"container_port": 5000, "host_ip": "127.0.0.1",
            "host_port": 6000, "protocol": "udp", "range": 3}],
        "network": network(),
        "network_options": {"aliases": ["www", "5ae2d3a0e7ff"], "interface_name": "eth0",
            "static_ips": ["10.94.9.77"], "static_mac": "02:00:00:00:07:07"}})
}

fn call(coming: &Value) -> Call {
    Call::read(coming.to_string().as_bytes()).unwrap()
}

const NETNS: &str = "/run/netns/netns-1";

#[test]
fn a_network_is_answered_with_all_that_was_said() {
    let answer = create(network().to_string().as_bytes(), &[]).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&answer).unwrap(), network());
}

#[test]
fn a_network_that_asks_for_no_subnet_gets_one_that_is_free() {
    let mut asked = network();
    let subnet = |asked: &Value, taken: &[Subnet]| {
        let answer = create(asked.to_string().as_bytes(), taken).unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let one = &answer["subnets"][0];
        let subnet: Subnet = one["subnet"].as_str().unwrap().parse().unwrap();
        let gateway: IpAddr = one["gateway"].as_str().unwrap().parse().unwrap();
        assert_eq!(gateway, subnet.first_host());
        subnet
    };
    for none in [Value::Null, json!([])] {
        asked["subnets"] = none;
        let first = subnet(&asked, &[]);
        assert_eq!(first, subnet(&asked, &[]));
        assert!(!subnet(&asked, &[first]).overlaps(first));
    }
    let before = subnet(&asked, &[]);
    asked["id"] = json!("another");
    assert_ne!(before, subnet(&asked, &[]));
    let all = "10.0.0.0/8".parse().unwrap();
    let refused = create(asked.to_string().as_bytes(), &[all]).unwrap_err();
    assert!(refused.0.contains("--subnet"), "{refused}");
}

#[test]
fn a_network_of_both_families_gets_a_local_subnet_of_ipv6() {
    let mut asked = network();
    (asked["subnets"], asked["ipv6_enabled"]) = (Value::Null, json!(true));
    let answer: Value =
        serde_json::from_str(&create(asked.to_string().as_bytes(), &[]).unwrap()).unwrap();
    let told: Vec<Subnet> = answer["subnets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["subnet"].as_str().unwrap().parse().unwrap())
        .collect();
    assert!(told.len() == 2 && told[0].is_ipv4(), "{told:?}");
    let range: Subnet = "fd00::/8".parse().unwrap();
    assert!(range.overlaps(told[1]) && told[1].to_string().ends_with("/64"), "{told:?}");
}

#[test]
fn a_subnet_of_another_network_of_podmans_is_refused() {
    let other = subnets(network().to_string().as_bytes());
    assert_eq!(other.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.94.0.0/16"]);
    let Refusal(why) = create(network().to_string().as_bytes(), &other).unwrap_err();
    assert!(why.contains("10.94.0.0/16 is in use"), "{why}");
    assert!(subnets(b"{").is_empty() && subnets(b"{}").is_empty());
}

#[test]
fn the_gateways_hardware_address_is_no_containers() {
    let mut coming = coming();
    coming["network_options"]["static_mac"] = json!("02:00:0a:5e:00:01");
    let Refusal(why) = call(&coming).join("/run/netns/x").unwrap_err();
    assert!(why.contains("the gateway's"), "{why}");
}

#[test]
fn a_subnet_that_the_host_is_in_is_refused() {
    let own = "10.94.7.0/24".parse().unwrap();
    let refused = create(network().to_string().as_bytes(), &[own]).unwrap_err();
    assert!(refused.0.contains("10.94.7.0/24") && refused.0.contains("in use"), "{refused}");
}

#[test]
fn a_container_comes_as_podman_says_it() {
    let call = call(&coming());
    let join = call.join(NETNS).unwrap();
    assert_eq!((join.called.as_str(), join.container.as_str()), ("lab", CONTAINER));
    assert_eq!((join.interface.as_str(), join.sandbox.as_str()), ("eth0", NETNS));
    let attach = &join.attach;
    assert_eq!(attach.addresses, ["10.94.9.77/16".parse().unwrap()]);
    assert_eq!(attach.mac, Some(wire::MacAddr([2, 0, 0, 0, 7, 7])));
    assert_eq!(attach.names, ["web", "www", "5ae2d3a0e7ff"]);
    assert_eq!(attach.servers, ["10.1.1.1".parse::<std::net::IpAddr>().unwrap()]);
    let port = |protocol, port, host: Option<&str>, own| PortAsk {
        protocol,
        port,
        host: host.map(|text| text.parse().unwrap()),
        first: Some(own),
        last: Some(own),
    };
    let local = Some("127.0.0.1");
    let wanted = [
        port(Protocol::Tcp, 80, None, 8080),
        port(Protocol::Udp, 5000, local, 6000),
        port(Protocol::Udp, 5001, local, 6001),
        port(Protocol::Udp, 5002, local, 6002),
    ];
    assert_eq!(attach.ports, wanted);
    let any = Route::new("0.0.0.0/0".parse().unwrap(), "10.94.0.1".parse().ok());
    assert_eq!(join.routes, [Route { metric: Some(100), ..any }]);
    assert!(join.network.names && join.network.passing);
    assert_eq!(join.network.options.mtu, Some(1400));
    let answer: Value = serde_json::from_str(&call.result(&join, "02:00:00:00:07:07")).unwrap();
    let wanted = json!({"dns_server_ips": ["10.94.0.1"], "dns_search_domains": [],
        "interfaces": {"eth0": {"mac_address": "02:00:00:00:07:07",
            "subnets": [{"ipnet": "10.94.9.77/16", "gateway": "10.94.0.1"}]}}});
    assert_eq!(answer, wanted);
    let Ask::Detach { endpoint } = call.detach() else { panic!() };
    assert_eq!(endpoint, join.attach.endpoint);
    let ask = Ask::Attach(Box::new(join));
    assert_eq!(Ask::read(&serde_json::to_vec(&ask).unwrap()), Ok(ask));
}

#[test]
fn a_network_without_a_way_out_or_without_names_is_so() {
    let mut internal = coming();
    internal["network"]["internal"] = json!(true);
    internal["network"]["dns_enabled"] = json!(false);
    internal["network"]["network_dns_servers"] = Value::Null;
    internal["network"]["subnets"][0]["gateway"] = Value::Null;
    internal["network"]["routes"] =
        json!([{"destination": "10.7.0.0/16", "gateway": "10.94.0.9", "metric": 7}]);
    let call = call(&internal);
    let join = call.join(NETNS).unwrap();
    let route = Route::new("10.7.0.0/16".parse().unwrap(), "10.94.0.9".parse().ok());
    assert_eq!(join.routes, [Route { metric: Some(7), ..route }]);
    assert!(join.network.internal && !join.network.names);
    let answer: Value = serde_json::from_str(&call.result(&join, "02:00:00:00:07:07")).unwrap();
    assert_eq!(answer["dns_server_ips"], json!([]));
    internal["network"]["network_dns_servers"] = json!(["10.1.1.1"]);
    let call = self::call(&internal);
    let join = call.join(NETNS).unwrap();
    let answer: Value = serde_json::from_str(&call.result(&join, "02:00:00:00:07:07")).unwrap();
    assert_eq!(answer["dns_server_ips"], json!(["10.1.1.1"]));
    let mut own = coming();
    own["network"]["options"] = json!({"no_default_route": "true", "metric": "5"});
    assert!(self::call(&own).join(NETNS).unwrap().routes.is_empty());
    // One that goes no further has its default route behind those of networks that do.
    let mut shut = coming();
    shut["network"]["options"] = json!({"uswitch.uplink": "none"});
    assert_eq!(self::call(&shut).join(NETNS).unwrap().routes[0].metric, Some(200));
}

#[test]
fn what_cannot_be_is_refused_in_one_line() {
    for (path, value, word) in [
        ("/network/subnets/0/subnet", json!("10.94.0.0"), "subnet"),
        ("/network/subnets/0/gateway", json!("10.1.0.1"), "gateway"),
        ("/network/options/mtu", json!("7"), "68"),
        ("/network_options/static_ips", json!(["10.1.1.1"]), "no subnet"),
        ("/network_options/static_ips", json!(["10.94.0.1"]), "gateway's"),
        ("/network_options/static_ips", json!([]), "no address"),
        ("/network_options/static_mac", json!("ff:ff:ff:ff:ff:ff"), "hardware"),
        ("/network_options/interface_name", json!("../x"), "interface"),
        ("/port_mappings/0/protocol", json!("sctp"), "sctp"),
        ("/port_mappings/0/host_ip", json!("localhost"), "localhost"),
        ("/port_mappings/1/host_port", json!(65_535), "65535"),
    ] {
        let mut odd = coming();
        *odd.pointer_mut(path).unwrap() = value;
        let Refusal(why) = call(&odd).join(NETNS).unwrap_err();
        assert!(why.contains(word) && !why.contains('\n'), "{path}: {why}");
    }
    let mut odd = coming();
    odd["network_options"]["options"] = json!({"host_interface_name": "x", "uswitch.storm": "1"});
    let Refusal(why) = call(&odd).join(NETNS).unwrap_err();
    assert!(why.contains("uswitch.storm") && why.contains("podman network create"), "{why}");
    let mut odd = network();
    odd["options"] = json!({"uswitch.nonsense": "1"});
    assert!(create(odd.to_string().as_bytes(), &[]).unwrap_err().0.contains("no such option"));
    for text in ["", "{", "[]", "{\"network\": 7}"] {
        assert!(Call::read(text.as_bytes()).is_err() && create(text.as_bytes(), &[]).is_err());
    }
    assert_eq!(error("so"), "{\"error\":\"so\"}");
    assert!(info("0.1.0").contains("\"api_version\":\"1.0.0\""));
}
