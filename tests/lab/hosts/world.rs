//! Three hosts at one cable, each a network namespace with a member of etcd and, perhaps, a lab.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::door::until;
use crate::support::{As, Ended, Process, Sandbox, skip};

/// Debian's etcd: unpacked (`.ci/run`), or installed.
pub(super) fn etcd() -> Option<PathBuf> {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/etcd/usr/bin/etcd");
    let found = [unpacked, "/usr/bin/etcd".into()].into_iter().find(|path| path.exists());
    if found.is_none() {
        skip("no etcd here: the package etcd-server, unpacked in target/etcd or installed");
    }
    found
}

/// The hosts, and etcd on each of them.
pub(super) struct World<'s> {
    pub(super) sandbox: &'s Sandbox,
    program: PathBuf,
    members: Vec<Option<Process>>,
}

/// The nodes of each host's lab beside those that are added: one called as its host.
fn file(host: usize) -> String {
    format!(
        "networks:\n  lan: {{subnet: 10.100.0.0/16, gateway: true}}\nuplink: none\n\
         nodes:\n  n{host}: {{network: \"lan,10.100.1.{host}\"}}\n"
    )
}

impl<'s> World<'s> {
    /// Hosts 1 to `count` at one cable, 10.9.0.1 on, each with a running member of etcd.
    pub(super) fn new(sandbox: &'s Sandbox, program: PathBuf, count: usize) -> Self {
        let world = Self::dark(sandbox, program, count);
        let mut world = world;
        for host in 1..=count {
            world.start_member(host, "new");
        }
        (1..=count).for_each(|host| world.member_answers(host));
        world
    }

    /// The same without etcd.
    pub(super) fn dark(sandbox: &'s Sandbox, program: PathBuf, count: usize) -> Self {
        let ip = |line: &str| drop(sandbox.tool("ip", &line.split(' ').collect::<Vec<_>>()));
        ip("link add cable type bridge");
        // The link's own address comes late, and what there is is compared.
        ip("link set cable addrgenmode none");
        ip("link set cable up");
        for host in 1..=count {
            ip(&format!("netns add host{host}"));
            ip(&format!("link add out{host} type veth peer name eth0 netns host{host}"));
            ip(&format!("link set out{host} addrgenmode none master cable up"));
            ip(&format!("-n host{host} addr add 10.9.0.{host}/24 dev eth0"));
            ip(&format!("-n host{host} link set eth0 up"));
            ip(&format!("-n host{host} link set lo up"));
            std::fs::write(sandbox.dir.join(format!("n{host}.yaml")), file(host)).unwrap();
        }
        Self { sandbox, program, members: (0..count).map(|_| None).collect() }
    }

    /// Starts a member; `state` is whether the cluster is `new` or `existing`.
    pub(super) fn start_member(&mut self, host: usize, state: &str) {
        let all: Vec<_> =
            (1..=self.members.len()).map(|n| format!("e{n}=http://10.9.0.{n}:2380")).collect();
        let data = self.sandbox.dir.join(format!("etcd{host}"));
        let (clients, peers) =
            (format!("http://10.9.0.{host}:2379"), format!("http://10.9.0.{host}:2380"));
        let mut command = self.inside(host, &self.program);
        command.args(["--name", &format!("e{host}"), "--data-dir", data.to_str().unwrap()]);
        command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
        command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
        command.args(["--initial-cluster", &all.join(","), "--initial-cluster-state", state]);
        command.args(["--heartbeat-interval", "100", "--election-timeout", "1000"]);
        let process = Process::start(command, &format!("etcd on host {host}"));
        self.members[host - 1] = Some(process);
    }

    /// Starts an etcd of its own on a host, with these options beside where it listens.
    pub(super) fn start_alone(&mut self, host: usize, scheme: &str, further: &[&str]) {
        let data = self.sandbox.dir.join(format!("etcd{host}"));
        let clients = format!("{scheme}://10.9.0.{host}:2379");
        let mut command = self.inside(host, &self.program);
        command.args(["--name", &format!("e{host}"), "--data-dir", data.to_str().unwrap()]);
        command.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
        command.args(further);
        self.members[host - 1] = Some(Process::start(command, &format!("etcd on host {host}")));
    }

