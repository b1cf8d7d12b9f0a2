//! Settings that several clients change at the same time: each change is there afterwards.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Barrier;
use std::time::Duration;

use crate::door::{json, row};
use crate::lab;
use crate::support::rooted;

const SOCKET: &str = "/run/uswitch/uswitch/control.sock";

/// Has an object of the lab have another setting.
fn patch(of: &str, setting: &str) {
    let mut door = UnixStream::connect(SOCKET).unwrap();
    door.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let (length, kind) = (setting.len(), "Content-Type: application/json\r\nConnection: close");
    let head = format!(
        "PATCH /v1/{of} HTTP/1.1\r\nHost: lab\r\n{kind}\r\nContent-Length: {length}\r\n\r\n"
    );
    door.write_all(format!("{head}{setting}").as_bytes()).unwrap();
    let mut text = String::new();
    door.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
}

/// The same for several settings at the same time.
fn at_once(of: &str, settings: &[String]) {
    let all = Barrier::new(settings.len());
    std::thread::scope(|scope| {
        for setting in settings {
            let all = &all;
            scope.spawn(move || {
                all.wait();
                patch(of, setting);
            });
        }
    });
}

#[test]
fn settings_that_are_changed_at_once_are_all_changed() {
    rooted(|sandbox| {
        let _lab = lab(sandbox, &["run", "-n", "2"]);
        let fields = ["learning", "flood", "mcast_flood", "bcast_flood"];
        for round in 0..30 {
            let on = round % 2 == 1;
            at_once("ports/net2", &fields.map(|field| format!("{{\"{field}\": {on}}}")));
            let shown = json(sandbox, &["port", "-j"]);
            let port = row(&shown, "ifname", "veth2");
            for field in fields {
                assert_eq!(port[field].as_bool(), Some(on), "round {round}: {field}, {port}");
            }
        }
        let settings = |n: u64| {
            let ask = [
                ("ageing_time", 100 + n),
                ("group_fwd_mask", 8 << (n % 8)),
                ("fdb_max_learned", 9 + n),
            ];
            ask.map(|(key, value)| (key, value, format!("{{\"{key}\": {value}}}")))
        };
        for round in 0..30 {
            let ask = settings(round);
            at_once("networks/lan", &ask.clone().map(|(.., text)| text));
            let shown = json(sandbox, &["network", "ls", "-j"]);
            let lan = row(&shown, "name", "lan");
            for (key, value, _) in ask {
                assert_eq!(lan[key].as_u64(), Some(value), "round {round}: {key}, {lan}");
            }
        }
    });
}
