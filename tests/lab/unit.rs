//! `contrib/uswitch@.service` held against the real binary: the capabilities it grants are enough
//! and each is needed, systemd reads it, and nothing in it hides the lab's names from the host.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Ended, Process, Sandbox, rooted, skip};

fn unit() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/uswitch@.service");
    std::fs::read_to_string(path).unwrap()
}

/// The value of a setting, which stands there once.
fn setting(name: &str) -> String {
    let unit = unit();
    let mut values = unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let value = values.next().unwrap_or_else(|| panic!("no {name}=")).to_owned();
    assert_eq!(values.next(), None, "{name}= twice");
    value
}

fn capabilities() -> Vec<String> {
    let name = |word: &str| word.strip_prefix("CAP_").unwrap().to_lowercase();
    setting("CapabilityBoundingSet").split_whitespace().map(name).collect()
}

/// `uswitch run --check` with these capabilities at most, as the service manager would start it.
fn run_with(sandbox: &Sandbox, capabilities: &[String], more: &[&str]) -> Ended {
    let plain = sandbox.uswitch_command(&[&["run", "--check"], more].concat());
    let words = capabilities.iter().map(|name| format!(",+{name}")).collect::<String>();
    let mut command = Command::new("setpriv");
    command.args(["--no-new-privs", "--inh-caps=-all", &format!("--bounding-set=-all{words}")]);
    command.arg("--").arg(plain.get_program()).args(plain.get_args()).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Process::start(command, &format!("uswitch run --check with {capabilities:?}")).ended()
}

#[test]
fn its_capabilities_are_enough_and_each_is_needed() {
    rooted(|sandbox| {
        if !sandbox.real_root {
            // Root of a user namespace builds its lab in another one, where it has them all.
            return skip("capabilities are bounded for the real root only");
        }
        let granted = capabilities();
        let before = sandbox.state();
        let ended = run_with(sandbox, &granted, &[]).ok();
        assert!(ended.out.contains("internet 8.8.8.8"), "{}", ended.out);
        assert_eq!(sandbox.state(), before);
        for without in &granted {
            let rest: Vec<_> = granted.iter().filter(|name| *name != without).cloned().collect();
            let ended = run_with(sandbox, &rest, &[]);
            assert_eq!(ended.code, Some(1), "it does without {without}: {}", ended.out);
            assert_eq!(sandbox.state(), before, "without {without} something was left behind");
        }
    });
}

#[test]
fn they_are_enough_for_a_real_uplink() {
    rooted(|sandbox| {
        if !sandbox.real_root {
            return skip("capabilities are bounded for the real root only");
        }
        for line in [
            "netns add far",
            "link add up0 type veth peer name up1 netns far",
            "addr add 192.0.2.2/24 dev up0",
            "link set up0 up",
            "-n far addr add 192.0.2.1/24 dev up1",
            "-n far link set up1 up",
            "route add default via 192.0.2.1",
        ] {
            sandbox.tool("ip", &line.split(' ').collect::<Vec<_>>());
        }
        let ended = run_with(sandbox, &capabilities(), &["--uplink", "up0"]).ok();
        assert!(ended.out.contains("masquerading behind 192.0.2.2 of up0"), "{}", ended.out);
    });
}

/// Settings that give a service mounts of its own, by systemd.exec(5).
const HIDING: &[&str] = &[
    "PrivateMounts",
    "PrivateTmp",
    "PrivateDevices",
    "PrivateUsers",
    "PrivateNetwork",
    "ProtectSystem",
    "ProtectHome",
    "ProtectProc",
    "ProtectKernelTunables",
    "ProtectKernelModules",
    "ProtectKernelLogs",
    "ProtectControlGroups",
    "ProcSubset",
    "ReadOnlyPaths",
    "ReadWritePaths",
    "InaccessiblePaths",
    "ExecPaths",
    "NoExecPaths",
    "BindPaths",
    "BindReadOnlyPaths",
    "TemporaryFileSystem",
    "RootDirectory",
    "RootImage",
    "MountAPIVFS",
    "MountFlags",
    "DynamicUser",
    "NetworkNamespacePath",
    "IPCNamespacePath",
];

#[test]
fn the_host_sees_the_names() {
    for line in unit().lines() {
        let name = line.split('=').next().unwrap_or_default();
        assert!(!HIDING.contains(&name), "{line}: the host would not see /run/netns");
    }
}

#[test]
fn systemd_can_read_it() {
    let here = std::env::temp_dir().join(format!("uswitch-unit-{}", std::process::id()));
    std::fs::create_dir(&here).unwrap();
    let _gone = Gone(here.clone());
    let file = here.join("uswitch@.service");
    // The command has to be where the unit says.
    let built = env!("CARGO_BIN_EXE_uswitch");
    std::fs::write(&file, unit().replace("/usr/local/bin/uswitch", built)).unwrap();
    let verify = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&file).output();
    let Ok(output) = verify else {
        return skip("no systemd-analyze here");
    };
    let said = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<_> = said.lines().filter(|line| line.contains("uswitch@")).collect();
    assert!(output.status.success() && ours.is_empty(), "{said}");
}

/// A folder removed with everything in it.
struct Gone(PathBuf);

impl Drop for Gone {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}
