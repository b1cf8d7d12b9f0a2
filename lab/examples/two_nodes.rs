//! A lab inside a program: two nodes, a server in one, a client in the other, the internet beyond the NAT.
//!
//! `cargo run -p uswitch-lab --example two_nodes`, as root or as an ordinary user. What it asserts is held
//! by `tests/lab/library.rs`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use uswitch_lab::{Error, Lab};

/// Builds the lab, uses it, undoes it.
pub(crate) fn main() -> Result<(), Error> {
    let lab = Lab::builder().nodes(2).start()?;
    let (server, client) = (lab.node("net1")?, lab.node("net2")?);

    // Programs of the machine, inside a node: nodes know each other by name.
    let ping = client.run(["ping", "-c1", "-W5", "net1"])?.ok()?;
    println!("{}", ping.out.lines().nth(1).unwrap_or_default());

    // Sockets of this process, each in its node.
    let listener = server.with(|| TcpListener::bind("0.0.0.0:7000"))?;
    let address = server.address().map(|address| SocketAddr::from((address, 7000)));
    let mut stream = client.with(|| TcpStream::connect(address.as_slice()))?;
    let (mut accepted, from) = server.with(|| listener.accept())?;
    client.with(|| stream.write_all(b"hello"))?;
    let mut word = [0; 5];
    server.with(|| accepted.read_exact(&mut word))?;
    println!("{from} said {}", String::from_utf8_lossy(&word));

    // Through the gateway's NAT to an internet that is simulated: no packet leaves the machine.
    client.run(["ping", "-c1", "-W5", "8.8.8.8"])?.ok()?;
    println!("8.8.8.8 answered");

    // A program that fails is a value, not a panic.
    let lost = client.run(["ping", "-c1", "-W1", "10.100.0.99"])?;
    println!("10.100.0.99: exit code {}", lost.code());

    lab.stop()
}
