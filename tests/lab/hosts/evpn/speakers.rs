//! Hosts at one cable, each with a GoBGP of its own, all neighbours of each other in one AS.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::super::world::World;
use crate::door::until;
use crate::support::{Ended, Process, Sandbox, skip};

/// Debian's gobgpd and frr, unpacked in one folder (`.ci/run`), with what they take.
pub(super) fn programs() -> Option<PathBuf> {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bgp");
    let all = ["usr/bin/gobgpd", "usr/bin/gobgp", "usr/lib/frr/bgpd", "usr/lib/frr/zebra"];
    if all.iter().all(|program| unpacked.join(program).exists()) {
        return Some(unpacked);
    }
    skip(
        "no BGP here: the packages gobgpd, frr and libyang2, unpacked in target/bgp (see .ci/run)",
    );
    None
}

/// The hosts.
pub(super) struct Speakers<'s> {
    pub(super) world: World<'s>,
    pub(super) programs: PathBuf,
    count: usize,
    running: Vec<Option<Process>>,
}

impl<'s> Speakers<'s> {
    /// Hosts 1 to `count`; nothing runs on them.
    pub(super) fn new(sandbox: &'s Sandbox, programs: PathBuf, count: usize) -> Self {
        let world = World::dark(sandbox, PathBuf::new(), count);
        let running = (0..count).map(|_| None).collect();
        Self { world, programs, count, running }
    }

    /// Starts a host's GoBGP.
    pub(super) fn start(&mut self, host: usize) {
        let mut text = format!("[global.config]\nas = 65000\nrouter-id = \"10.9.0.{host}\"\n");
        for other in (1..=self.count).filter(|other| *other != host) {
            text += &format!(
                "[[neighbors]]\n[neighbors.config]\nneighbor-address = \"10.9.0.{other}\"\n\
                 peer-as = 65000\n\
                 [neighbors.timers.config]\nconnect-retry = 1\nhold-time = 9\n\
                 keepalive-interval = 3\nidle-hold-time-after-reset = 1\n\
                 [[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\n\
                 afi-safi-name = \"l2vpn-evpn\"\n"
            );
        }
        self.running[host - 1] = Some(self.run_speaker(host, &text, "127.0.0.1:50051"));
        until(&format!("gobgpd of host {host} answers"), || {
            self.try_gobgp(host, "global").contains("AS:").then_some(())
        });
    }

    /// A GoBGP with this configuration, where it takes gRPC.
    pub(super) fn run_speaker(&self, host: usize, text: &str, at: &str) -> Process {
        let port = at.rsplit(':').next().unwrap();
        let file = self.world.sandbox.dir.join(format!("gobgpd{host}-{port}.toml"));
        std::fs::write(&file, text).unwrap();
        let program = self.programs.join("usr/bin/gobgpd");
        let mut args = vec!["--pprof-disable", "--api-hosts", at];
        if !text.is_empty() {
            args.extend(["-f", file.to_str().unwrap()]);
        }
        self.world.on(host, program.to_str().unwrap(), &args)
    }

    /// Sends a host's GoBGP a signal; one that is ended by it is gone when this returns.
    pub(super) fn signal(&mut self, host: usize, signal: Signal) {
        let place = &mut self.running[host - 1];
        if let Some(speaker) = place {
            speaker.signal(signal);
        }
        if matches!(signal, Signal::SIGKILL | Signal::SIGTERM)
            && let Some(speaker) = place.take()
        {
            speaker.ended();
        }
    }

    fn try_gobgp(&self, host: usize, words: &str) -> String {
        let program = self.programs.join("usr/bin/gobgp");
        let args: Vec<_> = words.split(' ').filter(|word| !word.is_empty()).collect();
        self.world.on(host, program.to_str().unwrap(), &args).ended().out
    }

    /// What GoBGP's own command says on a host.
    pub(super) fn gobgp(&self, host: usize, words: &str) -> String {
        let program = self.programs.join("usr/bin/gobgp");
        let args: Vec<_> = words.split(' ').filter(|word| !word.is_empty()).collect();
        self.world.on(host, program.to_str().unwrap(), &args).ended().ok().out
    }

    /// What host `of` says, as the GoBGP of `host` has it: hardware addresses and their sequence numbers.
    pub(super) fn said(&self, host: usize, of: u8) -> BTreeMap<String, u64> {
        let text = self.gobgp(host, "global rib -a evpn -j");
        let all: Value = serde_json::from_str(&text).unwrap_or_default();
        let paths = all
            .as_object()
            .into_iter()
            .flatten()
            .flat_map(|(_, paths)| paths.as_array().cloned().unwrap_or_default());
        let own = format!("10.9.0.{of}");
        let number = |path: &Value| {
            let nlri = &path["nlri"]["value"];
            let mac = nlri["mac"].as_str()?.to_owned();
            let attributes = path["attrs"].as_array()?;
            let hop = attributes.iter().find_map(|own| own["nexthop"].as_str())?;
            let communities = attributes.iter().filter_map(|own| own["value"].as_array()).flatten();
            let number = communities.into_iter().find_map(|own| own["sequence"].as_u64());
            (hop == own).then_some((mac, number.unwrap_or(0)))
        };
        paths.filter_map(|path| number(&path)).collect()
    }

    /// Where all hosts join.
    pub(super) fn url() -> &'static str {
        "bgp://127.0.0.1/prod?vni=100"
    }

    /// Starts the lab of a host, with node nHOST at 10.100.1.HOST, and waits until it is ready.
    pub(super) fn lab(&self, host: usize) -> Process {
        let vtep = format!("10.9.0.{host}");
        let args = self.words(host, Self::url(), &["--vtep", &vtep]);
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let mut run = self.world.background(host, &args);
        run.wait_for(crate::READY);
        run
    }

    /// Runs the lab of a host that is to fail.
    pub(super) fn try_run(&self, host: usize, url: &str, further: &[&str]) -> Ended {
        let args = self.words(host, url, further);
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        self.world.uswitch(host, &args)
    }

    fn words(&self, host: usize, url: &str, further: &[&str]) -> Vec<String> {
        let file = self.world.sandbox.dir.join(format!("n{host}.yaml"));
        let words = ["run", file.to_str().unwrap(), "--join", url];
        words.iter().chain(further).map(|word| (*word).to_owned()).collect()
    }
}
