//! What dockerd was recorded to say (Docker 26.1), played against the socket; the part that dockerd has
//! with the interface is played by `ip`.

use std::path::Path;

use nix::sys::signal::Signal;

use crate::support::{Process, Sandbox, call_plugin, rooted};

const NETWORK: &str = "d4dc1f5c3b0e6a1b7c2d9e8f00112233445566778899aabbccddeeff00112233";

pub(crate) fn served(test: impl FnOnce(&Sandbox, &mut Option<Process>) + Send) {
    rooted(|sandbox| {
        if !sandbox.real_root {
            return crate::support::skip("serving engines takes root");
        }
        let mut serve = Some(start(sandbox));
        test(sandbox, &mut serve);
        let serve = serve.take().unwrap();
        serve.signal(Signal::SIGTERM);
        assert_eq!(serve.ended().code, Some(0));
        sandbox.uswitch(&["serve", "--clean"]).ok();
        let links = sandbox.tool("ip", &["-o", "link"]);
        assert_eq!(links.lines().count(), 1, "loopback alone is left:\n{links}");
        assert!(!Path::new("/run/uswitch/serve").exists());
    });
}

pub(crate) fn start(sandbox: &Sandbox) -> Process {
    let state = sandbox.dir.join("state");
    let state = state.to_str().unwrap();
    let mut serve = sandbox.start(&["serve", "--uplink", "none", "--state", state]);
    serve.wait_for("serving Docker");
    serve
}

/// A call, and its answer.
#[track_caller]
fn call(name: &str, body: &str) -> String {
    let [head, body] = call_plugin(name, body);
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    body
}

fn endpoint(number: u8) -> String {
    format!("{number:02x}471f5c3b0e6a1b7c2d9e8f00112233445566778899aabbccddeeff00112233")
}

fn network() -> String {
    format!(
        r#"{{"NetworkID":"{NETWORK}","Options":{{"com.docker.network.enable_ipv6":false,
        "com.docker.network.generic":{{"com.docker.network.driver.mtu":"1400","foo":"bar"}}}},
        "IPv4Data":[{{"AddressSpace":"LocalDefault","AuxAddresses":{{"nas":"10.77.5.1/16"}},
        "Gateway":"10.77.0.1/16","Pool":"10.77.0.0/16"}}],"IPv6Data":[]}}"#
    )
}

fn ids(number: u8) -> String {
    let endpoint = endpoint(number);
    format!(
        r#"{{"NetworkID":"{NETWORK}","EndpointID":"{endpoint}","SandboxKey":"/run/netns/c{number}","Options":{{}}}}"#
    )
}

