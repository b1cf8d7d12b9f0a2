//! Settings of ports and networks, by the names they share with `bridge link set` and `ip link set …
//! type bridge`: a new setting is told without a word here. Only those are named that the kernel's
//! bridge lacks or that stand elsewhere.

use ::topology::{SetNetwork, SetPort};
use serde_json::Value;

/// Settings of a port that the kernel's bridge lacks.
const PORT_OWN: [&str; 4] = ["isolation", "learn_limit", "loop_protect", "storm"];
/// Settings of a network that it lacks.
const NETWORK_OWN: [&str; 1] = ["gateway_guard"];

/// The lines of a port's settings.
#[must_use]
pub fn port(switch: &str, port: &str, asked: &SetPort) -> Vec<String> {
    let mut words = String::new();
    let mut lines = Vec::new();
    for (name, value) in said(asked) {
        if PORT_OWN.contains(&name.as_str()) {
            lines.push(lacks(&name, &value));
        } else if name == "group_fwd_mask" {
            let kind = "type bridge_slave";
            lines.push(format!("ip -n {switch} link set {port} {kind} group_fwd_mask {value}"));
        } else if name != "vlans" {
            words.push_str(&format!(" {name} {}", word(&value, ("on", "off"))));
        }
    }
    if !words.is_empty() {
        lines.insert(0, format!("bridge -n {switch} link set dev {port}{words}"));
    }
    lines
}

/// The lines of a network's settings.
#[must_use]
pub fn network(switch: &str, bridge: &str, asked: &SetNetwork) -> Vec<String> {
    let (mut words, mut lines) = (String::new(), Vec::new());
    for (name, value) in said(asked) {
        if NETWORK_OWN.contains(&name.as_str()) {
            lines.push(lacks(&name, &value));
        } else if name == "mtu" {
            lines.push(format!("ip -n {switch} link set {bridge} mtu {value}"));
        } else {
            words.push_str(&format!(" {name} {}", ticks(&name, &value)));
        }
    }
    if !words.is_empty() {
        lines.insert(0, format!("ip -n {switch} link set {bridge} type bridge{words}"));
    }
    lines
}

/// What is asked for, name by name.
fn said(asked: &impl serde::Serialize) -> Vec<(String, Value)> {
    match serde_json::to_value(asked) {
        Ok(Value::Object(all)) => all.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => Vec::new(),
    }
}

/// Switches by these words, text without its quotation marks, all else as in JSON.
fn word(value: &Value, (on, off): (&str, &str)) -> String {
    match value {
        Value::Bool(is_on) => if *is_on { on } else { off }.into(),
        Value::String(text) => text.clone(),
        Value::Object(parts) => {
            let parts = parts.iter().map(|(name, value)| format!("{name} {value}"));
            parts.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// `ip` takes a bridge's times in hundredths of a second.
fn ticks(name: &str, value: &Value) -> String {
    match value.as_f64() {
        Some(seconds) if name == "ageing_time" || name.ends_with("_interval") => {
            format!("{:.0}", seconds * 100.0)
        }
        _ => word(value, ("1", "0")),
    }
}

fn lacks(name: &str, value: &Value) -> String {
    format!("# {name} {}: the kernel's bridge has nothing like it", word(value, ("on", "off")))
}
