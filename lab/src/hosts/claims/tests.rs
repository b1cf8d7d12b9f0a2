#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use overlay::{Config, NodeClaim, Space};
use serde_json::{Value, json};
use wire::MacAddr;

use super::super::etcd::Etcd;
use super::super::{Access, Join, Kind, Shared, Status};
use super::make_many;

/// A key's value, its lease, when it was put.
type Held = (String, String, i64);

/// An etcd in memory that knows transactions, and counts them.
#[derive(Default)]
struct Registry {
    keys: BTreeMap<String, Held>,
    revision: i64,
    asked: usize,
}

impl Registry {
    fn transact(&mut self, asked: &Value) -> Value {
        self.asked += 1;
        let key = |of: &Value| of["key"].as_str().unwrap().to_owned();
        let holds = |compare: &Value| {
            let there = self.keys.get(&key(compare)).map_or(0, |held| held.2);
            let wanted = compare["mod_revision"].as_str().map_or(0, |text| text.parse().unwrap());
            there == wanted
        };
        let all = |name: &str| asked[name].as_array().unwrap().clone();
        if all("compare").iter().all(holds) {
            self.revision += 1;
            for put in all("success") {
                let put = &put["request_put"];
                let text = |name: &str| put[name].as_str().unwrap().to_owned();
                self.keys.insert(key(put), (text("value"), text("lease"), self.revision));
            }
            return json!({ "succeeded": true });
        }
        let ranges = all("failure").into_iter().map(|range| {
            let name = key(&range["request_range"]);
            let there = self.keys.get(&name).into_iter().map(|(value, lease, revision)| {
                json!({ "key": name, "value": value, "lease": lease, "mod_revision": revision.to_string() })
            });
            json!({ "response_range": { "kvs": there.collect::<Vec<_>>() } })
        });
        json!({ "responses": ranges.collect::<Vec<_>>() })
    }
}

fn answer(stream: TcpStream, registry: &Mutex<Registry>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let said = registry.lock().unwrap().transact(&serde_json::from_slice(&body).ok()?).to_string();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", said.len());
    reader.into_inner().write_all((head + &said).as_bytes()).ok()
}

fn serve() -> (SocketAddr, Arc<Mutex<Registry>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let registry = Arc::new(Mutex::new(Registry::default()));
    let served = Arc::clone(&registry);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.unwrap(), &served);
        }
    });
    (at, registry)
}

fn shared(at: SocketAddr) -> Shared {
    let join = Join {
        kind: Kind::Etcd,
        members: vec![at],
        access: Arc::new(Access::default()),
        name: "prod".into(),
        vni: None,
        port: None,
        network: None,
        vtep: [10, 9, 0, 1].into(),
        host: "h1".into(),
    };
    let (subnets, gateways) = Default::default();
    Shared {
        join,
        vni: 7,
        space: Space::of("prod").unwrap(),
        config: Config { vni: 7, port: 4789, subnets, gateways, ipv6: false },
        lab: "lab".into(),
        network: Mutex::new("lan".into()),
        stays: AtomicBool::default(),
        wanted: Mutex::default(),
        status: Mutex::new(Status::default()),
        events: Mutex::new(VecDeque::new()),
    }
}

fn node(number: u8) -> NodeClaim {
    NodeClaim {
        node: format!("n{number}"),
        ips: [[10, 1, 0, number].into()].map(std::net::IpAddr::V4).into(),
        macs: [MacAddr([2, 0, 10, 1, 0, number])].into(),
        tags: None,
    }
}

/// A server that starts again finds what its containers have by the lease of the one before: each is
/// overwritten, all together, for its own lease does not wait.
#[test]
fn what_an_older_lease_of_ours_holds_is_claimed_in_few_questions() {
    let (at, registry) = serve();
    let shared = shared(at);
    let mut etcd = Etcd::new(vec![at], Arc::new(Access::default())).brief();
    let all: Vec<_> = (1..=25).map(node).collect();
    let runtime = super::super::enter::runtime().unwrap();
    let mut claim = |lease| {
        let before = registry.lock().unwrap().asked;
        let taken = runtime.block_on(make_many((&mut etcd, &shared), &all, lease)).unwrap();
        let held = registry.lock().unwrap();
        (
            taken,
            held.asked - before,
            held.keys.values().filter(|own| own.1 == lease.to_string()).count(),
        )
    };
    assert_eq!(claim(1), (Vec::new(), 1, 75));
    // Refused, and then over what is there.
    assert_eq!(claim(2), (Vec::new(), 2, 75));
    // A member that had done it and was too slow to say so.
    assert_eq!(claim(2), (Vec::new(), 1, 75));

    // One that another host has meanwhile is that one's, and the others are ours.
    let key = STANDARD.encode("/uswitch/prod/ip/10.1.0.9");
    let value =
        STANDARD.encode(json!({ "host": "h2", "node": "x", "ips": ["10.1.0.9"] }).to_string());
    registry.lock().unwrap().keys.insert(key, (value, "9".into(), 1000));
    let (taken, asked, held) = claim(3);
    assert_eq!((taken.len(), asked, held), (1, 2, 72));
    assert_eq!((taken[0].0.to_string(), taken[0].1.host.as_str()), ("ip/10.1.0.9".into(), "h2"));
}
