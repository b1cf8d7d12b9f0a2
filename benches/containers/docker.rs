//! dockerd with networks of both drivers, asked at its own socket, so that no client's start is in what is
//! measured.
//!
//! A network's share of a start is the start of a container in it less that of one in `none`, in the same
//! round; what `-p` costs is a start with it less one without.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::machine::{Machine, eventually};
use crate::report::{Report, Side, in_turn};
use crate::support::Process;

/// The networks, by driver, and the name of the bridge's interface.
pub const BRIDGE: &str = "theirs";
pub const OURS: &str = "ours";
pub const BRIDGE_INTERFACE: &str = "br-theirs";

pub fn network(side: Side) -> &'static str {
    match side {
        Side::Theirs => BRIDGE,
        Side::Ours => OURS,
    }
}

pub struct Docker<'m> {
    pub machine: &'m Machine,
    dockerd: Process,
}

impl<'m> Docker<'m> {
    pub fn start(machine: &'m Machine) -> Result<Self> {
        let line = "echo $$ >/run/dockerd.pid; exec dockerd --data-root /tmp/docker --exec-root /tmp/exec \
                    --storage-driver overlay2 -H unix:///run/docker.sock";
        let docker = Self { machine, dockerd: machine.start_sh(line) };
        let up = || machine.try_sh("docker version").code.filter(|code| *code == 0);
        eventually("dockerd answers", up);
        machine.sh("tar -C /tmp/image -c . | docker import - box >/dev/null");
        machine.sh(&format!(
            "docker network create -d bridge --subnet 10.71.0.0/16 \
             -o com.docker.network.bridge.name={BRIDGE_INTERFACE} {BRIDGE}; \
             docker network create -d uswitch --subnet 10.72.0.0/16 {OURS}"
        ));
        Ok(docker)
    }

    /// How long a start takes, in each network and without one.
    pub fn starts(&self, count: usize, report: &mut Report) -> Result<()> {
        for round in 0..=count {
            let none = self.start_of("none", &[])?;
            for side in in_turn(round) {
                let plain = self.start_of(network(side), &[])?;
                let published = self.start_of(network(side), &["8080/tcp"])?;
                // The first round is of a cold machine.
                if round > 0 {
                    report.time("docker: network's share of a start", side, plain - none);
                    report.time("docker: what -p adds to it", side, published - plain);
                }
            }
        }
        Ok(())
    }

    /// How long a running container takes into a network and out of it.
    pub fn connects(&self, count: usize, report: &mut Report) -> Result<()> {
        self.machine.sh("docker network create -d bridge --subnet 10.70.0.0/16 base");
        let container = self.create("base", &[])?;
        self.ask("POST", &format!("/containers/{container}/start"), None)?;
        for round in 0..=count {
            for side in in_turn(round) {
                let body = json!({ "Container": container });
                let mut times = Vec::new();
                for what in ["connect", "disconnect"] {
                    let path = format!("/networks/{}/{what}", network(side));
                    times.push(self.ask("POST", &path, Some(&body))?.0);
                    std::thread::sleep(Duration::from_millis(100));
                }
                if round > 0 {
                    report.time("docker: network connect", side, times[0]);
                    report.time("docker: network disconnect", side, times[1]);
                }
            }
        }
        self.remove(&container)
    }

    /// Milliseconds of the start of a container with these ports of the host's, which goes then.
    fn start_of(&self, network: &str, ports: &[&str]) -> Result<f64> {
        let container = self.create(network, ports)?;
        let (took, _) = self.ask("POST", &format!("/containers/{container}/start"), None)?;
        self.remove(&container)?;
        // What it leaves to be done is not the next one's.
        std::thread::sleep(Duration::from_millis(150));
        Ok(took)
    }

    fn create(&self, network: &str, ports: &[&str]) -> Result<String> {
        let bindings: serde_json::Map<_, _> = ports
            .iter()
            .map(|port| {
                let own = port.split('/').next().unwrap_or_default();
                ((*port).to_owned(), json!([{ "HostPort": own }]))
            })
            .collect();
        let exposed: serde_json::Map<_, _> =
            ports.iter().map(|port| ((*port).to_owned(), json!({}))).collect();
        let body = json!({ "Image": "box", "Cmd": ["sleep", "100000"], "ExposedPorts": exposed,
            "HostConfig": { "NetworkMode": network, "PortBindings": bindings, "Init": false } });
        let (_, made) = self.ask("POST", "/containers/create", Some(&body))?;
        Ok(made["Id"].as_str().context("a container without a number")?.to_owned())
    }

    fn remove(&self, container: &str) -> Result<()> {
        self.ask("DELETE", &format!("/containers/{container}?force=true"), None).map(drop)
    }

    /// One call: milliseconds until all of the answer was here, and the answer.
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(f64, Value)> {
        let mut socket = UnixStream::connect(self.machine.file("/run/docker.sock"))?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let begun = Instant::now();
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: docker\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        socket.write_all(request.as_bytes())?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        let took = begun.elapsed().as_secs_f64() * 1e3;
        let (head, said) = answer.split_once("\r\n\r\n").context("half an answer")?;
        if !head.split(' ').nth(1).is_some_and(|status| status.starts_with('2')) {
            bail!("{method} {path}: {answer}");
        }
        Ok((took, serde_json::from_str(said).unwrap_or_default()))
    }

    pub fn end(mut self) {
        self.machine.sh(
            "docker ps -aq | xargs -r docker rm -f >/dev/null; docker network prune -f >/dev/null",
        );
        self.machine.sh("kill $(cat /run/dockerd.pid)");
        while self.dockerd.running() {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
