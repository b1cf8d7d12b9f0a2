//! What podman 4.3 was recorded to say, and the edges of the specification.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use topology::Protocol;

use super::*;
use crate::PortAsk;

const CONTAINER: &str = "1d508c5dfe37c0ffee00112233445566778899aabbccddeeff00112233445566";
const NETNS: &str = "/run/netns/netns-51f6a3c2-1111-2222-3333-444455556666";

/// podman 4.3, `podman run --name web --network lab:alias=www,ip=10.92.0.77,mac=… -p …`, as recorded.
fn recorded() -> Value {
    json!({"cniVersion": "1.0.0", "name": "lab", "type": "uswitch", "mtu": 1400,
        "uswitch.isolate": true, "com.example": "x",
        "capabilities": {"portMappings": true, "aliases": true},
        "ipam": {"type": "host-local", "routes": [{"dst": "0.0.0.0/0"}],
            "ranges": [[{"subnet": "10.92.0.0/16", "gateway": "10.92.0.1"}]]},
        "runtimeConfig": {"aliases": {"lab": ["www", "1d508c5dfe37"]}, "portMappings": [
            {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
            {"hostPort": 5353, "containerPort": 53, "protocol": "udp", "hostIP": "127.0.0.1"}]}})
}

/// What host-local answers to it.
fn told() -> Value {
    json!({"cniVersion": "1.0.0", "ips": [{"address": "10.92.0.77/16", "gateway": "10.92.0.1"}],
        "routes": [{"dst": "0.0.0.0/0"}], "dns": {}})
}

fn variables(command: &str) -> Vec<(&'static str, String)> {
    vec![
        ("CNI_COMMAND", command.to_owned()),
        ("CNI_CONTAINERID", CONTAINER.to_owned()),
        ("CNI_IFNAME", "eth0".to_owned()),
        ("CNI_NETNS", NETNS.to_owned()),
        ("CNI_PATH", "/usr/lib/cni".to_owned()),
        (
            "CNI_ARGS",
            format!(
                "IgnoreUnknown=1;K8S_POD_NAMESPACE=web;K8S_POD_NAME=web;\
                 K8S_POD_INFRA_CONTAINER_ID={CONTAINER};MAC=02:00:00:00:07:07;IP=10.92.0.77"
            ),
        ),
    ]
}

fn read(variables: &[(&'static str, String)], conf: &Value) -> Result<Call, Failure> {
    let get = |name: &str| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    };
    Call::read(&get, conf.to_string().as_bytes())
}

fn call(command: &str, conf: &Value) -> Result<Call, Failure> {
    read(&variables(command), conf)
}

#[test]
fn an_add_as_podman_says_it() {
    let call = call("ADD", &recorded()).unwrap();
    assert_eq!((call.verb, call.ipam(), call.netns()), (Verb::Add, Some("host-local"), NETNS));
    let join = call.join(&told()).unwrap();
    assert_eq!((join.called.as_str(), join.container.as_str()), ("lab", CONTAINER));
    assert_eq!((join.interface.as_str(), join.sandbox.as_str()), ("eth0", NETNS));
    let attach = &join.attach;
    assert_eq!(attach.mac, Some(wire::MacAddr([2, 0, 0, 0, 7, 7])));
    assert_eq!(attach.names, ["web", "www", "1d508c5dfe37"]);
    assert_eq!(attach.addresses, ["10.92.0.77/16".parse().unwrap()]);
    let port = |protocol, port, host: Option<&str>, own| PortAsk {
        protocol,
        port,
        host: host.map(|text| text.parse().unwrap()),
        first: Some(own),
        last: Some(own),
    };
    let wanted =
        [port(Protocol::Tcp, 80, None, 8080), port(Protocol::Udp, 53, Some("127.0.0.1"), 5353)];
    assert_eq!(attach.ports, wanted);
    let via = Some("10.92.0.1".parse().unwrap());
    assert_eq!(join.routes, [crate::Route::new("0.0.0.0/0".parse().unwrap(), via)]);
    let network = &join.network;
    assert_eq!((network.id.as_str(), network.internal), (attach.network.as_str(), false));
    assert!(network.options.isolate && network.options.mtu == Some(1400) && network.passing);
    let made = network.to_topology().unwrap();
    assert_eq!(made.subnets[0].to_string(), "10.92.0.0/16");
    assert_eq!(made.gateways()[0].to_string(), "10.92.0.1/16");
    // What goes over the socket is what is read there.
    let sent = serde_json::to_vec(&Ask::Attach(Box::new(join.clone()))).unwrap();
    assert_eq!(serde_json::from_slice::<Ask>(&sent).unwrap(), Ask::Attach(Box::new(join)));
}

#[test]
fn the_answer_to_an_add_in_the_words_of_each_version() {
    let answer = |version: &str| {
        let mut conf = recorded();
        conf["cniVersion"] = json!(version);
        let call = call("ADD", &conf).unwrap();
        call.result(&call.join(&told()).unwrap(), "02:00:00:00:07:07", &told())
    };
    let new = json!({"cniVersion": "1.0.0",
        "interfaces": [{"name": "eth0", "mac": "02:00:00:00:07:07", "sandbox": NETNS}],
        "ips": [{"interface": 0, "address": "10.92.0.77/16", "gateway": "10.92.0.1"}],
        "routes": [{"dst": "0.0.0.0/0"}], "dns": {"nameservers": ["10.92.0.1"]}});
    assert_eq!(answer("1.0.0"), new);
    for version in ["0.3.1", "0.4.0"] {
        let old = answer(version);
        assert_eq!((&old["ips"][0]["version"], &old["cniVersion"]), (&json!("4"), &json!(version)));
    }
}

#[test]
fn who_answers_for_names_may_be_said() {
    let mut conf = recorded();
    conf["dns"] = json!({"nameservers": ["10.1.1.1"], "search": ["example"]});
    conf["runtimeConfig"]["dns"] = json!({"servers": ["10.2.2.2"], "searches": []});
    let call = call("ADD", &conf).unwrap();
    let answer = call.result(&call.join(&told()).unwrap(), "02:00:00:00:07:07", &told());
    assert_eq!(answer["dns"], json!({"nameservers": ["10.2.2.2"], "search": ["example"]}));
}

#[test]
fn what_the_runtime_says_of_a_container_by_capabilities() {
    let conf = json!({"cniVersion": "1.1.0", "name": "lab", "type": "uswitch", "internal": true,
        "runtimeConfig": {"mac": "02:00:00:00:00:09", "ips": ["10.1.0.9/24", "fd00::9/64"]}});
    let call = call("ADD", &conf).unwrap();
    assert_eq!(call.ipam(), None);
    let join = call.join(&call.own_addresses()).unwrap();
    assert_eq!(join.attach.mac, Some(wire::MacAddr([2, 0, 0, 0, 0, 9])));
    let made = join.network.to_topology().unwrap();
    let gateways: Vec<_> = made.gateways().iter().map(ToString::to_string).collect();
    assert_eq!((gateways, made.internal), (vec!["10.1.0.1/24".into(), "fd00::1/64".into()], true));
    assert!(join.routes.is_empty());
}

#[test]
fn an_address_may_come_with_the_arguments() {
    let with = |args: &str, conf: &Value| {
        let mut all = variables("ADD");
        all.retain(|(name, _)| *name != "CNI_ARGS");
        all.push(("CNI_ARGS", args.to_owned()));
        let call = read(&all, conf).unwrap();
        call.join(&call.own_addresses()).map(|join| join.attach.addresses)
    };
    let mut conf = json!({"cniVersion": "1.1.0", "name": "lab", "type": "uswitch"});
    let both = ["10.1.0.9/24", "fd00::9/64"].map(|text| text.parse().unwrap());
    assert_eq!(with("IgnoreUnknown=1;IP=10.1.0.9/24,fd00::9/64", &conf).unwrap(), both);
    assert_eq!(with("IP=10.1.0.9", &conf).unwrap_err().code, code::CONFIG, "of what subnet?");
    // What is said by capability counts.
    conf["runtimeConfig"] = json!({"ips": ["10.1.0.7/24"]});
    assert_eq!(with("IP=10.1.0.9/24", &conf).unwrap(), ["10.1.0.7/24".parse().unwrap()]);
}

#[test]
fn a_route_has_all_that_version_1_1_says_of_it() {
    let told = json!({"ips": [{"address": "10.92.0.77/16", "gateway": "10.92.0.1"}], "routes": [
        {"dst": "10.3.4.5/16", "gw": "10.92.0.9", "priority": 5, "table": 100, "scope": 0,
            "mtu": 1300, "advmss": 1260}, {"dst": "fd00::/64"}]});
    let join = call("ADD", &recorded()).unwrap().join(&told).unwrap();
    let route = crate::Route {
        metric: Some(5),
        table: Some(100),
        scope: Some(0),
        mtu: Some(1300),
        advmss: Some(1260),
        ..crate::Route::new("10.3.0.0/16".parse().unwrap(), Some("10.92.0.9".parse().unwrap()))
    };
    // No gateway of IPv6 is known: it is on the link.
    assert_eq!(join.routes, [route, crate::Route::new("fd00::/64".parse().unwrap(), None)]);
}

#[test]
fn a_place_has_the_same_number_in_every_call() {
    let join = call("ADD", &recorded()).unwrap().join(&told()).unwrap();
    let mut without = variables("DEL");
    without.retain(|(name, _)| *name != "CNI_NETNS");
    let del = read(&without, &recorded()).unwrap();
    let endpoint = join.attach.endpoint.clone();
    assert_eq!(del.detach(), Ask::Detach { endpoint: endpoint.clone() });
    let mut conf = recorded();
    conf["cniVersion"] = json!("1.1.0");
    conf["cni.dev/valid-attachments"] = json!([{"containerID": CONTAINER, "ifname": "eth0"}]);
    let gc = read(&[("CNI_COMMAND", "GC".into())], &conf).unwrap();
    let wanted = Ask::Keep { network: join.network.id, endpoints: vec![endpoint] };
    assert_eq!(gc.keep(), Ok(wanted));
    // As the first 1.1.0 calls the list, and as Go writes an empty one.
    let by = |key: &str, list: Value| {
        let mut conf = conf.clone();
        conf.as_object_mut().unwrap().remove("cni.dev/valid-attachments");
        conf[key] = list;
        call("GC", &conf).unwrap().keep()
    };
    let list = conf["cni.dev/valid-attachments"].clone();
    assert_eq!(by("cni.dev/attachments", list), gc.keep());
    let none = Ask::Keep { network: number(&["cni", "lab"]), endpoints: vec![] };
    assert_eq!(by("cni.dev/valid-attachments", Value::Null), Ok(none));
    assert_eq!(by("another", json!([])).unwrap_err().code, code::CONFIG);
}

#[test]
fn a_check_is_about_what_add_has_told() {
    let mut conf = recorded();
    let add = call("ADD", &conf).unwrap();
    conf["prevResult"] = add.result(&add.join(&told()).unwrap(), "02:00:00:00:07:07", &told());
    let expected = call("CHECK", &conf).unwrap().expected().unwrap();
    assert_eq!(expected.mac.as_deref(), Some("02:00:00:00:07:07"));
    assert_eq!(expected.addresses, ["10.92.0.77/16".parse().unwrap()]);
    assert_eq!(expected.routes[0].via, Some("10.92.0.1".parse().unwrap()));
    conf["prevResult"]["interfaces"][0]["name"] = json!("eth7");
    assert_eq!(call("CHECK", &conf).unwrap().expected().unwrap_err().code, code::CONFIG);
    conf.as_object_mut().unwrap().remove("prevResult");
    assert_eq!(call("CHECK", &conf).unwrap().expected().unwrap_err().code, code::CONFIG);
}

#[test]
fn what_makes_no_sense_has_the_code_of_the_specification() {
    let set = |name: &'static str, value: &str| {
        let mut all = variables("ADD");
        all.retain(|(known, _)| *known != name);
        all.push((name, value.to_owned()));
        read(&all, &recorded()).unwrap_err()
    };
    for (name, value) in [
        ("CNI_COMMAND", "PURGE"),
        ("CNI_COMMAND", ""),
        ("CNI_CONTAINERID", ""),
        ("CNI_CONTAINERID", "../x"),
        ("CNI_NETNS", ""),
        ("CNI_IFNAME", ""),
        ("CNI_IFNAME", "a-name-too-long-"),
        ("CNI_IFNAME", ".."),
        ("CNI_IFNAME", "lo"),
        ("CNI_IFNAME", "a b"),
        ("CNI_ARGS", "IP"),
    ] {
        assert_eq!(set(name, value).code, code::VARIABLES, "{name}={value}");
    }
    let get = |name: &str| (name == "CNI_COMMAND").then(|| "GC".to_owned());
    assert_eq!(Call::read(&get, b"{").unwrap_err().code, code::DECODING);
    assert_eq!(Call::read(&get, b"[]").unwrap_err().code, code::CONFIG);
    for (key, value, wanted) in [
        ("cniVersion", json!("0.2.0"), code::VERSION),
        ("cniVersion", json!("2.0.0"), code::VERSION),
        ("cniVersion", Value::Null, code::CONFIG),
        ("name", json!("../x"), code::CONFIG),
        ("name", json!(""), code::CONFIG),
        ("ipam", json!({"type": "../../bin/sh"}), code::CONFIG),
        ("mtu", json!("large"), code::CONFIG),
    ] {
        let mut conf = recorded();
        conf[key] = value;
        assert_eq!(call("ADD", &conf).unwrap_err().code, wanted, "{key}");
    }
    for (command, version) in [("CHECK", "0.3.1"), ("GC", "1.0.0"), ("STATUS", "0.4.0")] {
        let mut conf = recorded();
        conf["cniVersion"] = json!(version);
        assert_eq!(call(command, &conf).unwrap_err().code, code::VERSION, "{command}");
    }
}

#[test]
fn what_the_runtime_says_wrongly_keeps_no_container_from_being_let_go() {
    for (rates, wanted) in [
        (json!({"ingressRate": null, "ingressBurst": null}), None),
        (json!({"ingressRate": "fast"}), Some(code::CONFIG)),
        (json!({"ingressRate": -1}), Some(code::CONFIG)),
        (json!(7), Some(code::CONFIG)),
    ] {
        let mut conf = recorded();
        conf["runtimeConfig"]["bandwidth"] = rates.clone();
        let added = call("ADD", &conf).and_then(|call| call.join(&told()));
        assert_eq!(added.err().map(|refused| refused.code), wanted, "{rates}");
        assert!(call("DEL", &conf).is_ok(), "{rates}");
    }
}

#[test]
fn what_cannot_be_a_place_is_refused_before_anything_is_done() {
    for (path, value) in [
        ("/runtimeConfig/portMappings/0/protocol", json!("sctp")),
        ("/runtimeConfig/portMappings/0/containerPort", json!(0)),
        ("/runtimeConfig/portMappings/0/hostPort", json!(70_000)),
        ("/runtimeConfig/portMappings/1/hostIP", json!("localhost")),
        ("/uswitch.isolate", json!("yes")),
        ("/mtu", json!(7)),
    ] {
        let mut conf = recorded();
        *conf.pointer_mut(path).unwrap() = value;
        let refused = call("ADD", &conf).unwrap().join(&told()).unwrap_err();
        assert_eq!(refused.code, code::CONFIG, "{path}: {refused}");
    }
    for told in [
        json!({}),
        json!({"ips": [{"address": "10.92.0.77"}]}),
        json!({"ips": [{"address": "10.92.0.1/16", "gateway": "10.92.0.1"}]}),
        json!({"ips": [{"address": "10.92.0.7/16", "gateway": "10.1.0.1"}]}),
        json!({"ips": [{"address": "fd00::7/64"}]}),
        json!({"ips": [{"address": "10.92.0.7/16"}], "routes": [{"dst": "everywhere"}]}),
        json!({"ips": 7}),
    ] {
        let refused = call("ADD", &recorded()).unwrap().join(&told).unwrap_err();
        assert_eq!(refused.code, code::CONFIG, "{told}");
    }
    let mut conf = recorded();
    conf["prevResult"] = told();
    assert!(call("ADD", &conf).unwrap().join(&told()).unwrap_err().msg.contains("first"));
}

#[test]
fn errors_are_told_and_read() {
    let failure = Failure::new(code::LATER, "not yet");
    let told = failure.to_json("0.4.0");
    let value: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(value, json!({"cniVersion": "0.4.0", "code": 11, "msg": "not yet"}));
    assert_eq!(Failure::of_plugin(told.as_bytes()), Some(failure));
    assert_eq!(Failure::of_plugin(b"{\"ips\": []}"), None);
    assert_eq!(Failure::of_plugin(b"panic: x"), None);
    assert_eq!(version_of(b"{\"cniVersion\": \"0.3.1\"}"), "0.3.1");
    assert_eq!(version_of(b"{"), "1.1.0");
    let spoken =
        |conf: &str| -> Value { serde_json::from_str(&versions(conf.as_bytes())).unwrap() };
    for (asked, told) in [("0.4.0", "0.4.0"), ("1.1.0", "1.1.0"), ("0.2.0", "1.1.0")] {
        let spoken = spoken(&format!("{{\"cniVersion\": \"{asked}\"}}"));
        assert_eq!(spoken["cniVersion"], told, "{asked}");
        assert_eq!(spoken["supportedVersions"], json!(["0.3.1", "0.4.0", "1.0.0", "1.1.0"]));
    }
}
