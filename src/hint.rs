//! What is wrong with a command line, in one line, with what to type instead. Pure.
//!
//! clap says what it did not expect and guesses by likeness; people type words that other programs
//! have for the same thing.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Error};
use lab::called::program;

use crate::cli::Cli;

/// Words people type, the verb that is meant, and what it does.
const VERBS: &[(&[&str], &str)] = &[
    (&["list", "labs", "ps"], "ls"),
    (&["stop", "destroy", "delete", "del", "kill", "halt", "clean", "undo"], "down"),
    (&["start", "create", "deploy", "build", "new", "launch"], "up"),
    (&["rm", "unplug"], "remove NODE"),
    (&["plug", "attach"], "add"),
    (&["status", "inspect", "info", "state", "nodes", "topology"], "show"),
    (&["ports", "links"], "show ports"),
    (&["neigh", "arp"], "show neigh"),
    (&["routes", "route"], "show routes"),
    (&["counters", "stats"], "show counters"),
    (&["sessions", "conntrack"], "show nat"),
    (&["published"], "show published"),
    (&["sh", "bash", "enter", "console", "ssh"], "shell NODE"),
    (&["dump", "tcpdump", "sniff"], "capture"),
    (&["brctl", "bridge"], "show ports --brctl"),
    (&["ip", "ifconfig"], "exec NODE -- ip addr"),
    (&["watch", "events", "log", "logs"], "monitor"),
    (&["traceroute", "tracepath", "why"], "explain NODE DEST"),
    (&["version"], "--version"),
    (&["completion"], "completions SHELL"),
];

/// Words people type for what does not exist, and what there is instead (docs/limits.md).
const NONE: &[(&[&str], &str)] = &[
    (&["apply"], "a running lab is changed by `add`, `remove`, `port`, `network` and `set`"),
    (&["impair", "netem", "delay", "loss"], "links neither delay nor lose by themselves"),
    (&["expect", "assert"], "`ping` and `explain` have exit codes that a script can go by"),
];

/// Options people type, with the verb, and what to do instead.
const OPTIONS: &[(&str, &str, &str)] = &[
    ("up", "--check", "`run --check` ends after the checks; `up` stays once they pass"),
    ("up", "-d", "`up` is in the background already"),
    ("run", "-d", "`up` is the same in the background"),
    ("run", "--subnet", "addresses of one's own stand in a lab's file: `run lab.yaml`"),
    ("up", "--subnet", "addresses of one's own stand in a lab's file: `up lab.yaml`"),
    ("run", "--ipv6", "subnets of IPv6 stand in a lab's file, and are switched: `run lab.yaml`"),
    ("up", "--ipv6", "subnets of IPv6 stand in a lab's file, and are switched: `up lab.yaml`"),
    ("ping", "-6", "this ping speaks IPv4 alone"),
    ("ping", "-b", "broadcast addresses are not pinged; --all pings every node"),
];

/// Words people type after `show`, and what is meant.
const TABLES: &[(&[&str], &str)] = &[
    (&["nodes", "node", "lab", "gateway", "uplink"], "topology"),
    (&["mac", "macs", "addresses", "table", "bridge"], "fdb"),
    (&["sessions", "conntrack"], "nat"),
    (&["arp", "neighbours", "neighbors"], "neigh"),
    (&["route"], "routes"),
    (&["port", "links", "link", "interfaces"], "ports"),
    (&["vlans"], "vlan"),
    (&["groups"], "mdb"),
    (&["stats", "drops"], "counters"),
    (&["dns", "hosts"], "names"),
];

/// Verbs with words of their own whose table `show` shows, and words people type for that.
const SHOWN: &[&str] = &["fdb", "mdb", "nat", "tunnel", "vlan", "neigh"];
const LISTING: &[&str] = &["show", "list", "ls"];

/// Words for the same behind a verb that has words of its own.
const SAME: &[&[&str]] = &[
    &["add", "new", "create", "append", "replace"],
    &["remove", "del", "delete", "rm", "destroy", "end"],
    LISTING,
    &["set", "change"],
    &["flush", "clear"],
];

