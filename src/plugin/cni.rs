//! A plugin of the Container Network Interface: CNI_COMMAND says what to do, standard input for which
//! network. The answer is JSON on standard output, an error too, with exit code 1.
//!
//! What is done for a call that fails half-way is undone: addresses go back to whoever gave them.

use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

use engine::cni::{Call, Failure, Verb, code, version_of, versions};
use engine::plugin::{Answer, Ask, Join};
use lab::served::network_at;
use serde_json::Value;
use serve::client::{self, Absent};

use super::{Place, attach, ipam, own_network, said, turn};
use crate::say;

/// Answers a runtime, if one has started us: it gives no words.
pub(crate) fn called() -> Option<ExitCode> {
    let command = std::env::var_os("CNI_COMMAND")?;
    if std::env::args_os().len() > 1 || command.is_empty() {
        return None;
    }
    let conf = said();
    let told = match &conf {
        Ok(conf) => answer(conf),
        Err(error) => Err(Failure::new(code::IO, format!("reading the configuration: {error}"))),
    };
    Some(match told {
        Ok(text) => {
            say::bytes(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(failure) => {
            let version = version_of(conf.as_deref().unwrap_or_default());
            say::bytes(failure.to_json(&version).as_bytes());
            ExitCode::FAILURE
        }
    })
}

fn answer(conf: &[u8]) -> Result<String, Failure> {
    let variable = |name: &str| std::env::var_os(name).map(|v| v.to_string_lossy().into_owned());
    let call = Call::read(&variable, conf)?;
    let delegate = |verb: &str| match call.ipam() {
        Some(kind) => ipam::ask(kind, verb, conf),
        None => Ok(call.own_addresses()),
    };
    // Held to the end of the call.
    let of_one = call.verb.is_of_one();
    let _turn = if of_one { turn::take(&call, &Place::find())? } else { None };
    match call.verb {
        Verb::Version => return Ok(versions(conf)),
        Verb::Add => return add(&call, &delegate),
        // The place first: as long as it is there its address is nobody else's.
        Verb::Del => {
            done(ask(&call.detach())?)?;
            delegate("DEL")?;
        }
        Verb::Check => {
            let netns = sandbox(&call)?;
            let expected = Ask::Check(Box::new(call.expected()?));
            let fds = [netns.as_fd()];
            done(client::ask(&Place::find().socket, &expected, &fds).map_err(later)?)?;
            delegate("CHECK")?;
        }
        // Whoever gives out addresses hears of it though a place cannot be let go.
        Verb::Gc => {
            let kept = ask(&call.keep()?).and_then(done);
            kept.and(delegate("GC"))?;
        }
        Verb::Status => {
            ask(&Ask::Status).and_then(done).map_err(unavailable)?;
            if let Some(kind) = call.ipam() {
                ipam::find(kind).map_err(unavailable)?;
            }
            delegate("STATUS")?;
        }
    }
    Ok(String::new())
}

fn add(call: &Call, delegate: &dyn Fn(&str) -> Result<Value, Failure>) -> Result<String, Failure> {
    let netns = sandbox(call)?;
    nobody_is_there(call, &netns)?;
    // No address is taken for a container that nobody will take in.
    done(ask(&Ask::Status)?)?;
    let told = delegate("ADD")?;
    let taken = |join: Join| {
        let ask = attach(join.clone());
        match client::ask(&Place::find().socket, &ask, &[netns.as_fd()]).map_err(later)? {
            Answer::Attached { mac } => Ok(call.result(&join, &mac, &told).to_string()),
            other => {
                done(other)?;
                Err(Failure::new(code::OTHER, "serve has said nothing of the container's link"))
            }
        }
    };
    let added = call.join(&told).and_then(taken);
    added.inspect_err(|failure| {
        // The runtime hears of the first thing that went wrong. Whether the container was taken in
        // is not known where no answer came.
        if failure.code == code::LATER {
            let _ = ask(&call.detach());
        }
        let _ = delegate("DEL");
    })
}

/// An interface of the name in the container belongs to an ADD before, or to somebody else: it stays as it is
/// (CNI 1.1, section 2, ADD).
fn nobody_is_there(call: &Call, netns: &File) -> Result<(), Failure> {
    let name = call.interface();
    match ns::link::find(netns.as_fd(), name) {
        Ok(None) => Ok(()),
        Ok(Some(_)) => {
            let msg = format!("{name} is in the container already: DEL comes before another ADD");
            Err(Failure::new(code::OTHER, msg))
        }
        Err(why) => Err(Failure::new(code::IO, format!("looking for {name}: {why}"))),
    }
}

/// The container's namespace, which is not the one that we are in: the host's interfaces and routes are
/// there.
fn sandbox(call: &Call) -> Result<File, Failure> {
    let failed = |code, what: String| {
        let msg = format!("CNI_NETNS={}: {what}", call.netns());
        Failure::new(code, msg)
    };
    let opened = network_at(Path::new(call.netns()));
    let netns = opened.map_err(|error| match error.kind() {
        ErrorKind::InvalidInput => failed(code::VARIABLES, error.to_string()),
        _ => failed(code::NO_CONTAINER, error.to_string()),
    })?;
    let netns = File::from(netns);
    let identity = |file: File| file.metadata().map(|found| (found.dev(), found.ino()));
    let both = own_network().and_then(identity).and_then(|own| {
        let theirs = netns.metadata()?;
        Ok((own, (theirs.dev(), theirs.ino())))
    });
    let (own, theirs) = both.map_err(|error| failed(code::IO, error.to_string()))?;
    match own == theirs {
        true => {
            Err(failed(code::NAMESPACE, "that is the host's network, and no container's".into()))
        }
        false => Ok(netns),
    }
}

fn ask(what: &Ask) -> Result<Answer, Failure> {
    client::ask(&Place::find().socket, what, &[]).map_err(later)
}

/// No container can be taken on, whatever the reason.
fn unavailable(failure: Failure) -> Failure {
    Failure { code: code::UNAVAILABLE, ..failure }
}

fn later(absent: Absent) -> Failure {
    Failure::new(code::LATER, absent.to_string())
}

fn done(answer: Answer) -> Result<(), Failure> {
    match answer {
        Answer::Refused { why } => Err(Failure::new(code::OTHER, why)),
        Answer::Leaving => Err(Failure::new(code::LATER, "the server is about to end")),
        _ => Ok(()),
    }
}
