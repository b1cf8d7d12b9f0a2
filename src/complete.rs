//! What a shell offers as the next word: asked of this program itself, by clap's protocol, each time
//! the key is pressed. Without a lab it is as quick and offers what does not depend on one.

use std::ffi::OsStr;

use clap::CommandFactory;
use clap_complete::CompleteEnv;
use clap_complete::engine::{
    ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};
use control::Client;
use lab::{LabName, join};

use crate::cli::Cli;
use crate::door::found;
use crate::node;

/// Set by a shell that asks; see `completions`.
pub(crate) const VARIABLE: &str = "COMPLETE";

/// Answers a shell that asks, and ends; does nothing otherwise.
pub(crate) fn answer() {
    CompleteEnv::with_factory(shown).var(VARIABLE).complete();
}

/// The program as people know it. clap offers a hidden verb to whoever has typed how it begins, so it
/// has a name here that nobody types.
fn shown() -> clap::Command {
    Cli::command().mut_subcommands(|verb| match verb.is_hide_set() {
        true => {
            let name = format!("\u{1}{}", verb.get_name());
            // The process answers and ends.
            verb.name(&*name.leak())
        }
        false => verb,
    })
}

fn candidates(words: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    words.into_iter().map(CompletionCandidate::new).collect()
}

/// The labs that run.
pub(crate) fn labs() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        candidates(join::labs(found()).running.iter().map(LabName::to_string))
    })
}

/// The nodes of the lab that is meant.
pub(crate) fn nodes() -> ArgValueCandidates {
    ArgValueCandidates::new(|| candidates(node::names(&meant())))
}

/// The nodes that the lab has made, which can go again.
pub(crate) fn own_nodes() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        candidates(node::own_names(&meant()).into_iter().filter(|name| name != lab::names::INET))
    })
}

/// Ports of the switch, by their own names and by their nodes'.
pub(crate) fn ports() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let ports = client().and_then(|lab| lab.ports().ok()).unwrap_or_default();
        let nodes = ports.iter().filter_map(|port| port.node.clone());
        let mut names: Vec<_> = nodes.collect();
        names.dedup();
        names.extend(ports.iter().map(|port| port.ifname.clone()));
        candidates(names)
    })
}

/// The networks of the lab that is meant.
pub(crate) fn networks() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let networks = client().and_then(|lab| lab.networks().ok()).unwrap_or_default();
        candidates(networks.into_iter().map(|network| network.name))
    })
}

/// Words that are always the same.
pub(crate) fn words(all: &'static [&'static str]) -> ArgValueCandidates {
    ArgValueCandidates::new(move || candidates(all.iter().map(|word| (*word).to_owned())))
}

/// What the NAT of a running lab can be set to: the type it was made with, or none.
pub(crate) fn nat() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let own = client().and_then(|lab| lab.topology().ok()?.uplink).map(|uplink| uplink.nat);
        let own = own.filter(|own| own != "none");
        candidates(["none".to_owned()].into_iter().chain(own))
    })
}

/// The numbers of tunnels.
pub(crate) fn tunnels() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let tunnels = client().and_then(|lab| lab.tunnels().ok()).unwrap_or_default();
        candidates(tunnels.into_iter().map(|tunnel| tunnel.vni.to_string()))
    })
}

/// Ports that are published, as `unpublish` takes them.
pub(crate) fn published() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let published = client().and_then(|lab| lab.published().ok()).unwrap_or_default();
        candidates(published.into_iter().map(|one| match one.protocol {
            control::api::Protocol::Udp => format!("{}/udp", one.port),
            _ => one.port.to_string(),
        }))
    })
}

/// The words of verbs that print JSON, as far as they are said: those that may stand at this place.
pub(crate) fn schemas() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let said: Vec<String> = std::env::args().skip_while(|word| word != "schema").collect();
        // The last word is the one that is asked for.
        let before = said.get(1..said.len().saturating_sub(1)).unwrap_or_default();
        let verbs = crate::cmd::schema::names().unwrap_or_default();
        let next = verbs.iter().filter_map(|verb| {
            let words: Vec<_> = verb.split(' ').collect();
            let fits = words.iter().zip(before).all(|(word, said)| word == said);
            words.get(before.len()).filter(|_| fits).map(|word| (*word).to_owned())
        });
        let mut next: Vec<_> = next.collect();
        next.dedup();
        candidates(next)
    })
}

/// The lab that is meant, where it runs.
fn client() -> Option<Client> {
    let (ground, lab) = (found(), meant());
    join::running(ground, &lab).ok()?;
    Client::new(&ground.socket(&lab)).ok()
}

/// Nodes, and what else has an address by name.
pub(crate) fn destinations() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let mut names = node::names(&meant());
        if !names.is_empty() {
            names.extend([lab::names::GATEWAY, lab::names::INTERNET].map(String::from));
        }
        candidates(names)
    })
}

/// The shapes, and files of labs; the shell goes on into folders.
pub(crate) fn topologies() -> ArgValueCompleter {
    ArgValueCompleter::new(|begun: &OsStr| {
        let text = begun.to_string_lossy();
        let shapes =
            ["pair", "mesh", "switch"].into_iter().filter(|shape| shape.starts_with(&*text));
        let mut found = candidates(shapes.map(String::from));
        let files = PathCompleter::any().filter(|path| {
            path.is_dir()
                || path.to_str().is_some_and(|name| topology::file::Format::of(name).is_some())
        });
        found.extend(files.complete(begun));
        found
    })
}

/// Uplinks: ours, and this host's interfaces.
pub(crate) fn uplinks() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let entries = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
        let links = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let links = links.filter(|name| name != "lo" && name != "bonding_masters");
        candidates(["sim", "none", "auto"].map(String::from).into_iter().chain(links))
    })
}

/// Pages of the manual.
pub(crate) fn verbs() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let program = Cli::command();
        let shown = program.get_subcommands().filter(|verb| !verb.is_hide_set());
        candidates(shown.map(|verb| verb.get_name().to_owned()))
    })
}

/// Programs along PATH that begin with what is there.
pub(crate) fn commands() -> ArgValueCompleter {
    ArgValueCompleter::new(|begun: &OsStr| {
        let begun = begun.to_string_lossy();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut found: Vec<String> = std::env::split_paths(&path)
            .flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.starts_with(&*begun))
            .collect();
        found.sort();
        found.dedup();
        candidates(found)
    })
}

/// The lab that the line so far means: the one it names, or the one that is found without.
fn meant() -> LabName {
    let words: Vec<String> = std::env::args().collect();
    let named = words.iter().position(|word| word == "--name").and_then(|at| words.get(at + 1));
    let named = named
        .cloned()
        .or_else(|| words.iter().find_map(|word| word.strip_prefix("--name=").map(String::from)));
    let named = named.or_else(|| std::env::var("USWITCH_LAB").ok());
    let named = named.and_then(|name| name.parse().ok());
    named.unwrap_or_else(|| join::meant(found()))
}