/// The line.
pub(crate) fn of(error: &Error, words: &[OsString]) -> String {
    let verb = words.iter().skip(1).filter_map(|word| word.to_str()).find(|w| !w.starts_with('-'));
    let verb = verb.unwrap_or_default();
    let meant = match error.kind() {
        ErrorKind::InvalidSubcommand => context(error, ContextKind::InvalidSubcommand)
            .and_then(|word| Some(format!("there is no verb {word}: {}", instead(verb, &word)?)))
            .or_else(|| {
                let word = context(error, ContextKind::InvalidSubcommand)?;
                let like = like(&word).filter(|_| verb == word)?;
                Some(format!("there is no verb {word}: `{} {like}` is meant?", program()))
            }),
        ErrorKind::InvalidValue if verb == "show" => context(error, ContextKind::InvalidValue)
            .and_then(|word| {
                let (_, meant) = TABLES.iter().find(|(words, _)| words.contains(&&*word))?;
                Some(format!("show has no {word}: `{} show {meant}` is meant?", program()))
            }),
        ErrorKind::MissingSubcommand => {
            Some(format!("a verb is missing: `{} --help` lists them", program()))
        }
        ErrorKind::UnknownArgument => context(error, ContextKind::InvalidArg).and_then(|word| {
            let found = OPTIONS.iter().find(|(of, option, _)| (*of, *option) == (verb, &word));
            let said = found.map(|(.., said)| format!("{verb} has no {word}: {said}"));
            let second = verb == "add" && !word.starts_with('-');
            said.or_else(|| second.then(|| format!("{word}: nodes are added one at a time")))
                .or_else(|| below_zero(&word, words))
        }),
        // A URL may have a password in it, which is not said again.
        ErrorKind::ValueValidation => context(error, ContextKind::InvalidArg)
            .filter(|option| option.starts_with("--join"))
            .zip(std::error::Error::source(error))
            .map(|(_, why)| format!("--join: {why}; --help says more")),
        _ => None,
    };
    meant.unwrap_or_else(|| format!("{}; --help says more", plain(&error.to_string())))
}

/// A number below zero, which clap takes for an option: whose value it was to be.
fn below_zero(word: &str, words: &[OsString]) -> Option<String> {
    // Of -0.5 clap names -0.
    let is_it = |one: &str| one.starts_with(word) && one.parse::<f64>().is_ok();
    let words: Vec<&str> = words.iter().map(|one| one.to_str().unwrap_or_default()).collect();
    let at = words.iter().position(|one| is_it(one))?;
    let (option, number) = (words[..at].last()?, words[at]);
    let said = || format!("{option} {number}: it takes no number below zero; --help says more");
    option.starts_with('-').then(said)
}

/// What is meant by `word` in the place of a verb.
fn instead(verb: &str, word: &str) -> Option<String> {
    let program = program();
    if verb != word {
        let own = own(verb, word).map(|meant| format!("`{program} {verb} {meant}` is meant?"));
        let is_table = || SHOWN.contains(&verb) && LISTING.contains(&word);
        return own
            .or_else(|| is_table().then(|| format!("`{program} show {verb}` shows the table")));
    }
    if let Some((_, instead)) = NONE.iter().find(|(words, _)| words.contains(&word)) {
        return Some((*instead).into());
    }
    let (_, meant) = VERBS.iter().find(|(words, _)| words.contains(&word))?;
    Some(format!("`{program} {meant}` is meant?"))
}

/// The word of a verb's own that is meant by another for the same.
fn own(verb: &str, word: &str) -> Option<String> {
    let program = Cli::command();
    let verb = program.get_subcommands().find(|one| one.get_name() == verb)?;
    let same = SAME.iter().find(|same| same.contains(&word))?;
    let mut own = verb.get_subcommands().map(clap::Command::get_name);
    own.find(|own| same.contains(own)).map(str::to_owned)
}

/// The verb that `word` is a slip of: one letter off, or two of a longer word.
fn like(word: &str) -> Option<String> {
    let program = Cli::command();
    let verbs = program.get_subcommands().filter(|verb| !verb.is_hide_set());
    let near = verbs.map(|verb| (slips(word, verb.get_name()), verb.get_name().to_owned()));
    let allowed = if word.len() > 4 { 2 } else { 1 };
    near.filter(|(slips, _)| *slips <= allowed).min().map(|(_, name)| name)
}

