//! ADD and DEL of a container by CNI: our plugin, and the reference plugins `bridge` and `portmap`, which a
//! runtime starts one after the other. Each from its start to its end, addresses by `host-local`. One
//! container of each network stays, so that no network comes or goes meanwhile.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::machine::Machine;
use crate::report::{Report, Side, in_turn};

/// Where Debian has the plugins.
const PLUGINS: &str = "/usr/lib/cni";

/// The plugins of a side, and what each is told.
fn plugins(side: Side, ports: bool) -> Vec<Value> {
    let (name, kind, subnet) = match side {
        Side::Theirs => ("theirs", "bridge", "10.73.0.0/16"),
        Side::Ours => ("ours", "uswitch", "10.74.0.0/16"),
    };
    let mappings = json!([{ "hostPort": 8080, "containerPort": 80, "protocol": "tcp" }]);
    let ipam = json!({ "type": "host-local", "ranges": [[{ "subnet": subnet }]],
        "routes": [{ "dst": "0.0.0.0/0" }] });
    let mut first = json!({ "cniVersion": "1.0.0", "name": name, "type": kind, "ipam": ipam });
    let mut all = Vec::new();
    match side {
        Side::Theirs => {
            first["bridge"] = json!("cni-theirs");
            for key in ["isGateway", "ipMasq", "hairpinMode"] {
                first[key] = json!(true);
            }
            all.push(first);
            if ports {
                all.push(json!({ "cniVersion": "1.0.0", "name": name, "type": "portmap",
                    "runtimeConfig": { "portMappings": mappings } }));
            }
        }
        Side::Ours => {
            if ports {
                first["runtimeConfig"] = json!({ "portMappings": mappings });
            }
            all.push(first);
        }
    }
    all
}

/// Measures both, with a published port and without.
pub fn measure(machine: &Machine, count: usize, report: &mut Report) -> Result<()> {
    machine.sh(&format!("ln -sf /uswitch/uswitch {PLUGINS}/uswitch"));
    for side in [Side::Theirs, Side::Ours] {
        machine.sh(&format!("ip netns add stays-{side:?}"));
        call(machine, "ADD", &format!("stays-{side:?}"), &plugins(side, false))?;
    }
    for round in 0..=count {
        for ports in [false, true] {
            for side in in_turn(round) {
                let (name, plugins) = (format!("c{round}-{side:?}-{ports}"), plugins(side, ports));
                machine.sh(&format!("ip netns add {name}"));
                let add = call(machine, "ADD", &name, &plugins)?;
                let del = call(machine, "DEL", &name, &plugins)?;
                machine.sh(&format!("ip netns del {name}"));
                if round > 0 {
                    let with = if ports { " with a published port" } else { "" };
                    report.time(&format!("CNI: ADD{with}"), side, add);
                    report.time(&format!("CNI: DEL{with}"), side, del);
                }
            }
        }
    }
    for side in [Side::Theirs, Side::Ours] {
        call(machine, "DEL", &format!("stays-{side:?}"), &plugins(side, false))?;
    }
    Ok(())
}

/// Calls the plugins as a runtime does: each with the result of the one before. Milliseconds in sum.
fn call(machine: &Machine, command: &str, name: &str, plugins: &[Value]) -> Result<f64> {
    let (mut took, mut result) = (0.0, None::<Value>);
    for told in plugins {
        let mut told = told.clone();
        let kind = told["type"].as_str().context("a plugin without a type")?.to_owned();
        if let Some(result) = &result {
            told["prevResult"] = result.clone();
        }
        let line = format!(
            "t=$EPOCHREALTIME; CNI_COMMAND={command} CNI_CONTAINERID={name} CNI_IFNAME=eth0 \
             CNI_NETNS=/run/netns/{name} CNI_PATH={PLUGINS} {PLUGINS}/{kind} >/tmp/told <<'EOF'\n{told}\nEOF\n\
             code=$? u=$EPOCHREALTIME; echo $((${{u/./}} - ${{t/./}})); cat /tmp/told; exit $code"
        );
        let said = machine.sh(&line);
        let (micros, answer) = said.split_once('\n').context("no time was told")?;
        took += micros.parse::<f64>()? / 1e3;
        if command == "ADD" {
            result = Some(serde_json::from_str(answer)?);
        }
    }
    Ok(took)
}