    /// Waits until a member has a leader.
    pub(super) fn member_answers(&self, host: usize) {
        until(&format!("etcd answers on host {host}"), || {
            self.ask(host, "kv/range", r#"{"key":"AA=="}"#).map(drop)
        });
    }

    /// What a member says to a request of its gateway; None where it says nothing, or no.
    pub(super) fn ask(&self, host: usize, call: &str, body: &str) -> Option<Value> {
        self.ask_by(host, ("http", &[]), (call, body))
    }

    /// The same by another scheme, with curl's own options.
    pub(super) fn ask_by(
        &self,
        host: usize,
        (scheme, options): (&str, &[&str]),
        (call, body): (&str, &str),
    ) -> Option<Value> {
        let mut command = self.inside(host, Path::new("curl"));
        command.args(["-sf", "-m", "2", "-d", body]).args(options);
        command.arg(format!("{scheme}://10.9.0.{host}:2379/v3/{call}"));
        let ended = Process::start(command, call).ended();
        if ended.code == Some(0) { serde_json::from_str(&ended.out).ok() } else { None }
    }

    /// Sends a member's process a signal; one that is killed is gone when this returns.
    pub(super) fn signal_member(&mut self, host: usize, signal: Signal) {
        let place = &mut self.members[host - 1];
        if let Some(member) = place {
            member.signal(signal);
        }
        if signal == Signal::SIGKILL
            && let Some(member) = place.take()
        {
            member.ended();
        }
    }

    /// Freezes all members, and has them go on.
    pub(super) fn freeze_members(&self, frozen: bool) {
        let signal = if frozen { Signal::SIGSTOP } else { Signal::SIGCONT };
        self.members.iter().flatten().for_each(|member| member.signal(signal));
    }

    /// What a member that has ended knew is no more.
    pub(super) fn forget(&self, host: usize) {
        std::fs::remove_dir_all(self.sandbox.dir.join(format!("etcd{host}"))).unwrap();
    }

    /// The host whose member leads.
    pub(super) fn leader(&self) -> usize {
        let leads = |host: &usize| {
            let said = self.ask(*host, "maintenance/status", "{}");
            said.is_some_and(|said| said["leader"] == said["header"]["member_id"])
        };
        until("a leader", || (1..=self.members.len()).find(leads))
    }

    /// `uswitch run` on a host, with its node, for this URL and in this environment.
    pub(super) fn start_at(&self, host: usize, url: &str, environment: &[(&str, &str)]) -> Process {
        self.start_run(host, (url, &format!("10.9.0.{host}")), environment)
    }

    /// A host's cable, pulled or plugged in.
    pub(super) fn set_cable(&self, host: usize, up: bool) {
        let state = if up { "up" } else { "down" };
        self.sandbox.tool("ip", &["link", "set", &format!("out{host}"), state]);
    }

    fn inside(&self, host: usize, program: &Path) -> Command {
        let mut command = self.sandbox.command(As::Root, Path::new("nsenter"));
        command.arg(format!("--net=/run/netns/host{host}")).arg("--").arg(program);
        command
    }

    /// A program on a host.
    pub(super) fn on(&self, host: usize, program: &str, args: &[&str]) -> Process {
        let mut command = self.inside(host, Path::new(program));
        command.args(args);
        Process::start(command, &format!("{program} on host {host}"))
    }

    /// `uswitch ARGS` for a host's lab, in the background.
    pub(super) fn background(&self, host: usize, args: &[&str]) -> Process {
        Process::start(self.command(host, args), &args.join(" "))
    }

    /// `uswitch ARGS` on a host, for the lab called as it.
    fn command(&self, host: usize, args: &[&str]) -> Command {
        let mut command = self.inside(host, &self.sandbox.dir.join("uswitch"));
        command.env("USWITCH_LAB", format!("h{host}")).args(args);
        command
    }

    /// Where all hosts join.
    pub(super) fn url(&self) -> String {
        let all: Vec<_> = (1..=self.members.len()).map(|n| format!("10.9.0.{n}")).collect();
        format!("etcd://{}/prod?vni=100", all.join(","))
    }

    /// Starts the lab of a host, with node nHOST at 10.100.1.HOST, and waits until it is ready.
    pub(super) fn lab(&self, host: usize) -> Process {
        let mut run = self.start(host);
        run.wait_for(crate::READY);
        run
    }

    /// The same without waiting.
    pub(super) fn start(&self, host: usize) -> Process {
        self.start_with(host, &format!("10.9.0.{host}"))
    }

    /// The same with another end of the tunnel.
    pub(super) fn start_with(&self, host: usize, vtep: &str) -> Process {
        self.start_run(host, (&self.url(), vtep), &[])
    }

    fn start_run(
        &self,
        host: usize,
        (url, vtep): (&str, &str),
        environment: &[(&str, &str)],
    ) -> Process {
        let file = self.sandbox.dir.join(format!("n{host}.yaml"));
        let name = format!("h{host}");
        let words = ["run", file.to_str().unwrap(), "--host-name", &name, "--vtep", vtep];
        let mut command = self.command(host, &[&words[..], &["--join", url]].concat());
        command.envs(environment.iter().copied());
        Process::start(command, &format!("uswitch run on host {host}"))
    }

    /// Runs `uswitch ARGS` for a host's lab to its end.
    pub(super) fn uswitch(&self, host: usize, args: &[&str]) -> Ended {
        Process::start(self.command(host, args), &args.join(" ")).ended()
    }

    /// What it says with `-j`.
    pub(super) fn json(&self, host: usize, args: &[&str]) -> Value {
        let said = self.uswitch(host, &[args, &["-j"]].concat()).ok().out;
        serde_json::from_str(&said).unwrap()
    }

    /// Whether a node of a host's lab is answered from `to`.
    pub(super) fn pings(&self, host: usize, node: &str, to: &str) -> bool {
        let netns = format!("h{host}-{node}");
        let args = ["netns", "exec", &netns, "ping", "-c", "1", "-W", "1", to];
        let mut command = self.sandbox.command(As::Root, Path::new("ip"));
        command.args(args);
        Process::start(command, &args.join(" ")).ended().code == Some(0)
    }

    /// Pings from a node, five a second, until it is interrupted.
    pub(super) fn start_ping(&self, host: usize, node: &str, to: &str) -> Process {
        let netns = format!("h{host}-{node}");
        let mut command = self.sandbox.command(As::Root, Path::new("ip"));
        command.args(["netns", "exec", &netns, "ping", "-i", "0.2", to]);
        let mut ping = Process::start(command, "ping");
        ping.wait_for("bytes from");
        ping
    }

    /// What happens in a host's lab, an object a line.
    pub(super) fn monitor(&self, host: usize) -> Process {
        let monitor = Process::start(self.command(host, &["monitor", "-j"]), "monitor");
        // Once it hears one thing it hears all.
        until("the monitor listens", || {
            self.uswitch(host, &["fdb", "flush"]).ok();
            (!monitor.out().is_empty()).then_some(())
        });
        monitor
    }

    /// The rows of a lab's tunnel as the kernel has them: address and end, in order.
    pub(super) fn rows(&self, lab: &Process) -> Vec<(String, String)> {
        let said = self.bridge(lab, &["-j", "fdb", "show", "dev", "vxlan100"]);
        let rows: Value = serde_json::from_str(&said).unwrap();
        let row = |row: &Value| {
            let text = |key: &str| row[key].as_str().map(str::to_owned);
            Some((text("mac")?, text("dst")?))
        };
        let mut rows: Vec<_> = rows.as_array().unwrap().iter().filter_map(row).collect();
        rows.sort();
        rows
    }

    /// `bridge ARGS` in the namespace of a lab's switch.
    pub(super) fn bridge(&self, lab: &Process, args: &[&str]) -> String {
        self.in_switch(lab, "bridge", args)
    }

    /// A program in the namespace of a lab's switch that has the tunnel, which nobody else has a name for.
    pub(super) fn in_switch(&self, lab: &Process, program: &str, args: &[&str]) -> String {
        let of = format!("/proc/{}/fd", lab.pid());
        let holds = |fd: &PathBuf| {
            std::fs::read_link(fd).is_ok_and(|link| link.to_string_lossy().starts_with("net:"))
        };
        let entries = std::fs::read_dir(of).unwrap().map(|entry| entry.unwrap().path());
        for fd in entries.filter(holds) {
            let mut command = self.sandbox.command(As::Root, Path::new("nsenter"));
            command.arg(format!("--net={}", fd.display())).args(["--", program]).args(args);
            let ended = Process::start(command, program).ended();
            if ended.code == Some(0) {
                return ended.out;
            }
        }
        panic!("no namespace of {} has the tunnel", lab.pid());
    }
}