/// A container is started: what dockerd says, and what it does with the interface.
fn run(sandbox: &Sandbox, number: u8) {
    let endpoint = endpoint(number);
    let create = format!(
        r#"{{"NetworkID":"{NETWORK}","EndpointID":"{endpoint}","Interface":{{"Address":
        "10.77.5.{number}/16","AddressIPv6":"","MacAddress":""}},"Options":{{
        "com.docker.network.endpoint.exposedports":[],"com.docker.network.portmap":[]}}}}"#
    );
    let mac = format!("02:42:0a:4d:05:{number:02x}");
    let wanted = format!(r#"{{"Interface":{{"MacAddress":"{mac}"}}}}"#);
    assert_eq!(call("CreateEndpoint", &create), wanted);
    let joined = call("Join", &ids(number));
    let peer = format!("ue{}", &endpoint[..12]);
    assert!(joined.contains(&peer) && joined.contains(r#""Gateway":"10.77.0.1""#), "{joined}");
    let name = format!("c{number}");
    sandbox.tool("ip", &["netns", "add", &name]);
    sandbox.tool("ip", &["link", "set", &peer, "netns", &name, "name", "eth0"]);
    let inside = |args: &[&str]| sandbox.tool("ip", &[&["-n", &name], args].concat());
    let link = inside(&["link", "show", "eth0"]);
    assert!(link.contains(&mac) && link.contains("mtu 1400"), "{link}");
    inside(&["addr", "add", &format!("10.77.5.{number}/16"), "dev", "eth0"]);
    inside(&["link", "set", "eth0", "up"]);
    inside(&["route", "add", "default", "via", "10.77.0.1"]);
    assert_eq!(call("ProgramExternalConnectivity", &ids(number)), "{}");
    assert_eq!(call("EndpointOperInfo", &ids(number)), r#"{"Value":{}}"#);
}

fn ping(sandbox: &Sandbox, from: u8, to: &str) {
    let name = format!("c{from}");
    sandbox.tool("ip", &["netns", "exec", &name, "ping", "-c", "1", "-W", "5", to]);
}

#[test]
fn a_containers_life_as_dockerd_tells_it() {
    served(|sandbox, _| {
        assert_eq!(call("CreateNetwork", &network()), "{}");
        assert_eq!(call("CreateNetwork", &network()), "{}", "it may come again");
        let link = sandbox.tool("ip", &["addr", "show", "usd4dc1f5c3b"]);
        assert!(link.contains("10.77.0.1/16") && link.contains("mtu 1400"), "{link}");
        run(sandbox, 1);
        run(sandbox, 2);
        ping(sandbox, 1, "10.77.5.2");
        ping(sandbox, 1, "10.77.0.1");
        sandbox.tool("ping", &["-c", "1", "-W", "5", "10.77.5.1"]);
        let table = sandbox.uswitch(&["show"]).ok().out;
        assert!(table.contains("10.77.5.2/16") && table.contains("the-host"), "{table}");
        for name in ["RevokeExternalConnectivity", "Leave", "DeleteEndpoint", "DeleteEndpoint"] {
            assert_eq!(call(name, &ids(1)), "{}", "{name}");
        }
        // The same address, and an endpoint that nobody has told the end of.
        assert_eq!(call("DeleteNetwork", &ids(2)), "{}");
        assert_eq!(call("DeleteNetwork", &ids(2)), "{}");
        assert!(call("Join", &ids(2)).contains("Err"));
        for name in ["c1", "c2"] {
            sandbox.tool("ip", &["netns", "del", name]);
        }
    });
}

#[test]
fn a_killed_server_is_followed_by_one_that_goes_on() {
    served(|sandbox, serve| {
        assert_eq!(call("CreateNetwork", &network()), "{}");
        for number in 1..=3 {
            run(sandbox, number);
        }
        ping(sandbox, 1, "10.77.5.2");
        let index = sandbox.tool("ip", &["-n", "c1", "-o", "link", "show", "eth0"]);
        let killed = serve.take().unwrap();
        killed.signal(Signal::SIGKILL);
        killed.ended();
        // One container ends meanwhile, and nobody is told.
        sandbox.tool("ip", &["netns", "del", "c3"]);
        *serve = Some(start(sandbox));
        ping(sandbox, 1, "10.77.5.2");
        sandbox.tool("ping", &["-c", "1", "-W", "5", "10.77.5.1"]);
        let after = sandbox.tool("ip", &["-n", "c1", "-o", "link", "show", "eth0"]);
        assert_eq!(index, after, "the container sees the same link");
        let table = sandbox.uswitch(&["show"]).ok().out;
        assert!(table.contains("10.77.5.2/16") && !table.contains("10.77.5.3/16"), "{table}");
        // Its address is another's now.
        run(sandbox, 3);
        ping(sandbox, 3, "10.77.5.1");
        assert_eq!(call("DeleteNetwork", &ids(1)), "{}");
        for name in ["c1", "c2", "c3"] {
            sandbox.tool("ip", &["netns", "del", name]);
        }
    });
}

#[test]
fn a_hardware_address_is_one_containers_while_it_lives() {
    served(|sandbox, _| {
        assert_eq!(call("CreateNetwork", &network()), "{}");
        run(sandbox, 1);
        run(sandbox, 2);
        let endpoint = endpoint(9);
        let create = format!(
            r#"{{"NetworkID":"{NETWORK}","EndpointID":"{endpoint}","Interface":{{"Address":
            "10.77.5.9/16","AddressIPv6":"","MacAddress":"02:42:0a:4d:05:01"}},"Options":{{}}}}"#
        );
        let refused = call("CreateEndpoint", &create);
        assert!(
            refused.contains("hardware address 02:42:0a:4d:05:01 is ep-01471f5c3b0e's"),
            "{refused}"
        );
        ping(sandbox, 2, "10.77.5.1");
        ping(sandbox, 1, "10.77.0.1");
        // dockerd tells nobody of the end of a container that it was killed with.
        sandbox.tool("ip", &["netns", "del", "c1"]);
        assert_eq!(call("CreateEndpoint", &create), r#"{"Interface":{}}"#);
        assert_eq!(call("DeleteNetwork", &ids(2)), "{}");
        sandbox.tool("ip", &["netns", "del", "c2"]);
    });
}
