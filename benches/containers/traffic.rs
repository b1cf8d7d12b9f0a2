//! How much goes through both networks: between two containers, to the host at the gateway's address, to the
//! world beyond it, and from the world by published ports. The same loads as those of `throughput`.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::Args;
use crate::docker::{BRIDGE_INTERFACE, Docker, network};
use crate::load::{datagrams, frames, tcp};
use crate::report::{Report, Side, in_turn};
use crate::topology::Node;

/// The host and the world, as the machine has them.
const HOST: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
const WORLD: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// Clients that make connections at once, and published ports of TCP, one each.
const WORKERS: u16 = 4;
/// The port of UDP.
const DATAGRAMS: u16 = 9;

/// Two ends, and what the first knows the second by.
struct Way {
    name: &'static str,
    from: Node,
    to: Node,
    /// Where datagrams are sent.
    at: SocketAddr,
    /// The neighbour that they are given to.
    next: Ipv4Addr,
}

/// Measures all ways through both networks, in turn.
pub fn measure(docker: &Docker<'_>, args: &Args, report: &mut Report) -> Result<()> {
    let theirs = ways(docker, Side::Theirs, 9100)?;
    let ours = ways(docker, Side::Ours, 9200)?;
    for round in 0..args.rounds {
        for (theirs, ours) in theirs.iter().zip(&ours) {
            for side in in_turn(round) {
                let way = if side == Side::Theirs { theirs } else { ours };
                // What fails is told, and the rest measured all the same.
                if let Err(error) = go(way, side, args, report) {
                    report.fail(&format!("{side:?}, {}: {error:#}", way.name));
                }
            }
        }
    }
    Ok(())
}

fn go(way: &Way, side: Side, args: &Args, report: &mut Report) -> Result<()> {
    let window = Duration::from_secs_f64(args.seconds);
    let Way { name, from, to, .. } = way;
    let wanted = |load: &str| {
        let row = format!("{name}/{load}");
        args.rows.is_empty() || args.rows.iter().any(|wanted| row.starts_with(wanted.as_str()))
    };
    for flows in [1, 4] {
        if wanted(&format!("tcp/{flows}")) {
            let (bits, _) = tcp::bulk(&[tcp::Direction { from, to, flows }], window)?;
            let row =
                format!("{name}: bulk TCP, {flows} flow{}", if flows == 1 { "" } else { "s" });
            report.rate(&row, "Gbit/s", side, bits / 1e9);
        }
    }
    if wanted("rr") {
        let turns = tcp::request_response(from, to, window)?;
        report.rate(&format!("{name}: TCP_RR, one byte"), "/s", side, turns);
    }
    if wanted("udp") {
        let delivered = small(way, window)?;
        report.rate(&format!("{name}: 60-byte UDP frames"), "k/s", side, delivered / 1e3);
    }
    if wanted("connections") {
        let made = tcp::connections(from, to, usize::from(WORKERS), window / 2)?;
        report.rate(&format!("{name}: new connections"), "/s", side, made);
    }
    Ok(())
}

/// Frames of UDP that arrive a second, of one flow that is sent flat out. A socket takes them in.
fn small(way: &Way, window: Duration) -> Result<f64> {
    let own = way.to.address;
    let sink = way.to.run(move || {
        let sink = UdpSocket::bind((own, DATAGRAMS))?;
        sink.set_read_timeout(Some(Duration::from_secs(3)))?;
        Ok(sink)
    })?;
    let at = way.at;
    way.from.run(move || Ok(UdpSocket::bind("0.0.0.0:0")?.send_to(b"first", at)?))?;
    sink.recv(&mut [0; 64]).context("the first datagram")?;
    let next = datagrams::neighbour(&way.from, way.next)?;
    let SocketAddr::V4(at) = at else { unreachable!("all is IPv4 here") };
    let target = (*at.ip(), at.port());
    let from = (way.from.address, datagrams::SOURCE);
    let frame = [datagrams::smallest(next, way.from.mac()?, from, target)];
    let receivers = std::slice::from_ref(&way.to);
    // Flows are learnt from what comes first.
    frames::send(&way.from, receivers, &frame, Some(1000.0), Duration::from_millis(100))?;
    Ok(frames::send(&way.from, receivers, &frame, None, window)?.delivered)
}

/// Starts two containers, one of which has published ports, and opens all ends.
fn ways(docker: &Docker<'_>, side: Side, first: u16) -> Result<Vec<Way>> {
    let (machine, network) = (docker.machine, network(side));
    let last = first + WORKERS - 1;
    let published = format!("-p {first}-{last}:{first}-{last} -p {first}:{DATAGRAMS}/udp");
    for (name, options) in [("a", ""), ("b", published.as_str())] {
        machine.sh(&format!(
            "docker run -d --name {network}-{name} --network {network} {options} box sleep 100000"
        ));
    }
    let told = |name: &str, what: &str| {
        machine.sh(&format!("docker inspect -f '{{{{{what}}}}}' {name}")).trim().to_owned()
    };
    let settings = format!(".NetworkSettings.Networks.{network}");
    let container = |name: &str| -> Result<Node> {
        let name = format!("{network}-{name}");
        let sandbox = told(&name, ".NetworkSettings.SandboxKey");
        let address = told(&name, &format!("{settings}.IPAddress")).parse()?;
        Node::open_at(&machine.file(&sandbox), &name, "eth0", address)
    };
    let gateway: Ipv4Addr =
        told(&format!("{network}-a"), &format!("{settings}.Gateway")).parse()?;
    let id = told(&format!("{network}-a"), &format!("{settings}.NetworkID"));
    let of_host = match side {
        Side::Theirs => BRIDGE_INTERFACE.to_owned(),
        Side::Ours => format!("us{}", &id[..10]),
    };
    let host_ns: PathBuf = machine.file("/proc/1/ns/net");
    let host = || Node::open_at(&host_ns, "host", &of_host, gateway);
    let world = || Node::open_at(&machine.file("/run/netns/world"), "world", "w0", WORLD);
    let at = |ip: Ipv4Addr, port: u16| SocketAddr::from((ip, port));
    let b = container("b")?.address;
    Ok(vec![
        Way {
            name: "to a container",
            from: container("a")?,
            to: container("b")?,
            at: at(b, DATAGRAMS),
            next: b,
        },
        Way {
            name: "to the host",
            from: container("a")?,
            to: host()?,
            at: at(gateway, DATAGRAMS),
            next: gateway,
        },
        Way {
            name: "to the world",
            from: container("a")?,
            to: world()?,
            at: at(WORLD, DATAGRAMS),
            next: gateway,
        },
        Way {
            name: "published",
            from: world()?,
            to: container("b")?.reached_at(HOST, first, WORKERS),
            at: at(HOST, first),
            next: HOST,
        },
    ])
}
