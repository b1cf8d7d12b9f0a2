//! Calls of a CNI runtime: variables, the configuration and what the plugin for addresses has told, as
//! lines. What is understood goes over the socket and back unchanged; every failure has a code.

#![no_main]
#![allow(clippy::unwrap_used)]

use engine::cni::{Call, Failure, Verb, version_of};
use engine::plugin::Ask;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const VERBS: [&str; 6] = ["ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"];

fn through(ask: &Ask) {
    assert_eq!(Ask::read(&serde_json::to_vec(ask).unwrap()).as_ref(), Ok(ask));
}

fn told(failure: &Failure, version: &str) {
    assert!(failure.code > 0 && !failure.msg.is_empty());
    let text = failure.to_json(version);
    assert_eq!(Failure::of_plugin(text.as_bytes()).as_ref(), Some(failure));
}

fuzz_target!(|data: &[u8]| {
    let Some((verb, rest)) = data.split_first() else { return };
    let mut lines = rest.splitn(4, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (interface, arguments, conf, answer) = (line(), line(), line(), line());
    let text = |bytes: &[u8]| Some(String::from_utf8_lossy(bytes).into_owned());
    let variable = |name: &str| match name {
        "CNI_COMMAND" => Some(VERBS[usize::from(*verb) % VERBS.len()].to_owned()),
        "CNI_CONTAINERID" => Some("c1".to_owned()),
        "CNI_NETNS" => Some("/run/netns/c1".to_owned()),
        "CNI_IFNAME" => text(interface),
        "CNI_ARGS" => text(arguments),
        _ => None,
    };
    let call = match Call::read(&variable, conf) {
        Ok(call) => call,
        Err(failure) => return told(&failure, &version_of(conf)),
    };
    through(&call.detach());
    if let Ok(keep) = call.keep() {
        through(&keep);
    }
    match call.verb {
        Verb::Check => match call.expected() {
            Ok(expected) => through(&Ask::Check(Box::new(expected))),
            Err(failure) => told(&failure, &call.version),
        },
        Verb::Add => {
            let answer: Value =
                serde_json::from_slice(answer).unwrap_or_else(|_| call.own_addresses());
            match call.join(&answer) {
                Ok(join) => {
                    join.network.to_topology().unwrap();
                    let result = call.result(&join, "02:00:00:00:00:01", &answer);
                    assert!(result["ips"].as_array().is_some_and(|ips| !ips.is_empty()));
                    through(&Ask::Attach(Box::new(join)));
                }
                Err(failure) => told(&failure, &call.version),
            }
        }
        _ => {}
    }
});
