//! The capability `bandwidth`: a container is held to rates, each way for itself.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Runtime, address, refused};
use crate::recorded::served;
use crate::support::in_netns;

/// What each way is held to, in bits a second, and what may come at once beyond that, in bits.
const RECEIVED: u64 = 16_000_000;
const SENT: u64 = 32_000_000;
const BURST: u64 = 400_000;
/// How long is measured, behind the first second.
const SPAN: Duration = Duration::from_secs(3);

fn limited(runtime: &Runtime<'_>, bandwidth: Value) -> Value {
    let mut conf = runtime.conf.clone();
    conf["runtimeConfig"] = json!({ "bandwidth": bandwidth });
    conf
}

/// Bits a second of one connection from container to container.
fn measured(from: &str, to: &str, at: SocketAddr) -> f64 {
    let listener = in_netns(format!("/run/netns/{to}"), || TcpListener::bind(at)).unwrap();
    let mut client = in_netns(format!("/run/netns/{from}"), || TcpStream::connect(at)).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let zeros = vec![0; 64 << 10];
            while client.write_all(&zeros).is_ok() {}
        });
        let mut buffer = vec![0; 64 << 10];
        let begun = Instant::now();
        let mut counted = None;
        loop {
            let length = server.read(&mut buffer).unwrap();
            match &mut counted {
                None if begun.elapsed() > Duration::from_secs(1) => {
                    counted = Some((Instant::now(), 0_usize));
                }
                None => {}
                Some((since, bytes)) => {
                    *bytes += length;
                    if since.elapsed() > SPAN {
                        // Whoever sends ends with it.
                        server.shutdown(Shutdown::Both).unwrap();
                        let bits = f64::from(u32::try_from(*bytes).unwrap()) * 8.0;
                        return bits / since.elapsed().as_secs_f64();
                    }
                }
            }
        }
    })
}

#[test]
fn a_container_is_held_to_its_rates() {
    served(|sandbox, _| {
        let runtime = Runtime::new(sandbox, "one", "10.92.0");
        runtime.make("c1");
        runtime.make("c2");
        let rates = json!({"ingressRate": RECEIVED, "ingressBurst": BURST,
            "egressRate": SENT, "egressBurst": BURST});
        let conf = limited(&runtime, rates);
        let told: Value = serde_json::from_str(&runtime.call("ADD", "c1", &conf).ok().out).unwrap();
        let other = runtime.add("c2");
        let at = |result: &Value| SocketAddr::new(address(result).parse().unwrap(), 7000);
        for (from, to, result, rate) in [("c2", "c1", &told, RECEIVED), ("c1", "c2", &other, SENT)]
        {
            let wanted = f64::from(u32::try_from(rate).unwrap());
            let seen = measured(from, to, at(result));
            assert!((0.8..1.2).contains(&(seen / wanted)), "{from} to {to}: {seen} of {wanted}");
        }
        // The namespace lives on, and nothing of ours in it.
        runtime.call("DEL", "c1", &conf).ok();
        let links = sandbox.tool("ip", &["-n", "c1", "-o", "link"]);
        assert_eq!(links.lines().count(), 1, "{links}");
        runtime.call("ADD", "c1", &conf).ok();
        runtime.call("DEL", "c1", &conf).ok();
        for (bandwidth, word) in [
            (json!({"ingressRate": 1000}), "ingressBurst is not"),
            (json!({"egressBurst": 1000}), "egressRate is not"),
            (json!({"egressRate": 1, "egressBurst": 1_u64 << 40}), "4 GB"),
        ] {
            let why = refused(&runtime.call("ADD", "c1", &limited(&runtime, bandwidth)), 7);
            assert!(why.contains(word), "{why}");
        }
        runtime.del("c2");
        runtime.nothing_is_left();
        runtime.unmake(&["c1", "c2"]);
    });
}
