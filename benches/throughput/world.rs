//! The private world of a run: the benchmark starts itself again in fresh mount, network, pid (and,
//! without root, user) namespaces, with its own /proc and an empty /run.
//!
//! The inner process is that world's process 1: when it ends or is killed, every forwarder and
//! load generator it started is killed by the kernel, and the namespaces go with them.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid};

const INSIDE: &str = "USWITCH_BENCH_INSIDE";

pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Makes the namespaces, runs this program again in them and ends as it ends.
///
/// # Errors
/// Where the system forbids the namespaces: what to allow is said.
pub fn enter() -> Result<()> {
    if std::env::args().any(|arg| arg == "--list" || arg == "--merge") {
        return rerun(false);
    }
    let mut flags = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWPID;
    let (uid, gid) = (Uid::effective(), Gid::effective());
    if !uid.is_root() {
        flags |= CloneFlags::CLONE_NEWUSER;
    }
    unshare(flags).context(
        "making private namespaces; without root, kernel.unprivileged_userns_clone and \
         user.max_user_namespaces must allow it (or run as root)",
    )?;
    if !uid.is_root() {
        std::fs::write("/proc/self/setgroups", "deny").context("setgroups")?;
        std::fs::write("/proc/self/uid_map", format!("0 {uid} 1")).context("uid_map")?;
        std::fs::write("/proc/self/gid_map", format!("0 {gid} 1")).context("gid_map")?;
    }
    rerun(true)
}

fn rerun(in_pid_namespace: bool) -> Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(std::env::args_os().skip(1)).env(INSIDE, if in_pid_namespace { "1" } else { "0" });
    if !in_pid_namespace {
        return Err(command.exec().into());
    }
    let status = command.status().context("starting the benchmark in its namespaces")?;
    if !status.success() {
        bail!("the run ended with {status}");
    }
    Ok(())
}

/// First thing inside: own mounts, loopback, and an end with the parent's end.
///
/// # Errors
/// Names the mount that was refused.
pub fn settle() -> Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).context("tying the run to its parent")?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).context("private /")?;
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), none).context("own /proc")?;
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), none).context("own /run")?;
    std::fs::create_dir_all("/run/netns").context("/run/netns")?;
    tool("ip", &["link", "set", "lo", "up"])
}

/// Runs a program to its end; its own words are the error.
///
/// # Errors
/// When it cannot be started or fails.
pub fn tool(program: &str, args: &[&str]) -> Result<()> {
    output(program, args).map(|_| ())
}

/// The same, with what it printed.
///
/// # Errors
/// When it cannot be started or fails.
pub fn output(program: &str, args: &[&str]) -> Result<String> {
    let out = Command::new(program)
        .args(args)
        .stdin(std::process::Stdio::null())
        .output()
        .with_context(|| format!("starting {program}"))?;
    if !out.status.success() {
        bail!("{program} {}: {}", args.join(" "), String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Whether a program can be found.
pub fn installed(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    path.split(':').any(|folder| std::path::Path::new(folder).join(program).is_file())
}
