//! Containers in networks that other hosts are in too, known by etcd: labs on another host.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{Runtime, address, refused};
use crate::machine::eventually;
use crate::recorded::served;
use crate::support::{As, Process, Sandbox, skip};

fn etcd() -> Option<PathBuf> {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/etcd/usr/bin/etcd");
    let found = [unpacked, "/usr/bin/etcd".into()].into_iter().find(|path| path.exists());
    if found.is_none() {
        skip("no etcd here: the package etcd-server, unpacked in target/etcd or installed");
    }
    found
}

/// A lab on the other host, in the network of this name; its node `web` is at .50.
fn lab(sandbox: &Sandbox, network: &str, prefix: &str) -> Process {
    let file = sandbox.dir.join(format!("{network}.yaml"));
    let text = format!(
        "networks:\n  lan: {{subnet: {prefix}.0/24, gateway: true}}\nuplink: none\n\
         nodes:\n  web: {{network: \"lan,{prefix}.50\"}}\n"
    );
    std::fs::write(&file, text).unwrap();
    let url = url(sandbox, network);
    let words = ["run", file.to_str().unwrap(), "--name", network, "--join", &url];
    let mut command = inside(sandbox, &sandbox.dir.join("uswitch"));
    command.args(words).args(["--host-name", "b", "--vtep", "10.9.0.2"]);
    let mut run = Process::start(command, &format!("the lab in {network}"));
    run.wait_for("Ctrl-C undoes all of it");
    run
}

/// Where a network is found, by a user whose password is in a file.
fn url(sandbox: &Sandbox, network: &str) -> String {
    let secret = sandbox.dir.join("secret");
    std::fs::write(&secret, "geheim-4711\n").unwrap();
    format!("etcd://10.9.0.1/{network}?user=root&password-file={}", secret.display())
}

/// A program on the other host.
fn inside(sandbox: &Sandbox, program: &Path) -> Command {
    let mut command = sandbox.command(As::Root, Path::new("nsenter"));
    command.arg("--net=/run/netns/hostb").arg("--").arg(program);
    command
}

/// The nodes of host b in a network, as `serve` knows them.
fn nodes(sandbox: &Sandbox, network: &str) -> Vec<Value> {
    let said = sandbox.uswitch(&["show", "hosts", "-j", "--name", "serve"]).ok().out;
    let all: Value = serde_json::from_str(&said).unwrap();
    let own = all.as_array().unwrap().iter().filter(|own| own["name"] == network);
    let hosts = own.flat_map(|own| own["hosts"].as_array().unwrap().clone());
    hosts
        .filter(|host| host["name"] == "b")
        .flat_map(|host| host["nodes"].as_array().unwrap().clone())
        .collect()
}

