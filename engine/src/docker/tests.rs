//! What Docker 20.10, 26.1 and 28.5 really send, played against a driver that takes notes.
#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use serde_json::{Value, json};

use topology::Protocol;

use super::*;

const NETWORK: &str = "d4dc1f5c3b0e6a1b7c2d9e8f00112233445566778899aabbccddeeff00112233";
const ENDPOINT: &str = "fa471f5c3b0e6a1b7c2d9e8f00112233445566778899aabbccddeeff00112233";

/// Notes what it is asked, and answers as it is told to.
#[derive(Default)]
struct Notes {
    asked: Mutex<Vec<String>>,
    networks: Mutex<Vec<Network>>,
    attached: Mutex<Vec<Attach>>,
    published: Vec<Published>,
    internal: bool,
    refuses: bool,
}

impl Notes {
    fn note(&self, what: impl Into<String>) -> Result<(), Refusal> {
        self.asked.lock().unwrap().push(what.into());
        if self.refuses { Err(Refusal::new("not today")) } else { Ok(()) }
    }

    fn ask(&self, path: &str, body: &Value) -> Value {
        serde_json::from_str(&answer(self, path, body.to_string().as_bytes())).unwrap()
    }
}

impl Driver for Notes {
    fn create_network(&self, network: Network) -> Result<(), Refusal> {
        self.networks.lock().unwrap().push(network);
        self.note("create_network")
    }
    fn delete_network(&self, network: &str) -> Result<(), Refusal> {
        self.note(format!("delete_network {}", &network[..4]))
    }
    fn create_endpoint(&self, attach: Attach) -> Result<wire::MacAddr, Refusal> {
        let mac = attach.mac.unwrap_or(wire::MacAddr([2, 0x42, 10, 77, 5, 0]));
        self.attached.lock().unwrap().push(attach);
        self.note("create_endpoint").map(|()| mac)
    }
    fn delete_endpoint(&self, endpoint: &str) -> Result<(), Refusal> {
        self.note(format!("delete_endpoint {}", &endpoint[..4]))
    }
    fn join(&self, endpoint: &str, sandbox: &str) -> Result<Joined, Refusal> {
        self.note(format!("join {} {sandbox}", &endpoint[..4]))?;
        let gateway = (!self.internal).then_some([10, 77, 0, 1].into());
        Ok(Joined { interface: "uefa471f5c3b0e".into(), gateway, gateway6: None })
    }
    fn leave(&self, endpoint: &str) -> Result<(), Refusal> {
        self.note(format!("leave {}", &endpoint[..4]))
    }
    fn publish(&self, endpoint: &str, ports: Option<Vec<PortAsk>>) -> Result<(), Refusal> {
        let ports = ports.map(|ports| ports.iter().map(|ask| ask.port).collect::<Vec<_>>());
        let ports = ports.map_or(String::new(), |ports| format!(" {ports:?}"));
        self.note(format!("publish {}{ports}", &endpoint[..4]))
    }
    fn withdraw(&self, endpoint: &str) -> Result<(), Refusal> {
        self.note(format!("withdraw {}", &endpoint[..4]))
    }
    fn settled(&self, endpoint: &str) -> Vec<Published> {
        let _ = self.note(format!("settled {}", &endpoint[..4]));
        self.published.clone()
    }
}

