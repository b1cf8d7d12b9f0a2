//! What dockerd was recorded to say (Docker 26.1), played against the socket; the part that dockerd has
//! with the interface is played by `ip`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::machine::eventually;
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

/// What dockerd says as it makes a place.
fn created(number: u8, mac: &str) -> String {
    let endpoint = endpoint(number);
    format!(
        r#"{{"NetworkID":"{NETWORK}","EndpointID":"{endpoint}","Interface":{{"Address":
        "10.77.5.{number}/16","AddressIPv6":"","MacAddress":"{mac}"}},"Options":{{
        "com.docker.network.endpoint.exposedports":[],"com.docker.network.portmap":[]}}}}"#
    )
}

fn mac(number: u8) -> String {
    format!("02:42:0a:4d:05:{number:02x}")
}

/// A container is started: what dockerd says, and what it does with the interface.
fn run(sandbox: &Sandbox, number: u8) {
    begin(number);
    let peer = join(number);
    enter(sandbox, number, &peer);
    assert_eq!(call("ProgramExternalConnectivity", &ids(number)), "{}");
    assert_eq!(call("EndpointOperInfo", &ids(number)), r#"{"Value":{}}"#);
}

fn begin(number: u8) {
    let wanted = format!(r#"{{"Interface":{{"MacAddress":"{}"}}}}"#, mac(number));
    assert_eq!(call("CreateEndpoint", &created(number, "")), wanted);
}

/// Says what the interface is called that is to go to the container.
fn join(number: u8) -> String {
    let joined = call("Join", &ids(number));
    let peer = format!("ue{}", &endpoint(number)[..12]);
    assert!(joined.contains(&peer) && joined.contains(r#""Gateway":"10.77.0.1""#), "{joined}");
    peer
}

/// What dockerd does with it.
fn enter(sandbox: &Sandbox, number: u8, peer: &str) {
    let name = format!("c{number}");
    sandbox.tool("ip", &["netns", "add", &name]);
    sandbox.tool("ip", &["link", "set", peer, "netns", &name, "name", "eth0"]);
    let inside = |args: &[&str]| sandbox.tool("ip", &[&["-n", &name], args].concat());
    let link = inside(&["link", "show", "eth0"]);
    assert!(link.contains(&mac(number)) && link.contains("mtu 1400"), "{link}");
    inside(&["addr", "add", &format!("10.77.5.{number}/16"), "dev", "eth0"]);
    inside(&["link", "set", "eth0", "up"]);
    inside(&["route", "add", "default", "via", "10.77.0.1"]);
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

/// Of the two calls one comes first.
#[test]
fn a_place_that_is_taken_away_while_it_is_joined_leaves_no_link() {
    served(|sandbox, _| {
        assert_eq!(call("CreateNetwork", &network()), "{}");
        for round in 0..40 {
            begin(1);
            std::thread::scope(|scope| {
                scope.spawn(|| call("Join", &ids(1)));
                std::thread::sleep(Duration::from_micros(round * 500));
                assert_eq!(call("DeleteEndpoint", &ids(1)), "{}");
            });
            let links = sandbox.tool("ip", &["-o", "link"]);
            assert!(!links.contains("ue01471f5c3b0e"), "round {round}:\n{links}");
        }
        assert_eq!(call("DeleteNetwork", &ids(1)), "{}");
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

/// The host's ports that lead to containers, as `show published` has them.
pub(crate) fn published(sandbox: &Sandbox) -> BTreeMap<String, u64> {
    let said = sandbox.uswitch(&["show", "published", "-j"]).ok().out;
    let rows: Vec<serde_json::Value> = serde_json::from_str(&said).unwrap();
    let row = |row: &serde_json::Value| {
        (row["inside"].as_str().unwrap().to_owned(), row["port"].as_u64().unwrap())
    };
    rows.iter().map(row).collect()
}

/// The last place has come first, and another has its port after the restart.
#[test]
fn ports_that_were_found_stay_when_the_server_is_followed_by_another() {
    served(|sandbox, serve| {
        assert_eq!(call("CreateNetwork", &network()), "{}");
        for number in [3, 2, 1] {
            run(sandbox, number);
            let ports = r#""Options":{"com.docker.network.portmap":[
                {"Proto":6,"Port":80,"HostIP":"127.0.0.1","HostPort":8000,"HostPortEnd":8010},
                {"Proto":17,"Port":53}]}"#;
            let program = ids(number).replace(r#""Options":{}"#, ports);
            assert_eq!(call("ProgramExternalConnectivity", &program), "{}");
            let told = call("EndpointOperInfo", &ids(number));
            let wanted = format!(r#""HostPort":{}"#, 8003 - u16::from(number));
            assert!(told.contains(&wanted), "{told}");
        }
        let before = published(sandbox);
        assert_eq!(before["10.77.5.1:80"], 8002, "{before:?}");
        assert_eq!(before.len(), 6, "{before:?}");
        let mut follow = || {
            let killed = serve.take().unwrap();
            killed.signal(Signal::SIGKILL);
            killed.ended();
            // The first port is free no more.
            let taken = TcpListener::bind("127.0.0.1:8000").unwrap();
            *serve = Some(start(sandbox));
            taken
        };
        let mut wanted = before.clone();
        wanted.insert("10.77.5.3:80".into(), 8003);
        for _ in 0..2 {
            drop(follow());
            assert_eq!(published(sandbox), wanted);
        }
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
        // The gateway's is no container's at all.
        let refused = call("CreateEndpoint", &created(9, "02:00:0a:4d:00:01"));
        assert!(refused.contains("02:00:0a:4d:00:01 is the gateway's"), "{refused}");
        let create = created(9, &mac(1));
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

/// Docker's API, which knows the network as `one` and the container of the first endpoint as `web`; it
/// answers one request of each connection, and leaves its end to who has asked.
fn docker(listener: &UnixListener) {
    let endpoint = endpoint(1);
    let known = format!(
        r#"{{"Name":"one","Containers":{{"ep-{endpoint}":{{"Name":"web","EndpointID":"{endpoint}"}}}}}}"#
    );
    let answer = |mut stream: UnixStream| -> std::io::Result<()> {
        let lines = BufReader::new(&stream).lines().map_while(Result::ok);
        let request: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        let asked = format!("GET /networks/{NETWORK} ");
        let (status, body) = match request.first().is_some_and(|line| line.starts_with(&asked)) {
            true => ("200 OK", known.as_str()),
            false => ("404 Not Found", "{}"),
        };
        let head = format!("HTTP/1.1 {status}\r\nServer: Docker/26.1.5 (linux)\r\n");
        write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len())?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    };
    listener.incoming().for_each(|stream| _ = stream.and_then(answer));
}

/// Whoever is refused meanwhile is told of it by that name, and what is dropped of its first frames.
#[test]
fn a_container_is_asked_for_before_anything_runs_in_it() {
    served(|sandbox, _| {
        let listener = UnixListener::bind("/run/docker.sock").unwrap();
        // It ends with this process.
        std::thread::spawn(move || docker(&listener));
        assert_eq!(call("CreateNetwork", &network()), "{}");
        let shows = |words: &[&str], what: &str| {
            let show = || sandbox.uswitch(words).ok().out.contains(what).then_some(());
            eventually(what, show);
        };
        shows(&["show", "routes"], " one ");
        begin(1);
        let peer = join(1);
        shows(&["show"], "web ");
        // Called so by dockerd once that has the answer.
        enter(sandbox, 1, &peer);
        let create = created(9, &mac(1));
        let refused = call("CreateEndpoint", &create);
        assert!(refused.contains("is web's"), "{refused}");
        assert_eq!(call("DeleteNetwork", &ids(1)), "{}");
        sandbox.tool("ip", &["netns", "del", "c1"]);
    });
}

/// A container in the second subnet has no way to the gateway in the first.
#[test]
fn a_container_is_led_out_by_the_gateway_in_its_own_subnet() {
    served(|_, _| {
        let second = r#""IPv4Data":[{"Gateway":"10.79.0.1/24","Pool":"10.79.0.0/24"},"#;
        assert_eq!(call("CreateNetwork", &network().replace(r#""IPv4Data":["#, second)), "{}");
        for (address, gateway) in [("10.77.5.1/16", "10.77.0.1"), ("10.79.0.2/24", "10.79.0.1")] {
            call("CreateEndpoint", &created(1, "").replace("10.77.5.1/16", address));
            let joined = call("Join", &ids(1));
            assert!(joined.contains(&format!(r#""Gateway":"{gateway}""#)), "{joined}");
            assert_eq!(call("DeleteEndpoint", &ids(1)), "{}");
        }
        assert_eq!(call("DeleteNetwork", &ids(1)), "{}");
    });
}

/// What a server that was killed has left at the one socket and at the other.
#[test]
fn no_socket_is_left_where_all_is_undone_after_a_kill() {
    served(|sandbox, serve| {
        let sockets = ["/run/docker/plugins/uswitch.sock", "/run/uswitch/serve.sock"];
        let killed = serve.take().unwrap();
        killed.signal(Signal::SIGKILL);
        killed.ended();
        assert!(sockets.iter().all(|path| Path::new(path).exists()));
        sandbox.uswitch(&["serve", "--clean"]).ok();
        assert_eq!(sockets.map(|path| Path::new(path).exists()), [false, false]);
        *serve = Some(start(sandbox));
    });
}