/// How many letters are missing, too many, other ones, or have changed places with the next.
fn slips(typed: &str, meant: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) =
        (typed.chars().take(32).collect(), meant.chars().collect());
    let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            table[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let other = table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let best = other.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
                let turned = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                if turned { best.min(table[i - 2][j - 2] + 1) } else { best }
            };
        }
    }
    table[a.len()][b.len()]
}

fn context(error: &Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// clap's words on one line, without its usage and without tips that mislead.
fn plain(text: &str) -> String {
    let said = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let said = said.take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    let misleads = ["tip: to pass '", "tip: a similar value"];
    let said = said.filter(|line| !misleads.iter().any(|tip| line.starts_with(tip)));
    let said = said.collect::<Vec<_>>().join(" ").replace(" tip: ", "; ");
    let said = said.trim_start_matches("error: ");
    let said = said.replace("invalid digit found in string", "it is no number");
    said.replace("cannot parse integer from empty string", "a number is missing")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn said(line: &str) -> String {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        of(&Cli::try_parse_from(&words).err().unwrap(), &words)
    }

    #[test]
    fn what_others_call_it_is_told() {
        for (line, meant) in [
            ("uswitch list", " ls`"),
            ("uswitch stop", " down`"),
            ("uswitch destroy", " down`"),
            ("uswitch start", " up`"),
            ("uswitch rm net1", " remove NODE`"),
            ("uswitch status", " show`"),
            ("uswitch fdb show", " show fdb`"),
            ("uswitch nat show", " show nat`"),
            ("uswitch vlan list", " show vlan`"),
            ("uswitch tunnel del 5", " tunnel remove`"),
            ("uswitch network rm lan", " network remove`"),
            ("uswitch network list", " network ls`"),
            ("uswitch neigh remove 10.0.0.1", " neigh del`"),
            ("uswitch mdb rm net1", " mdb del`"),
            ("uswitch nat clear", " nat flush`"),
            ("uswitch network stop", "unrecognized"),
            ("uswitch up --check", "`run --check`"),
            ("uswitch ping -6 net1", "IPv4 alone"),
            ("uswitch -v", "a verb is missing"),
            ("uswitch run -n abc", "it is no number"),
            ("uswitch ping -c -1 net1 net2", "-c -1: it takes no number below zero"),
            ("uswitch run --mtu -1", "--mtu -1: it takes no number below zero"),
            ("uswitch top -d -0.5", "-d -0.5: it takes no number below zero"),
            ("uswitch show -1", "unexpected argument '-1'"),
            ("uswitch show nodes", " show topology`"),
            ("uswitch show arp", " show neigh`"),
            ("uswitch show net1", "possible values: topology"),
            ("uswitch mointor", " monitor` is meant"),
            ("uswitch rnu", " run` is meant"),
            ("uswitch expalin", " explain` is meant"),
            ("uswitch nonsense", "unrecognized"),
            ("uswitch brctl show", " show ports --brctl`"),
            ("uswitch ifconfig", " exec NODE -- ip addr`"),
            ("uswitch impair net1", "there is no verb impair: links neither delay"),
            ("uswitch apply lab.yaml", "changed by `add`"),
            ("uswitch expect lab.yaml", "have exit codes"),
            ("uswitch run --ipv6", "IPv6 stand in a lab's file"),
            ("uswitch shwo", " show` is meant"),
            ("uswitch add web db", "db: nodes are added one at a time"),
            ("uswitch run --join etcd://root:x@10.0.0.1/p", "--join: a password stands in no URL"),
            ("uswitch run --subnet 10.0.0.0/8", "`run lab.yaml`"),
        ] {
            let said = said(line);
            assert!(said.contains(meant) && !said.contains('\n'), "{line}: {said}");
            for misleading in
                ["as a value", "a similar value", "'top'", "extcap", "invalid digit", "root:x"]
            {
                assert!(!said.contains(misleading), "{line}: {said}");
            }
        }
    }
}