#[test]
fn containers_join_networks_of_several_hosts_and_each_network_has_its_names() {
    let Some(program) = etcd() else { return };
    served(|sandbox, _| {
        let ip = |line: &str| drop(sandbox.tool("ip", &line.split(' ').collect::<Vec<_>>()));
        ip("netns add hostb");
        ip("link add out0 type veth peer name out1 netns hostb");
        ip("addr add 10.9.0.1/24 dev out0");
        ip("link set out0 up");
        ip("-n hostb addr add 10.9.0.2/24 dev out1");
        ip("-n hostb link set out1 up");
        ip("-n hostb link set lo up");
        let data = sandbox.dir.join("etcd");
        let mut command = sandbox.command(As::Root, &program);
        let at = "http://10.9.0.1:2379";
        command.args(["--listen-client-urls", at, "--advertise-client-urls", at]);
        command.args(["--data-dir", data.to_str().unwrap()]);
        let etcd = Process::start(command, "etcd");
        eventually("etcd answers", || std::net::TcpStream::connect("10.9.0.1:2379").ok().map(drop));
        for (call, body) in [
            ("user/add", json!({"name": "root", "password": "geheim-4711"})),
            ("user/grant", json!({"user": "root", "role": "root"})),
            ("enable", json!({})),
        ] {
            let at = format!("{at}/v3/auth/{call}");
            sandbox.tool("curl", &["-sf", "-m", "5", "-d", &body.to_string(), &at]);
        }
        // Who does not say who it is does not get in, and neither does a container.
        let mut nameless = Runtime::new(sandbox, "nameless", "10.94.0");
        nameless.conf["uswitch.join"] = json!("etcd://10.9.0.1/nameless");
        nameless.make("c0");
        let why = refused(&nameless.call("ADD", "c0", &nameless.conf), 999);
        assert!(why.contains("it asks who this is: user=NAME"), "{why}");
        nameless.unmake(&["c0"]);
        let mut networks = Vec::new();
        for (name, prefix, container) in [("one", "10.92.0", "c1"), ("two", "10.93.0", "c2")] {
            let mut runtime = Runtime::new(sandbox, name, prefix);
            runtime.conf["uswitch.join"] = json!(url(sandbox, name));
            runtime.make(container);
            let own = eventually("the container is in it", || {
                let ended = runtime.call("ADD", container, &runtime.conf);
                (ended.code == Some(0)).then(|| super::read(&ended))
            });
            networks.push((runtime, container, prefix, own));
        }
        let labs = [("one", "10.92.0"), ("two", "10.93.0")]
            .map(|(network, prefix)| lab(sandbox, network, prefix));
        for ((runtime, container, prefix, own), name) in networks.iter().zip(["one", "two"]) {
            eventually("host b's node is known", || {
                (nodes(sandbox, name) == [json!("web")]).then_some(())
            });
            runtime.ping(container, &format!("{prefix}.50"));
            // The name means the node of the container's own network.
            let folder = Path::new("/etc/netns").join(container);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("resolv.conf"), format!("nameserver {prefix}.1\n")).unwrap();
            let args = ["netns", "exec", container, "getent", "ahostsv4", "web"];
            eventually(&format!("web of {name}"), || {
                let mut command = sandbox.command(As::Root, Path::new("ip"));
                command.args(args);
                let said = Process::start(command, "getent").ended().out;
                said.starts_with(&format!("{prefix}.50")).then_some(())
            });
            assert_eq!(runtime.check(container, own).ok().out, "");
        }
        // What is kept of a network for the next server has no password in it.
        let kept = sandbox.dir.join("state");
        let line = format!("grep -rl geheim {} /run/uswitch || true", kept.display());
        assert_eq!(sandbox.tool("sh", &["-c", &line]), "");
        // What the other host has is refused, and nothing of it is left.
        let (runtime, _, _, own) = &networks[0];
        let taken = address(own).replace("10.92.0.10", "10.92.0.11");
        let mut command = inside(sandbox, &sandbox.dir.join("uswitch"));
        command.args(["add", "other", "--name", "one", "--address", &taken]);
        Process::start(command, "add").ended().ok();
        runtime.make("c3");
        let why = refused(&runtime.call("ADD", "c3", &runtime.conf), 999);
        let says = format!("{taken} is other on host b's in network one");
        assert!(why.contains(&says), "{why}");
        assert_eq!(sandbox.tool("ip", &["-n", "c3", "-o", "link"]).lines().count(), 1);
        // A network leaves with its last container: nobody is in it but the other host.
        runtime.del("c1");
        eventually("it is left", || nodes(sandbox, "one").is_empty().then_some(()));
        eventually("host b is alone in it", || {
            let mut command = inside(sandbox, &sandbox.dir.join("uswitch"));
            command.args(["show", "hosts", "-j", "--name", "one"]);
            let said = Process::start(command, "show").ended().ok().out;
            let all: Value = serde_json::from_str(&said).unwrap();
            (all[0]["hosts"].as_array().unwrap().len() == 1).then_some(())
        });
        networks[1].0.del("c2");
        for lab in labs {
            lab.signal(Signal::SIGTERM);
            assert_eq!(lab.ended().code, Some(0));
        }
        etcd.signal(Signal::SIGKILL);
        etcd.ended();
        runtime.unmake(&["c1", "c2", "c3", "hostb"]);
        eventually("the cable is gone", || {
            (sandbox.tool("ip", &["-o", "link"]).lines().count() == 1).then_some(())
        });
    });
}
