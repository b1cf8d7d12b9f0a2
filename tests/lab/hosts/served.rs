//! `serve` whose network joins those of other hosts by etcd with TLS: what dockerd says is said to its
//! socket, and the part that dockerd has with the interface is played by `ip`.

use nix::sys::signal::Signal;
use serde_json::Value;

use super::hosts;
use super::shut_tls::shut;
use super::world::World;
use crate::READY;
use crate::door::until;
use crate::support::{Process, call_plugin};

const NETWORK: &str = "d4dc1f5c3b0e6a1b7c2d9e8f00112233445566778899aabbccddeeff00112233";
const ENDPOINT: &str = "02471f5c3b0e6a1b7c2d9e8f00112233445566778899aabbccddeeff00112233";
/// The container's hardware address.
pub(super) const MAC: &str = "02:42:0a:64:02:02";

/// `serve` on host 2, and one container there, c2 with 10.100.2.2.
pub(super) struct Served<'w, 's> {
    world: &'w World<'s>,
    serve: Process,
}

impl<'w, 's> Served<'w, 's> {
    /// Starts the server; `further` is what it is told beside its end of the tunnel.
    pub(super) fn start(world: &'w World<'s>, further: &[&str]) -> Self {
        let state = world.sandbox.dir.join("state");
        let usual = ["serve", "--uplink", "none", "--vtep", "10.9.0.2"];
        let state = ["--state", state.to_str().unwrap()];
        let mut serve = world.background(2, &[&usual[..], &state, further].concat());
        serve.wait_for("serving Docker");
        Self { world, serve }
    }

    /// The server is killed, and starts again.
    pub(super) fn killed(self, further: &[&str]) -> Self {
        self.serve.signal(Signal::SIGKILL);
        self.serve.ended();
        Self::start(self.world, further)
    }

    fn call(&self, name: &str, body: &str) -> String {
        let [_, said] = call_plugin(name, body);
        said
    }

    /// Makes the network; what is answered.
    pub(super) fn network(&self, join: &str) -> String {
        self.call(
            "CreateNetwork",
            &format!(
                r#"{{"NetworkID":"{NETWORK}","Options":{{"com.docker.network.generic":{{"uswitch.join":
                "{join}"}}}},"IPv4Data":[{{"AddressSpace":"LocalDefault","Gateway":"10.100.0.1/16",
                "Pool":"10.100.0.0/16"}}],"IPv6Data":[]}}"#
            ),
        )
    }

    /// Starts the container.
    pub(super) fn container(&self) {
        let create = format!(
            r#"{{"NetworkID":"{NETWORK}","EndpointID":"{ENDPOINT}","Interface":{{"Address":
            "10.100.2.2/16","AddressIPv6":"","MacAddress":"{MAC}"}},"Options":{{}}}}"#
        );
        assert_eq!(self.call("CreateEndpoint", &create), r#"{"Interface":{}}"#);
        let joined = self.call("Join", &ids());
        let peer = format!("ue{}", &ENDPOINT[..12]);
        assert!(joined.contains(&peer), "{joined}");
        let ip = |line: &str| {
            let words: Vec<_> = line.split(' ').collect();
            self.world.on(2, "ip", &words).ended().ok();
        };
        ip("netns add c2");
        ip(&format!("link set {peer} netns c2 name eth0"));
        ip("-n c2 addr add 10.100.2.2/16 dev eth0");
        ip("-n c2 link set eth0 up");
    }

    /// Whether the container is answered from there, by packets of the tunnel's full length.
    pub(super) fn pings(&self, to: &str) -> bool {
        let words = ["netns", "exec", "c2", "ping", "-c", "1", "-W", "1", "-M", "do", "-s"];
        let words = [&words[..], &["1422", to]].concat();
        self.world.on(2, "ip", &words).ended().code == Some(0)
    }

    /// The container, the network and the server end, and nothing of them is left.
    pub(super) fn end(self) {
        for name in ["Leave", "DeleteEndpoint", "DeleteNetwork"] {
            assert_eq!(self.call(name, &ids()), "{}", "{name}");
        }
        self.world.sandbox.tool("ip", &["netns", "del", "c2"]);
        self.serve.signal(Signal::SIGTERM);
        assert_eq!(self.serve.ended().code, Some(0));
        self.world.uswitch(2, &["serve", "--clean"]).ok();
        let links = self.world.on(2, "ip", &["-o", "link"]).ended().ok().out;
        assert_eq!(links.lines().count(), 2, "loopback and the cable alone are left:\n{links}");
    }
}

fn ids() -> String {
    format!(
        r#"{{"NetworkID":"{NETWORK}","EndpointID":"{ENDPOINT}","SandboxKey":"/run/netns/c2","Options":{{}}}}"#
    )
}

#[test]
fn a_container_is_on_the_network_of_hosts_that_etcd_knows_by_tls() {
    shut(|world, papers| {
        let [ca, cert, key] = ["ca.pem", "client.pem", "client.key"].map(|name| papers.path(name));
        let url = format!("etcds://10.9.0.1/prod?vni=100&cacert={ca}&cert={cert}&key={key}");
        let mut one = world.start_at(1, &url, &[]);
        one.wait_for(READY);
        let served = Served::start(world, &["--host-name", "b"]);
        // Without what etcd asks for there is no network, and a line says why.
        let said = served.network("etcds://10.9.0.1/prod");
        assert!(said.contains("Err") && said.contains("signed by none of"), "{said}");
        assert_eq!(served.network(&url), "{}");
        served.container();
        until("the container reaches host 1", || served.pings("10.100.1.1").then_some(()));
        let row = (MAC.to_owned(), "10.9.0.2".to_owned());
        until("host 1 has its row", || world.rows(&one).contains(&row).then_some(()));
        let hosts = world.json(1, &["show", "hosts"]);
        assert_eq!(hosts[0]["hosts"][0]["name"], "b", "{hosts:#}");
        served.end();
        until("nothing of host 2 is left", || world.rows(&one).is_empty().then_some(()));
    });
}

#[test]
fn a_server_that_starts_again_while_etcd_is_away_goes_on_by_the_rows_it_has_left() {
    hosts(|world| {
        let _one = world.lab(1);
        let served = Served::start(world, &["--host-name", "b"]);
        assert_eq!(served.network(&world.url()), "{}");
        served.container();
        until("the container reaches host 1", || served.pings("10.100.1.1").then_some(()));
        world.freeze_members(true);
        let served = served.killed(&["--host-name", "b"]);
        until("it does while etcd is away", || served.pings("10.100.1.1").then_some(()));
        let shown = || world.json(2, &["show", "hosts", "--name", "serve"]);
        let known = shown();
        assert_eq!(known[0]["state"], "alone", "{known:#}");
        let names = |known: &Value| {
            let all = known[0]["hosts"].as_array().unwrap().iter();
            all.map(|host| host["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&known), ["b", "10.9.0.1"], "what it is called etcd alone knows");
        world.freeze_members(false);
        until("etcd tells its name", || (names(&shown()) == ["b", "h1"]).then_some(()));
        until("the container reaches host 1", || served.pings("10.100.1.1").then_some(()));
        served.end();
    });
}
