//! `podman start` with netavark: a network's share is the start of a container in it less that of one
//! without a network, in the same round. Its own bridge resolves no names here: that takes a further server,
//! which the suite's packages need not have. Ours does.

use anyhow::{Context as _, Result};

use crate::machine::Machine;
use crate::report::{Report, Side, in_turn};

/// podman's settings. crun refuses a hybrid of both versions of cgroups.
const SETTINGS: &str = r#"
mkdir -p /etc/containers /opt/plugins
cat >/etc/containers/containers.conf <<EOF
[containers]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[network]
network_backend = "netavark"
netavark_plugin_dirs = ["/opt/plugins"]
EOF
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >/etc/containers/policy.json
printf '[storage]\ndriver="overlay"\nrunroot="/run/storage"\ngraphroot="/tmp/storage"\n' >/etc/containers/storage.conf
ln -sf /uswitch/uswitch /opt/plugins/uswitch
tar -C /tmp/image -c . | podman import - box >/dev/null 2>&1
podman network create -d bridge --disable-dns --subnet 10.75.0.0/24 theirs >/dev/null
podman network create -d uswitch --subnet 10.76.0.0/24 ours >/dev/null
"#;

/// Measures both, with a published port and without. One container of each network stays.
pub fn measure(machine: &Machine, count: usize, report: &mut Report) -> Result<()> {
    machine.sh(SETTINGS);
    for side in ["theirs", "ours"] {
        machine.sh(&format!("podman run -d --network {side} --name stays-{side} box sleep 100000"));
    }
    for round in 0..=count {
        let none = start_of(machine, "--network none")?;
        for side in in_turn(round) {
            let network = if side == Side::Theirs { "theirs" } else { "ours" };
            let plain = start_of(machine, &format!("--network {network}"))?;
            let published = start_of(machine, &format!("--network {network} -p 8080:80"))?;
            if round > 0 {
                report.time("podman: network's share of a start", side, plain - none);
                report.time("podman: what -p adds to it", side, published - plain);
            }
        }
    }
    machine.sh("podman rm -fat0 >/dev/null");
    Ok(())
}

/// Milliseconds of a start.
fn start_of(machine: &Machine, options: &str) -> Result<f64> {
    let said = machine.sh(&format!(
        "podman create --name box {options} box sleep 100000 >/dev/null; \
         t=$EPOCHREALTIME; podman start box >/dev/null || exit; u=$EPOCHREALTIME; \
         podman rm -ft0 box >/dev/null; echo $((${{u/./}} - ${{t/./}}))"
    ));
    let micros: f64 = said.trim().parse().context("no time was told")?;
    Ok(micros / 1e3)
}
