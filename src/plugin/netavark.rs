//! A driver of netavark's, podman's own network program: hidden words, for the file in one of
//! `netavark_plugin_dirs` that is a link to this program, and whose name is the driver's.
//!
//! The answer is JSON on standard output; an error too, with exit code 1.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use engine::Refusal;
use engine::netavark::{self, Call};
use engine::plugin::Answer;
use lab::called::program;
use lab::served::network_at;
use serve::client;
use topology::Subnet;

use super::podman::Podman;
use super::{Place, attach, own_network, said, start};
use crate::exit::Usage;
use crate::say;

/// Says what network podman is to have (podman starts this)
#[derive(clap::Args)]
pub(crate) struct Create {}

/// Takes a container of podman's in (podman starts this)
#[derive(clap::Args)]
pub(crate) struct Setup {
    /// Where its namespace is found
    netns: PathBuf,
}

/// Lets a container of podman's go (podman starts this)
#[derive(clap::Args)]
pub(crate) struct Teardown {
    /// Where its namespace is found
    netns: PathBuf,
}

/// Says which interface of netavark's is spoken (podman starts this)
#[derive(clap::Args)]
pub(crate) struct Info {}

/// Tells podman what became of it.
fn tell(outcome: Result<String, Refusal>) -> ExitCode {
    match outcome {
        Ok(answer) => {
            say::bytes(answer.as_bytes());
            ExitCode::SUCCESS
        }
        Err(Refusal(why)) => {
            say::bytes(netavark::error(&why).as_bytes());
            ExitCode::FAILURE
        }
    }
}

fn read() -> Result<Vec<u8>, Refusal> {
    said().map_err(|error| Refusal(format!("reading what podman says: {error}")))
}

fn done(answer: Answer) -> Result<(), Refusal> {
    match answer {
        Answer::Refused { why } => Err(Refusal(why)),
        // One that ends has no container any more.
        _ => Ok(()),
    }
}

/// Runs `create`.
///
/// # Errors
/// At a terminal nobody is podman.
pub(crate) fn create() -> anyhow::Result<ExitCode> {
    if io::stdin().is_terminal() {
        let program = program();
        let meant = format!("`{program} up` makes a lab, `{program} network add` a network");
        return Err(
            Usage(format!("podman says create, with JSON on standard input: {meant}")).into()
        );
    }
    Ok(tell(read().and_then(|stdin| netavark::create(&stdin, &taken()))))
}

/// Runs `setup`.
pub(crate) fn setup(args: &Setup) -> ExitCode {
    tell(take_in(args))
}

/// Runs `teardown`.
pub(crate) fn teardown(args: &Teardown) -> ExitCode {
    let ask = |stdin: Vec<u8>| {
        let call = Call::read(&stdin)?;
        let place = Place::find();
        let ask = call.detach();
        // Where one was killed that a plugin had started, nobody else is to undo what it has left.
        let asked = match place.may_start && place.was_passing() {
            true => start::ask(&place, &ask, &[]),
            false => client::ask(&place.socket, &ask, &[]).map_err(|absent| absent.to_string()),
        };
        match asked {
            Ok(answer) => done(answer)?,
            Err(absent) => {
                place
                    .forget(&call.endpoint())
                    .map_err(|error| Refusal(format!("{absent}; {error}")))?;
                cut(&args.netns, call.interface(), &absent)?;
            }
        }
        Ok(String::new())
    };
    tell(read().and_then(ask))
}

/// Nobody serves, and podman goes on without: the link goes, and the next server forgets the rest.
fn cut(netns: &Path, interface: &str, absent: &str) -> Result<(), Refusal> {
    // Gone with its namespace.
    let Ok(netns) = File::open(netns) else { return Ok(()) };
    let cut = ns::link::find(netns.as_fd(), interface)
        .and_then(|found| found.map_or(Ok(()), |index| ns::link::delete(netns.as_fd(), index)));
    cut.map_err(|error| Refusal(format!("{absent}; {error}")))
}

/// Runs `info`.
pub(crate) fn info() -> ExitCode {
    tell(Ok(netavark::info(env!("CARGO_PKG_VERSION"))))
}

fn take_in(args: &Setup) -> Result<String, Refusal> {
    let call = Call::read(&read()?)?;
    let path = args.netns.display();
    let failed = |error| Refusal(format!("{path}: {error}"));
    let own = own_network().map_err(failed)?;
    let netns = network_at(&args.netns).map_err(failed)?;
    let place = Place::find();
    let mut join = call.join(&path.to_string())?;
    let mut fds = vec![netns.as_fd()];
    if place.user.is_some() {
        // podman has a program of its own for a user's ports, and a network that ends.
        join.outside = true;
        fds.insert(0, own.as_fd());
    }
    match start::ask(&place, &attach(join.clone()), &fds).map_err(Refusal)? {
        Answer::Attached { mac } => Ok(call.result(&join, &mac)),
        other => {
            done(other)?;
            Err(Refusal::new("serve has said nothing of the container's link"))
        }
    }
}

/// Subnets that the host has interfaces in, and those of podman's networks, in which there may be nobody yet.
fn taken() -> Vec<Subnet> {
    let own = File::open("/proc/thread-self/ns/net").map_err(anyhow::Error::from);
    let view = own.and_then(|own| Ok(ns::route::look(own.as_fd())?));
    let addresses = view.map(|view| view.addresses).unwrap_or_default();
    let own = addresses.iter().filter_map(|own| Subnet::of(own.address.into(), own.prefix_len));
    let files = std::fs::read_dir(networks()).into_iter().flatten().flatten();
    let others = files.filter_map(|entry| std::fs::read(entry.path()).ok());
    own.chain(others.flat_map(|file| netavark::subnets(&file))).collect()
}

/// Where podman keeps its networks. It has started us itself, so its words are our parent's.
fn networks() -> PathBuf {
    let parent = format!("/proc/{}/cmdline", std::os::unix::process::parent_id());
    let words = std::fs::read(parent).unwrap_or_default();
    let words =
        words.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
    let words: Vec<String> = words.collect();
    let list = |folder: &Path| {
        let all = std::fs::read_dir(folder).into_iter().flatten().flatten();
        all.map(|entry| entry.path()).collect()
    };
    let podman = Podman {
        words: &words,
        variable: &|name| std::env::var(name).ok(),
        read: &|path| std::fs::read_to_string(path).ok(),
        list: &list,
        is_users: Place::find().user.is_some(),
    };
    podman.networks()
}
