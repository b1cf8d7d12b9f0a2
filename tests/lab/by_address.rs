//! Tunnels of GRE and IPIP from nodes through the NAT: the kernel's own where it has them, else a
//! program's. What they carry arrives whole both ways, and the far end sees the uplink's address.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;

use crate::nat_clients::told;
use crate::support::{As, Process, Sandbox, both_ways, rooted};
use crate::{lab, netns};

/// One end of a tunnel.
pub(crate) struct End<'a> {
    /// Its namespace; None for the sandbox's own.
    pub(crate) netns: Option<&'a str>,
    /// Its address outside the tunnel, and the other end's.
    pub(crate) outer: (&'a str, &'a str),
    /// Its address inside.
    pub(crate) inner: &'a str,
}

/// A tunnel's end while it is needed.
pub(crate) struct Tunnel {
    _process: Option<Process>,
    /// It is the kernel's.
    pub(crate) is_kernels: bool,
}

impl Tunnel {
    pub(crate) fn begin(sandbox: &Sandbox, kind: &str, end: &End<'_>) -> Self {
        let name = format!("t-{kind}");
        let (local, remote) = end.outer;
        let inside = |line: &str| {
            let mut command = sandbox.command(As::Root, Path::new("ip"));
            if let Some(netns) = end.netns {
                command.args(["-n", netns]);
            }
            command.args(line.split(' '));
            Process::start(command, line).ended()
        };
        let add = format!("link add {name} type {kind} local {local} remote {remote} ttl 64");
        let is_kernels = inside(&add).code == Some(0);
        let process = (!is_kernels).then(|| {
            let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/by_address.py");
            let mut command = sandbox.command(As::Root, Path::new("ip"));
            match end.netns {
                Some(netns) => command.args(["netns", "exec", netns, "python3"]),
                None => {
                    command = sandbox.command(As::Root, Path::new("python3"));
                    &mut command
                }
            };
            command.arg(program).args([kind, local, remote, &name]);
            let mut process = Process::start(command, "a tunnel");
            process.wait_for("ready");
            process
        });
        for line in [
            format!("link set {name} mtu 1400 up"),
            format!("addr add {}/30 dev {name}", end.inner),
        ] {
            let ended = inside(&line);
            assert_eq!(ended.code, Some(0), "{line}: {}", ended.err);
        }
        Self { _process: process, is_kernels }
    }
}

fn ping(sandbox: &Sandbox, node: &str, to: &str) {
    let args = ["netns", "exec", node, "ping", "-n", "-c", "5", "-i", "0.1", "-W", "5", to];
    let said = sandbox.tool("ip", &args);
    assert!(said.contains(" 0% packet loss"), "{said}");
}

fn shown(sandbox: &Sandbox, what: &str) -> Value {
    serde_json::from_str(&sandbox.uswitch(&["show", what, "-j"]).ok().out).unwrap()
}

#[track_caller]
fn whole((client, server): (&str, &str), at: &str, bytes: u64) {
    let at: SocketAddr = at.parse().unwrap();
    for (sent, received) in both_ways((&netns(client), &netns(server)), at, bytes) {
        assert_eq!((sent.bytes, &sent), (bytes, &received), "{client} {server} {at}");
    }
}

#[test]
fn gre_and_ipip_of_two_nodes_pass_the_nat_both_ways() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "3"]);
        let ends = [("gre", "net1", "10.100.0.10", 1), ("ipip", "net2", "10.100.0.20", 5)];
        let mut tunnels = Vec::new();
        for (kind, node, own, net) in ends {
            let inner = [0, 1].map(|host| format!("172.31.0.{}", net + host));
            for (netns, outer, inner) in [
                (node, (own, "8.8.8.8"), &inner[0]),
                ("inet", ("8.8.8.8", "203.0.113.2"), &inner[1]),
            ] {
                let end = End { netns: Some(netns), outer, inner };
                tunnels.push(Tunnel::begin(sandbox, kind, &end));
            }
            ping(sandbox, node, &inner[1]);
            ping(sandbox, "inet", &inner[0]);
        }
        for (_, node, _, net) in ends {
            whole((node, "inet"), &format!("172.31.0.{}:7300", net + 1), 1 << 20);
            whole(("inet", node), &format!("172.31.0.{net}:7301"), 1 << 20);
        }
        let said = sandbox.uswitch(&["show", "nat"]).ok().out;
        for (kind, inside) in [("gre", "10.100.0.10"), ("ipip", "10.100.0.20")] {
            let row = said.lines().find(|line| line.starts_with(kind));
            let row: Vec<_> = row.expect(&said).split_whitespace().take(5).collect();
            assert_eq!(row, [kind, inside, "203.0.113.2", "8.8.8.8", "active"], "{said}");
        }
        // A second node cannot be told from the first, and its program hears so.
        let error = told("net3", 47);
        assert_eq!(error.raw_os_error(), Some(nix::libc::EHOSTUNREACH), "{error}");
        let counters = shown(sandbox, "counters");
        assert_eq!(counters["gateway"]["drops"]["remote-taken"], 1, "{counters:#}");
        assert_eq!(counters["gateway"]["drops"].get("bad-offload"), None, "{counters:#}");
        assert_eq!(counters["switch"]["send_errors"], 0, "{counters:#}");
        assert_eq!(counters["gateway"]["nat"]["usage"]["other"]["sessions"], 2, "{counters:#}");
        drop(tunnels);
    });
}