#[test]
fn a_driver_is_found_by_calls_without_a_body() {
    let notes = Notes::default();
    let ask = |path| answer(&notes, path, b"");
    assert_eq!(ask("/Plugin.Activate"), r#"{"Implements":["NetworkDriver"]}"#);
    let local: Value = serde_json::from_str(&ask("/NetworkDriver.GetCapabilities")).unwrap();
    assert_eq!(local, json!({"Scope": "local", "ConnectivityScope": "local"}));
}

#[test]
fn a_network_with_all_that_docker_says_of_it() {
    let notes = Notes::default();
    let asked = json!({"NetworkID": NETWORK, "Options": {"com.docker.network.enable_ipv4": true,
        "com.docker.network.enable_ipv6": false, "com.docker.network.internal": true,
        "com.docker.network.generic": {"com.docker.network.driver.mtu": "1400", "foo": "bar"}},
        "IPv4Data": [{"AddressSpace": "LocalDefault", "AuxAddresses": {"nas": "10.77.5.1/16"},
            "Gateway": "10.77.0.1/16", "Pool": "10.77.0.0/16"}],
        "IPv6Data": [{"AddressSpace": "LocalDefault", "Gateway": "fd00:7::1/64",
            "Pool": "fd00:7::/64"}]});
    assert_eq!(notes.ask("/NetworkDriver.CreateNetwork", &asked), json!({}));
    let network = notes.networks.lock().unwrap().pop().unwrap();
    assert_eq!((network.id.as_str(), network.internal), (NETWORK, true));
    let made = network.to_topology().unwrap();
    let subnets: Vec<_> = made.subnets.iter().map(ToString::to_string).collect();
    let gateways: Vec<_> = made.gateways().iter().map(ToString::to_string).collect();
    assert_eq!(subnets, ["10.77.0.0/16", "fd00:7::/64"]);
    assert_eq!(gateways, ["10.77.0.1/16", "fd00:7::1/64"]);
    assert_eq!((made.mtu, made.internal), (Some(1400), true));
    // What is kept on disk is what is read again.
    let kept = serde_json::to_string(&network).unwrap();
    assert_eq!(serde_json::from_str::<Network>(&kept).unwrap(), network);
}

#[test]
fn a_network_with_an_option_of_ours_that_is_none_is_refused() {
    let notes = Notes::default();
    let asked = json!({"NetworkID": NETWORK, "IPv6Data": [], "Options": {
        "com.docker.network.generic": {"uswitch.uplnk": "none"}},
        "IPv4Data": [{"Gateway": "10.77.0.1/16", "Pool": "10.77.0.0/16"}]});
    let answer = notes.ask("/NetworkDriver.CreateNetwork", &asked);
    assert!(answer["Err"].as_str().unwrap().contains("no such option"), "{answer}");
    assert!(notes.networks.lock().unwrap().is_empty());
}

#[test]
fn an_option_of_ours_whose_value_is_no_text_is_refused() {
    let ask = |key: &str, value: Value| {
        let notes = Notes::default();
        let asked = json!({"NetworkID": NETWORK, "IPv6Data": [], "Options": {
            "com.docker.network.generic": {key: value}},
            "IPv4Data": [{"Gateway": "10.77.0.1/16", "Pool": "10.77.0.0/16"}]});
        let answer = notes.ask("/NetworkDriver.CreateNetwork", &asked);
        (answer, notes.networks.lock().unwrap().pop())
    };
    for value in [json!(true), json!(1400), json!(null), json!(["true"])] {
        for key in ["uswitch.isolate", "com.docker.network.driver.mtu"] {
            let (answer, network) = ask(key, value.clone());
            let line = answer["Err"].as_str().unwrap_or_default();
            assert!(line.contains(key) && line.contains("quotes"), "{key} {value}: {answer}");
            assert!(network.is_none(), "{key} {value}");
        }
        assert!(ask("foo", value).1.is_some(), "another driver's");
    }
    assert!(ask("uswitch.isolate", json!("true")).1.unwrap().options.isolate);
}

fn endpoint(mac: &str) -> Value {
    json!({"NetworkID": NETWORK, "EndpointID": ENDPOINT,
        "Interface": {"Address": "10.77.5.0/16", "AddressIPv6": "", "MacAddress": mac},
        "Options": {"com.docker.network.endpoint.exposedports": [{"Proto": 6, "Port": 80}],
            "com.docker.network.portmap": [
                {"Proto": 6, "IP": "", "Port": 80, "HostIP": "", "HostPort": 8080,
                    "HostPortEnd": 8080},
                {"Proto": 17, "IP": "", "Port": 53, "HostIP": "127.0.0.1", "HostPort": 5000,
                    "HostPortEnd": 5010},
                {"Proto": 6, "IP": "", "Port": 81, "HostIP": "", "HostPort": 0,
                    "HostPortEnd": 0}]}})
}

#[test]
fn only_what_docker_left_open_is_answered() {
    let notes = Notes::default();
    let answer = notes.ask("/NetworkDriver.CreateEndpoint", &endpoint(""));
    assert_eq!(answer, json!({"Interface": {"MacAddress": "02:42:0a:4d:05:00"}}));
    let answer = notes.ask("/NetworkDriver.CreateEndpoint", &endpoint("02:00:00:00:00:07"));
    assert_eq!(answer, json!({"Interface": {}}));
    let attached = notes.attached.lock().unwrap();
    assert_eq!(attached[1].mac, Some(wire::MacAddr([2, 0, 0, 0, 0, 7])));
    assert_eq!(attached[0].addresses[0].to_string(), "10.77.5.0/16");
    let port = |protocol, port, host: Option<&str>, first, last| PortAsk {
        protocol,
        port,
        host: host.map(|text| text.parse().unwrap()),
        first,
        last,
    };
    let wanted = [
        port(Protocol::Tcp, 80, None, Some(8080), Some(8080)),
        port(Protocol::Udp, 53, Some("127.0.0.1"), Some(5000), Some(5010)),
        port(Protocol::Tcp, 81, None, None, None),
    ];
    assert_eq!(attached[0].ports, wanted);
    let kept = serde_json::to_string(&attached[1]).unwrap();
    assert_eq!(serde_json::from_str::<Attach>(&kept).unwrap(), attached[1]);
}

#[test]
fn a_container_without_a_way_out_gets_no_bridge_of_dockers_either() {
    let ids = json!({"NetworkID": NETWORK, "EndpointID": ENDPOINT,
        "SandboxKey": "/run/docker/netns/737475ed986c", "Options": {}});
    let open = Notes::default().ask("/NetworkDriver.Join", &ids);
    let name = json!({"SrcName": "uefa471f5c3b0e", "DstPrefix": "eth"});
    assert_eq!(open, json!({"InterfaceName": name, "Gateway": "10.77.0.1"}));
    let closed = Notes { internal: true, ..Notes::default() }.ask("/NetworkDriver.Join", &ids);
    assert_eq!(closed, json!({"InterfaceName": name, "DisableGatewayService": true}));
}

#[test]
fn a_containers_life() {
    let notes = Notes::default();
    let ids = json!({"NetworkID": NETWORK, "EndpointID": ENDPOINT, "SandboxKey": "/run/x"});
    for call in ["Join", "ProgramExternalConnectivity", "EndpointOperInfo"] {
        assert!(notes.ask(&format!("/NetworkDriver.{call}"), &ids).get("Err").is_none());
    }
    for call in ["RevokeExternalConnectivity", "Leave", "DeleteEndpoint", "DeleteNetwork"] {
        assert_eq!(notes.ask(&format!("/NetworkDriver.{call}"), &ids), json!({}));
    }
    let asked = notes.asked.lock().unwrap();
    let wanted = [
        "join fa47 /run/x",
        "publish fa47",
        "settled fa47",
        "withdraw fa47",
        "leave fa47",
        "delete_endpoint fa47",
        "delete_network d4dc",
    ];
    assert_eq!(*asked, wanted);
}

#[test]
fn which_ports_were_found_is_told() {
    let (inside, host) = ("10.77.5.0:80".parse().unwrap(), Some([127, 0, 0, 1].into()));
    let tcp = Published { protocol: Protocol::Tcp, inside, host: None, port: 8003 };
    let udp = Published { protocol: Protocol::Udp, host, port: 5001, ..tcp };
    let notes = Notes { published: vec![tcp, udp], ..Notes::default() };
    let ids = json!({"NetworkID": NETWORK, "EndpointID": ENDPOINT});
    let told = notes.ask("/NetworkDriver.EndpointOperInfo", &ids);
    let wanted = json!([
        {"Proto": 6, "IP": "10.77.5.0", "Port": 80, "HostIP": "", "HostPort": 8003,
            "HostPortEnd": 8003},
        {"Proto": 17, "IP": "10.77.5.0", "Port": 80, "HostIP": "127.0.0.1", "HostPort": 5001,
            "HostPortEnd": 5001}]);
    assert_eq!(told, json!({"Value": {"com.docker.network.portmap": wanted}}));
}

/// As dockerd says them where its own bridge has the container's ports while our place is made.
#[test]
fn ports_are_those_that_are_told_when_the_place_is_the_way_out() {
    let notes = Notes::default();
    let mut program = json!({"NetworkID": NETWORK, "EndpointID": ENDPOINT, "Options":
        endpoint("")["Options"].clone()});
    let call = "/NetworkDriver.ProgramExternalConnectivity";
    assert_eq!(notes.ask(call, &program), json!({}));
    program["Options"]["com.docker.network.portmap"] = Value::Null;
    assert_eq!(notes.ask(call, &program), json!({}));
    program["Options"] = json!({});
    assert_eq!(notes.ask(call, &program), json!({}));
    program["Options"] = json!({"com.docker.network.portmap": [{"Proto": 132, "Port": 7}]});
    assert!(notes.ask(call, &program)["Err"].as_str().unwrap().contains("132"));
    let asked = notes.asked.lock().unwrap();
    assert_eq!(*asked, ["publish fa47 [80, 53, 81]", "publish fa47 []", "publish fa47"]);
}

#[test]
fn what_is_refused_or_not_understood_is_an_error_in_words() {
    let refusing = Notes { refuses: true, ..Notes::default() };
    let ids = json!({"NetworkID": NETWORK, "EndpointID": ENDPOINT});
    assert_eq!(refusing.ask("/NetworkDriver.Leave", &ids), json!({"Err": "not today"}));
    let notes = Notes::default();
    for (path, body) in [
        ("/NetworkDriver.Frobnicate", ids.clone()),
        ("/IpamDriver.RequestPool", ids.clone()),
        ("/NetworkDriver.Leave", json!({"EndpointID": "../../etc/passwd"})),
        ("/NetworkDriver.Leave", json!([1])),
        ("/NetworkDriver.CreateNetwork", json!({"NetworkID": "../x"})),
        ("/NetworkDriver.CreateNetwork", json!({"NetworkID": ""})),
        ("/NetworkDriver.CreateEndpoint", json!({"NetworkID": NETWORK, "EndpointID": ""})),
        (
            "/NetworkDriver.CreateNetwork",
            json!({"NetworkID": NETWORK, "IPv4Data": [{"Pool": "x"}]}),
        ),
        (
            "/NetworkDriver.CreateEndpoint",
            json!({"NetworkID": NETWORK, "EndpointID": ENDPOINT,
            "Options": {"com.docker.network.portmap": [{"Proto": 132, "Port": 7}]}}),
        ),
        (
            "/NetworkDriver.CreateEndpoint",
            json!({"NetworkID": NETWORK, "EndpointID": ENDPOINT,
            "Options": {"uswitch.storm": "100"}}),
        ),
        ("/NetworkDriver.CreateEndpoint", endpoint("ff:ff:ff:ff:ff:ff")),
        ("/NetworkDriver.CreateEndpoint", endpoint("01:00:5e:00:00:01")),
        ("/NetworkDriver.CreateEndpoint", endpoint("00:00:00:00:00:00")),
    ] {
        let answer = notes.ask(path, &body);
        assert!(answer["Err"].as_str().is_some_and(|why| !why.is_empty()), "{path} {body}");
    }
    assert!(notes.asked.lock().unwrap().is_empty());
}

#[test]
fn a_call_that_is_repeated_without_its_contents_is_told_of_as_such() {
    let notes = Notes::default();
    for call in ["CreateNetwork", "CreateEndpoint", "Join", "ProgramExternalConnectivity"] {
        let answer = answer(&notes, &format!("/NetworkDriver.{call}"), b"");
        assert!(answer.contains("uswitch serve ended while"), "{call}: {answer}");
    }
    assert!(notes.asked.lock().unwrap().is_empty());
}
