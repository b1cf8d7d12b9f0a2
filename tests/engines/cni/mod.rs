//! The raw protocol of the Container Network Interface against a running `serve`: containers are
//! namespaces that the test makes, addresses come from a plugin of the test's (`ipam`).

mod apart;
mod host;
mod hosts;
mod life;
mod lost;
mod ports;
mod rates;
mod several;
mod together;
mod verbs;
mod wrong;

use std::fs::File;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{As, Ended, Process, Sandbox, in_netns};

/// The plugin for addresses.
const IPAM: &str = include_str!("ipam");

/// A runtime, with one network.
struct Runtime<'s> {
    sandbox: &'s Sandbox,
    conf: Value,
}

impl<'s> Runtime<'s> {
    /// One whose network has the addresses of `prefix`.
    fn new(sandbox: &'s Sandbox, name: &str, prefix: &str) -> Self {
        let folder = sandbox.dir.join("cni");
        if !folder.exists() {
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join("ipam"), IPAM).unwrap();
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(folder.join("ipam"), mode).unwrap();
        }
        let conf = json!({"cniVersion": "1.1.0", "name": name, "type": "uswitch", "ipam":
            {"type": "ipam", "prefix": prefix, "ways": [{"dst": "0.0.0.0/0"}]}});
        Self { sandbox, conf }
    }

    /// Starts the plugin with these variables.
    fn start_with(&self, variables: &[(&str, &str)], conf: &Value) -> Process {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let file = self.sandbox.dir.join(format!("conf-{number}"));
        std::fs::write(&file, conf.to_string()).unwrap();
        let mut command = self.sandbox.command(As::Root, &self.sandbox.dir.join("uswitch"));
        command.env("CNI_PATH", self.sandbox.dir.join("cni"));
        command.envs(variables.iter().copied()).stdin(File::open(&file).unwrap());
        Process::start(command, &format!("the plugin with {variables:?}"))
    }

    fn start(&self, verb: &str, container: &str, interface: &str, conf: &Value) -> Process {
        let netns = format!("/run/netns/{container}");
        let name = format!("IgnoreUnknown=1;K8S_POD_NAME={container}");
        let variables = [
            ("CNI_COMMAND", verb),
            ("CNI_CONTAINERID", container),
            ("CNI_IFNAME", interface),
            ("CNI_NETNS", &netns),
            ("CNI_ARGS", &name),
        ];
        self.start_with(&variables, conf)
    }

    fn call(&self, verb: &str, container: &str, conf: &Value) -> Ended {
        self.start(verb, container, "eth0", conf).ended()
    }

    /// Makes a container, without any network.
    fn make(&self, container: &str) {
        self.sandbox.tool("ip", &["netns", "add", container]);
    }

    fn unmake(&self, containers: &[&str]) {
        for container in containers {
            self.sandbox.tool("ip", &["netns", "del", container]);
        }
    }

    /// Adds a container; the result.
    #[track_caller]
    fn add(&self, container: &str) -> Value {
        read(&self.call("ADD", container, &self.conf).ok())
    }

    /// Deletes one.
    #[track_caller]
    fn del(&self, container: &str) {
        let ended = self.call("DEL", container, &self.conf).ok();
        assert_eq!(ended.out, "");
    }

    /// What CHECK says of a container that ADD has told this of.
    fn check(&self, container: &str, result: &Value) -> Ended {
        let mut conf = self.conf.clone();
        conf["prevResult"] = result.clone();
        self.call("CHECK", container, &conf)
    }

    #[track_caller]
    fn ping(&self, from: &str, to: &str) {
        let args = ["netns", "exec", from, "ping", "-c", "1", "-W", "5", to];
        self.sandbox.tool("ip", &args);
    }

    /// Interfaces of the host, loopback apart, and what `show` tells.
    fn left(&self) -> (Vec<String>, String) {
        let links = self.sandbox.tool("ip", &["-o", "link"]);
        let links = links.lines().skip(1).map(str::to_owned).collect();
        (links, self.sandbox.uswitch(&["show"]).ok().out)
    }

    /// Asserts that nothing is left of any container, at the host, in `serve`, or of addresses.
    #[track_caller]
    fn nothing_is_left(&self) {
        let (links, table) = self.left();
        assert!(links.is_empty(), "{links:?}");
        assert!(!table.contains("c1") && !table.contains("ep-"), "{table}");
        let given: Vec<_> = match std::fs::read_dir("/run/test/ipam") {
            Ok(folder) => folder.map(|entry| entry.unwrap().file_name()).collect(),
            Err(_) => vec![],
        };
        assert!(given.is_empty(), "{given:?}");
        let kept = std::fs::read_dir("/run/uswitch/serve/endpoints").unwrap();
        assert_eq!(kept.count(), 0);
    }
}

#[track_caller]
fn read(ended: &Ended) -> Value {
    serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

/// Asserts that a call was refused with this code; its one line.
#[track_caller]
fn refused(ended: &Ended, code: u32) -> String {
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let told = read(ended);
    assert_eq!(told["code"], code, "{ended:?}");
    let line = told["msg"].as_str().unwrap().to_owned();
    assert!(!line.is_empty() && !line.contains('\n') && ended.err.is_empty(), "{ended:?}");
    line
}

/// The first address of a result, without its prefix.
fn address(result: &Value) -> String {
    let text = result["ips"][0]["address"].as_str().unwrap();
    text.split('/').next().unwrap().to_owned()
}

/// Asks a gateway for an address, by hand (RFC 1035, section 4): the last one it answers with.
fn resolve(container: &str, gateway: &str, name: &str) -> Option<[u8; 4]> {
    let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.push(u8::try_from(name.len()).unwrap());
    query.extend(name.bytes());
    query.extend([0, 0, 1, 0, 1]);
    in_netns(format!("/run/netns/{container}"), || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.connect(format!("{gateway}:53")).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket.send(&query).unwrap();
        let mut answer = [0; 512];
        let length = socket.recv(&mut answer).unwrap();
        (answer[7] > 0).then(|| answer[length - 4..length].try_into().unwrap())
    })
}
