//! Work done inside a node, by this process: programs started there, closures run there.

use std::ffi::{OsStr, OsString};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::error::{Doing, Error, Result};
use crate::join::room;
use crate::lab::Lab;
use crate::naming;
use crate::node::Node;

/// A node of a running lab, as a place to work in. It keeps the node's namespace.
#[derive(Debug)]
pub struct Inside {
    node: Node,
    netns: OwnedFd,
    /// The lab's own files for it: names of the other nodes, their resolver.
    files: Option<PathBuf>,
}

/// A program that has ended.
#[derive(Clone, Debug)]
pub struct Ran {
    /// What was run where, for messages.
    said: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to its output.
    pub out: String,
    /// What it wrote to its error output.
    pub err: String,
}

impl Lab {
    /// A node, by its name.
    ///
    /// # Errors
    /// [`Error::NoNode`], with those there are; [`Error::Io`] where its namespace cannot be had.
    ///
    /// ```
    /// # if uswitch_lab::ready().is_err() { return Ok(()); }
    /// let lab = uswitch_lab::Lab::builder().nodes(1).start()?;
    /// let why = lab.node("net7").unwrap_err().to_string();
    /// assert!(why.ends_with("has no node net7; it has net1"), "{why}");
    /// # Ok::<(), uswitch_lab::Error>(())
    /// ```
    pub fn node(&self, name: &str) -> Result<Inside> {
        let state = self.state();
        let Some(held) = state.nodes.iter().find(|held| held.node.is(name)) else {
            let nodes: Vec<_> = state.nodes.iter().map(|held| held.node.name.as_str()).collect();
            return Err(Error::NoNode {
                lab: self.config().name.to_string(),
                node: name.into(),
                nodes: nodes.join(", "),
            });
        };
        let folder = self.ground().folder(&self.config().name)?;
        let files = folder.and_then(|folder| naming::seen_by(&folder, &held.node.file));
        Ok(Inside { node: held.node.clone(), netns: held.home.descriptor()?, files })
    }
}

impl Inside {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.node.name
    }

    /// Its first address of IPv4.
    #[must_use]
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.node.ipv4()
    }

    /// Runs a program in it to its end: its network, its /sys, the lab's names in /etc/hosts; all else is
    /// this process's. Standard input is empty. A program that fails is no error here: [`Ran::ok`] makes it
    /// one.
    ///
    /// # Errors
    /// [`Error::Io`] where there is no such program, or no process to be had.
    pub fn run<W: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = W>) -> Result<Ran> {
        let words: Vec<OsString> = words.into_iter().map(|word| word.as_ref().into()).collect();
        let said = words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let said = format!("node {}: {said}", self.name());
        let Some((program, rest)) = words.split_first() else {
            return Err(Error::Usage(format!("{said}a command is missing")));
        };
        let mut command = Command::new(program);
        command.args(rest).stdin(Stdio::null());
        let done = self.apart(move || command.output()).doing(|| said.clone())?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Ran { said, status: done.status, out: text(done.stdout), err: text(done.stderr) })
    }

    /// Starts a program in it and does not wait. It is the caller's to end: a program that is left running
    /// keeps its namespace, though nothing reaches it once the lab is undone.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be started.
    ///
    /// ```
    /// # if uswitch_lab::ready().is_err() { return Ok(()); }
    /// use std::process::Command;
    ///
    /// let lab = uswitch_lab::Lab::builder().start()?;
    /// let mut server = lab.node("net1")?.spawn(Command::new("sleep").arg("60")).unwrap();
    /// server.kill().unwrap();
    /// server.wait().unwrap();
    /// # Ok::<(), uswitch_lab::Error>(())
    /// ```
    pub fn spawn(&self, command: &mut Command) -> Result<Child> {
        let said = format!("node {}: {}", self.name(), command.get_program().to_string_lossy());
        self.apart(|| command.spawn()).doing(|| said)
    }

    /// Runs a closure on a thread of its own in the node's network: sockets it opens stay the node's,
    /// wherever they are used afterwards.
    ///
    /// ```
    /// # if uswitch_lab::ready().is_err() { return Ok(()); }
    /// use std::net::{TcpListener, TcpStream};
    ///
    /// let lab = uswitch_lab::Lab::builder().start()?;
    /// let server = lab.node("net1")?.with(|| TcpListener::bind("0.0.0.0:80"))?;
    /// let client = lab.node("net2")?.with(|| TcpStream::connect("10.100.0.10:80"))?;
    /// let (_, from) = server.accept().unwrap();
    /// assert_eq!(from, client.local_addr().unwrap());
    /// # Ok::<(), uswitch_lab::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of `work`; [`Error::Io`] where no thread is to be had.
    pub fn with<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> Result<T> {
        self.apart(work).doing(|| format!("in node {}", self.name()))
    }

    /// On a thread in the node's namespace, that sees what programs in the node see.
    fn apart<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        sys::netns::inside(self.netns.as_fd(), || {
            for missing in room::dress(&self.node.file, self.files.as_deref()) {
                tracing::warn!("{missing}");
            }
            work()
        })
    }
}

impl Ran {
    /// Whether it ended with 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.status.success()
    }

    /// Its exit code; 128 and the number of the signal that ended it, as a shell says.
    #[must_use]
    pub fn code(&self) -> i32 {
        let signal = || 128 + self.status.signal().unwrap_or(0);
        self.status.code().unwrap_or_else(signal)
    }

    /// Itself where it ended with 0.
    ///
    /// # Errors
    /// [`Error::Failed`], which says what was run where, its code and its last words.
    pub fn ok(self) -> Result<Self> {
        if self.success() {
            return Ok(self);
        }
        let last = |text: &'_ str| {
            text.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(String::from)
        };
        let said = last(&self.err).or_else(|| last(&self.out));
        let said = said.unwrap_or_else(|| "it said nothing".into());
        Err(Error::Failed { what: self.said.clone(), code: self.code(), said })
    }
}
