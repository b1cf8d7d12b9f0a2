//! The real binary in real namespaces, judged by the machine's own programs and sockets.
//!
//! | module | what it shows |
//! |---|---|
//! | `harness` | the private machine each test runs in |
//! | `awake` | idle cores while frames flow |
//! | `by_hand` | entries of tables set by hand, where VLANs begin or cease to be told apart |
//! | `check` | every topology built, pinged and undone, as root and as an ordinary user |
//! | `fast` | what the switch has decided the kernel repeats, and nothing that can be seen changes |
//! | `fast_nat` | sessions of the NAT that the kernel sends on by itself |
//! | `fast_stale` | … and not a packet longer than the gateway would |
//! | `examples` | the files in `examples/`, each held to what it claims |
//! | `file` | labs by files: what is wrong with one, the running lab as one |
//! | `faults` | each thing that can be in the way: one line, an exit code, nothing left behind |
//! | `first_hour` | what a newcomer types in the first hour, and what comes of it, word for word |
//! | `ci` | the page about CI: its script, its table of exit codes |
//! | `crash` | killed at any moment, and cleaned up by the next `run` or `down` |
//! | `daemon` | the lab in the background: what it has let go of, its part of the cores |
//! | `rundir` | what is not believed in the run directory: other users', numbers, swept files |
//! | `ours` | names made by others stay, whatever the kernel's numbers and the record |
//! | `traffic` | TCP and UDP through the switch and the NAT, byte for byte |
//! | `tunnels` | TCP in tunnels, and what links may leave to the switch |
//! | `stopped` | a ring that a frame has stopped: opened anew, told, counted |
//! | `frames` | frames no kernel would send, and frames the switch has to leave alone |
//! | `see` | capture, trace and explain against tcpdump and tshark |
//! | `legs` | the gateway's places in VLANs: what passes by them, addresses there alone |
//! | `links` | links that go down, come back or vanish under load |
//! | `loops` | a loop beside the switch: named, and its port shut |
//! | `hints` | what a person meets who types what is not there or is meant otherwise |
//! | `hosts` | one network over several hosts that etcd knows: who is there, who has what, failures |
//! | `steps` | set-up as commands, which are run by hand and lead to the same |
//! | `output` | output that nobody takes: an error, never a panic |
//! | `words` | what `run` says, and by which exit code it tells |
//! | `version` | what the program says of itself and of its build |
//! | `soak` | mixed traffic for as long as asked |
//! | `storm` | what a node may have flooded, cut to its limit |
//! | `nat_attack` | a node and the outside attack, another node goes on; memory stays bounded |
//! | `overload` | a node sends more than can be sent on; the others do not notice |
//! | `nat_clients` | traceroute, ping, curl, path MTU discovery, segments and refusals from a node |
//! | `nat_types` | the four NAT types, as a program finds them out by asking servers |
//! | `nat_oracle` | one script through Linux's masquerade and through ours |
//! | `legs_oracle` | one script through Linux as a router of several networks and through ours |
//! | `uplink` | a real uplink: the host and the nodes behind one address |
//! | `ping` | our ping beside the one of iputils, and against a peer that does not behave |
//! | `package` | the .deb, installed in a root of its own |
//! | `privilege` | what a lab's process may still do once it stands |
//! | `selftests` | the scenarios of the kernel's own bridge tests, through its bridge and ours |
//! | `settings` | settings of ports and the network, VLANs, addresses set by hand |
//! | `at_once` | settings that several clients change at the same time |
//! | `said` | what verbs have made of a lab, as its file |
//! | `scarce` | no more threads to be had |
//! | `oracle` | one scenario through the Linux bridge and through ours |
//! | `joints` | networks joined by links, as switches by cables |
//! | `json` | what verbs print with `-j`, held against the schemas they have |
//! | `library` | labs of a program's own, by the lab crate alone |
//! | `names` | nodes by their names, in files that change while programs read them |
//! | `door` | the control door and its verbs: `show`, `exec`, `monitor`, `add`, `publish`, metrics |
//! | `notify` | what a service manager hears |
//! | `unit` | the systemd unit: capabilities, names the host sees |
//! | `top` | the live view in a pseudo-terminal, held against the kernel |
//! | `web` | the page of a lab: its server by hand-written requests, the page itself in Chromium |

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

// As a program outside knows it.
extern crate lab as uswitch_lab;

#[path = "../support/mod.rs"]
mod support;

mod at_once;
mod awake;
mod booted;
mod by_address;
mod by_hand;
mod check;
mod ci;
mod complete;
mod crash;
mod daemon;
mod doctor;
mod door;
mod examples;
mod fast;
mod fast_nat;
mod fast_stale;
mod faults;
mod file;
mod first_hour;
mod frames;
mod graph;
mod harness;
mod hints;
mod hosts;
mod iperf;
mod joints;
mod json;
mod legs;
mod legs_oracle;
mod library;
mod links;
mod loops;
mod moves;
mod names;
mod nat_attack;
mod nat_clients;
mod nat_oracle;
mod nat_room;
mod nat_types;
mod networks;
mod notify;
mod oracle;
mod ours;
mod output;
mod overlay;
mod overload;
mod package;
mod ping;
mod privilege;
mod routing;
mod rundir;
mod said;
mod scarce;
mod see;
mod selftests;
mod settings;
mod soak;
mod steps;
mod stopped;
mod storm;
mod told;
mod top;
mod traffic;
mod trunk;
mod tunnels;
mod unit;
mod uplink;
mod version;
mod walkthrough;
mod web;
mod words;

/// What `run` says last, once the lab stands and its checks are through.
const READY: &str = "Ctrl-C undoes all of it";

/// Runs a lab in the foreground and waits until it is ready.
fn lab(sandbox: &support::Sandbox, args: &[&str]) -> support::Process {
    let mut run = sandbox.start(args);
    run.wait_for(READY);
    run
}

/// The namespace of root's node `name`.
fn netns(name: &str) -> std::path::PathBuf {
    std::path::Path::new("/run/netns").join(name)
}
