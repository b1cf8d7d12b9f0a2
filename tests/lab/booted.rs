//! The units of `contrib/` under a real systemd: the first process of a machine of namespaces, over a
//! copy-on-write tree of this one. What systemd lets a service do shows only there: a system call that its
//! filter leaves out kills.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::support::{Process, Sandbox, beyond, rooted, skip};

/// Boots it; `$OUT` is a folder that both see.
const BOOT: &str = r#"
set -e
mount -t tmpfs -o mode=755 tmpfs /mnt; mkdir /mnt/u /mnt/w /mnt/r
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/r
cd /mnt/r; mkdir -p old
mount -t proc proc proc
mount -t sysfs sysfs sys || mount --rbind /sys sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for node in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0; do
    IFS=: read -r name major minor <<<"$node"; mknod -m 666 dev/$name c $major $minor
done
mkdir -p dev/pts dev/shm dev/net; mknod -m 666 dev/net/tun c 10 200
mount -t devpts -o newinstance devpts dev/pts
mount -t tmpfs tmpfs tmp; mount -t tmpfs -o mode=755 tmpfs run
mkdir run/out; mount --bind "$OUT" run/out
mkdir -p usr/local/bin etc/uswitch
rm -f usr/local/bin/uswitch; touch usr/local/bin/uswitch; mount --bind "$BINARY" usr/local/bin/uswitch
cd etc/systemd/system
cp "$CONTRIB"/uswitch*.service "$CONTRIB"/uswitch*.socket .
for unit in systemd-udevd systemd-udev-trigger systemd-networkd systemd-resolved systemd-timesyncd \
    getty@tty1 console-getty systemd-modules-load; do ln -sf /dev/null $unit.service; done
cat >probe.service <<'EOF'
[Unit]
After=basic.target
[Service]
Type=oneshot
ExecStart=/bin/bash /run/out/probe
ExecStopPost=/bin/systemctl poweroff --force
StandardOutput=file:/run/out/said
StandardError=file:/run/out/log
EOF
printf '[Unit]\nRequires=basic.target probe.service\n' >probe.target
ln -sf probe.target default.target
cd ../../..
ip link set lo up
pivot_root . old; cd /; umount -l /old
export container=uswitch-tests
exec /lib/systemd/systemd --log-target=null
"#;

/// What is done there, a line for each thing that was seen.
const PROBE: &str = r#"
of() { systemctl show "$1" -p "$2" --value; }
say() { echo "$1: ${*:2}"; }
ask() { curl -s -m 30 --unix-socket /run/docker/plugins/uswitch.sock -X POST http://d/$1 -d "${2:-}"; }
restarted() { for ((i = 0; i < 300; i++)); do
    [ "$(of $1 NRestarts)" -ge $2 ] && [ "$(of $1 ActiveState)" = active ] && break; sleep 0.1; done; }
systemctl start uswitch.socket uswitch-plugins.socket
say before "$(of uswitch.service ActiveState)"
say called "$(ask Plugin.Activate)"
say served "$(of uswitch.service ActiveState) $(of uswitch.service StatusText)"
[ "$(of uswitch.service ActiveState)" = active ] || { journalctl -u 'uswitch*' -o cat >&2; exit; }
say network "$(ask NetworkDriver.CreateNetwork '{"NetworkID":"abcdefabcdef","Options":{},"IPv4Data":[{"AddressSpace":"l","Gateway":"10.7.0.1/24","Pool":"10.7.0.0/24"}],"IPv6Data":[]}')"
systemctl kill -s KILL uswitch.service
say killed "$(ask Plugin.Activate)"
say kept "$(uswitch network ls --name serve -j)"
kill -STOP "$(of uswitch.service MainPID)"; restarted uswitch.service 2
say watched "$(of uswitch.service NRestarts) $(ask Plugin.Activate)"
systemctl stop uswitch.service
echo 'OPTIONS=switch -n 2 --uplink none --fast-path auto' >/etc/uswitch/one.conf
systemctl start uswitch@one
say lab "$(of uswitch@one ActiveState) $(of uswitch@one StatusText)"
say ping "$(uswitch ping --name one -c 1 net1 10.100.0.20 | grep -c 'icmp_seq=1 ttl=64')"
kill -KILL "$(of uswitch@one MainPID)"; restarted uswitch@one 1
say again "$(of uswitch@one ActiveState) $(uswitch ping --name one -c 1 net1 10.100.0.20 | grep -c ttl=64)"
systemctl stop uswitch@one
say left "$(ls /run/netns)"
echo 'OPTIONS=switch -n nonsense' >/etc/uswitch/two.conf
systemctl start uswitch@two || say wrong "$(of uswitch@two ExecMainStatus) $(of uswitch@two NRestarts)"
journalctl -u 'uswitch*' -o cat >&2
"#;

/// Runs the probe under systemd; what it said by its keys. None where there is no systemd to be had.
fn booted(sandbox: &Sandbox) -> Option<HashMap<String, String>> {
    if !sandbox.real_root {
        skip("a machine of systemd's takes the real root");
        return None;
    }
    for needed in ["/lib/systemd/systemd", "/usr/bin/curl"] {
        if !Path::new(needed).exists() {
            beyond(format!("no {needed} here"));
            return None;
        }
    }
    let out = sandbox.dir.join("booted");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("probe"), PROBE).unwrap();
    let mut command = Command::new("unshare");
    command.args(["-m", "-n", "-p", "-C", "-i", "-u", "-f", "--kill-child"]);
    command.args(["--propagation", "private", "bash", "-c", BOOT]);
    command.env("OUT", &out).env("BINARY", env!("CARGO_BIN_EXE_uswitch"));
    command.env("CONTRIB", Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib"));
    let ended = Process::start(command, "systemd").ended_within(Duration::from_secs(180));
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap_or_default();
    let said = read("said");
    assert!(!said.is_empty(), "systemd did not start: {ended:?}\n{}", read("log"));
    eprintln!("{said}{}", read("log"));
    let pair = |line: &str| line.split_once(": ").map(|(key, said)| (key.into(), said.into()));
    Some(said.lines().filter_map(pair).collect())
}

#[test]
fn the_units_start_are_watched_and_started_again() {
    rooted(|sandbox| {
        let Some(said) = booted(sandbox) else { return };
        let said = |key: &str| said.get(key).map_or("", String::as_str);
        let driver = r#"{"Implements":["NetworkDriver"]}"#;
        // By its socket: a call waits until there is somebody to answer it, also after a kill.
        assert_eq!(said("before"), "inactive");
        assert_eq!(said("called"), driver);
        assert!(said("served").starts_with("active lab serve"), "{}", said("served"));
        assert_eq!(said("network"), "{}");
        assert_eq!(said("killed"), driver);
        assert!(said("kept").contains("10.7.0.0/24"), "{}", said("kept"));
        assert_eq!(said("watched"), format!("2 {driver}"));
        assert_eq!(said("lab"), "active lab one: switch with 2 nodes");
        assert_eq!((said("ping"), said("again")), ("1", "active 1"));
        assert_eq!(said("left"), "");
        assert_eq!(said("wrong"), "2 0", "wrong options are not tried again");
    });
}
