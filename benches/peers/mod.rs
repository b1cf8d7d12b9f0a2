//! The forwarders: how each is found, started with its best documented settings, and stopped.
//! One file each; README.md beside them says how they are installed and why they run as they do.
//!
//! A forwarder is given a shape and answers with a running lab: its nodes, and the processes whose
//! CPU and memory are the forwarder's. Dropping that ends the processes and removes the namespaces.

mod gso;
mod linux;
mod ovs;
mod testpmd;
mod uswitch;
mod vde;
mod watch;

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::topology::{self, Node};

/// What is to be joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// So many nodes on one LAN.
    Lan(usize),
    /// So many networks, with the same sixteen nodes in each: one port less than four thousand
    /// ninety-six, the most a switch has, where there are 256.
    Networks(usize),
    /// net1 on the LAN behind a masquerading gateway, and `inet` with 8.8.8.8 beyond it.
    Nat,
    /// The same with room for a million sessions of each protocol.
    Million,
}

/// One of the programs (or the kernel) that carry frames between nodes.
pub trait Forwarder {
    fn name(&self) -> &str;
    /// Why it cannot run here, if it cannot.
    fn absent(&self) -> Option<String>;
    fn version(&self) -> String;
    /// The settings that matter, in a line.
    fn settings(&self) -> &'static str;
    /// Whether it can be brought into this shape.
    fn fits(&self, shape: Shape) -> bool;
    /// Builds the lab.
    ///
    /// # Errors
    /// What the forwarder says; what was built until then is removed.
    fn start(&self, shape: Shape) -> Result<Lab>;
}

/// Another build of uswitch.
///
/// # Errors
/// Where `said` is not NAME=PATH.
pub fn another(said: &str) -> Result<Box<dyn Forwarder>> {
    let (name, path) = said.split_once('=').with_context(|| format!("{said}: not NAME=PATH"))?;
    Ok(Box::new(uswitch::Uswitch::other(name, path)))
}

/// All of them, the Linux bridge first: the others are told as ratios to it.
pub fn all() -> Vec<Box<dyn Forwarder>> {
    vec![
        Box::new(linux::Linux { big: false }),
        Box::new(uswitch::Uswitch::built()),
        Box::new(uswitch::Uswitch::fast()),
        Box::new(linux::Linux { big: true }),
        Box::new(uswitch::Uswitch::pair()),
        Box::new(ovs::Ovs),
        Box::new(vde::Vde),
        Box::new(testpmd::Testpmd),
    ]
}

/// A lab that stands; the first two nodes are those the load runs between.
#[derive(Default)]
pub struct Lab {
    pub nodes: Vec<Node>,
    helpers: Vec<Child>,
    forwarders: Vec<Child>,
    /// Processes that end by themselves when asked (SIGTERM) and clean up after themselves.
    graceful: bool,
    /// The program that captures what this forwarder forwards.
    captures: Option<String>,
}

impl Lab {
    /// The processes that forward.
    pub fn pids(&self) -> Vec<u32> {
        self.forwarders.iter().map(Child::id).collect()
    }

    /// Errors, with the end of its log, where a forwarder has died.
    ///
    /// # Errors
    /// Names the process.
    pub fn alive(&mut self) -> Result<()> {
        for child in &mut self.forwarders {
            if let Some(status) = child.try_wait()? {
                bail!("the forwarder ended with {status}: {}", log_tail());
            }
        }
        Ok(())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.graceful {
            for child in &self.forwarders {
                let pid = nix::unistd::Pid::from_raw(child.id() as i32);
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
            }
            let patience = Instant::now() + Duration::from_secs(20);
            while Instant::now() < patience
                && self.forwarders.iter_mut().any(|c| matches!(c.try_wait(), Ok(None)))
            {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        for child in self.forwarders.iter_mut().chain(&mut self.helpers) {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.nodes.clear();
        if let Err(error) = topology::clear() {
            eprintln!("throughput: {error:#}");
        }
    }
}

const LOG: &str = "/run/forwarder.log";

/// Starts a program in a namespace (of this world; None: where the benchmark is), with a stdin
/// that stays open and its words in a log.
///
/// # Errors
/// When it cannot be started.
fn start(netns: Option<&Node>, program: &str, args: &[String]) -> Result<Child> {
    let log = File::options().create(true).append(true).open(LOG).context(LOG)?;
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
    for (name, folder) in ovs::FOLDERS {
        command.env(name, folder);
    }
    let named = format!("starting {program}");
    let mut spawn = move || command.spawn();
    match netns {
        Some(node) => node.run(move || spawn().context(named)),
        None => spawn().context(named),
    }
}

fn log() -> String {
    std::fs::read_to_string(LOG).unwrap_or_default()
}

fn log_tail() -> String {
    let log = log();
    let lines: Vec<&str> = log.lines().rev().take(6).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}

/// Tries until it succeeds or the patience is at its end.
///
/// # Errors
/// The last failure.
pub fn until<T>(patience: Duration, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let end = Instant::now() + patience;
    loop {
        match attempt() {
            Ok(done) => return Ok(done),
            Err(error) if Instant::now() >= end => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}
