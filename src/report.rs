//! What `run` and `up` say: pictures and colour on a terminal, plain lines elsewhere, JSON on
//! request. A closed pipe is no error here: the lab is still to be undone.

use std::io::IsTerminal;
use std::net::SocketAddr;

use ::door::Open;
use indicatif::{ProgressBar, ProgressStyle};
use lab::called::program;
use lab::check::Checked;
use lab::{Lab, LabConfig, Progress, Uplink, address, station};
use serde_json::{Value, json};
use topology::Spec;

use crate::canvas::Canvas;
use crate::escape::ESCAPE;
use crate::paint::Paint;
use crate::{door, picture, say, storm, units};

/// More steps than this have a progress bar.
const MANY_STEPS: usize = 100;
/// Of more checks than this only the failures and a summary are told.
const MANY_CHECKS: usize = 6;

/// How things are said.
pub(crate) struct Report {
    json: bool,
    colour: bool,
    picture: bool,
    canvas: Canvas,
    bar: Option<ProgressBar>,
    answered: usize,
    /// Who has reached the internet.
    out: Option<String>,
}

impl Report {
    /// Looks at where the output goes.
    pub(crate) fn new(json: bool) -> Self {
        let terminal = std::io::stdout().is_terminal() && !json;
        let colour = Paint::of_stdout().is_on() && !json;
        let canvas = if terminal { Canvas::of_terminal() } else { Canvas::default() };
        Self { json, colour, picture: terminal, canvas, bar: None, answered: 0, out: None }
    }

    /// Building begins.
    fn begun(&mut self, config: &LabConfig) {
        if self.json {
            let topology = config.topology().to_string();
            self.object(&json!({"event": "start", "lab": config.name.as_str(),
                "topology": topology, "nodes": config.spec.nodes.len()}));
        }
    }

    /// It is built.
    pub(crate) fn built(&mut self, config: &LabConfig) {
        self.clear_bar();
        if self.picture {
            for line in picture::of(config, self.canvas) {
                self.line(&line);
            }
        }
    }

    /// Something happened while building.
    pub(crate) fn progress(&mut self, config: &LabConfig, progress: Progress) {
        match progress {
            Progress::Begun => self.begun(config),
            Progress::Step(line) => {
                self.clear_bar();
                say::note(&line);
            }
            Progress::Cleaned(count) => {
                let s = if count == 1 { "" } else { "s" };
                self.done(&format!("removed {count} namespace{s} that a crash had left"));
            }
            Progress::Building { done, total } if total > MANY_STEPS && !self.json => {
                let bar = self.bar.get_or_insert_with(|| bar(total));
                bar.set_position(done as u64);
            }
            Progress::Building { .. } => {}
            Progress::Host(change) => self.host(&change),
            Progress::Done(words) => self.done(&words),
        }
    }

    /// Something of the host is about to be changed.
    fn host(&mut self, change: &str) {
        self.clear_bar();
        if self.json {
            return self.object(&json!({"event": "host", "change": change}));
        }
        let mark = self.paint("!", "33");
        self.line(&format!("{mark} on this host, until the end: {change}"));
    }

    fn done(&mut self, words: &str) {
        self.clear_bar();
        if self.json {
            return self.object(&json!({"event": "done", "what": words}));
        }
        let mark = self.mark(true);
        let words = if self.canvas.ascii { words.replace('…', "...") } else { words.into() };
        self.line(&format!("{mark} {words}"));
    }

    /// The mark of what is well, or is not.
    fn mark(&self, good: bool) -> String {
        match (good, self.canvas.ascii) {
            (true, false) => self.paint("✓", "32"),
            (false, false) => self.paint("✗", "31"),
            (true, true) => self.paint("+", "32"),
            (false, true) => self.paint("-", "31"),
        }
    }

    /// Takes the bar away.
    pub(crate) fn clear_bar(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// A ping of the checks.
    pub(crate) fn check(&mut self, checked: &Checked, of: usize) {
        if checked.ok() && checked.to == address::SIM_HOSTS[0] {
            self.out = Some(checked.from.clone());
        }
        self.answered += usize::from(checked.ok());
        if self.json {
            return self.object(&check_json(checked));
        }
        let route = format!("{} -> {}", checked.from, name(checked));
        if checked.ok() && of > MANY_CHECKS {
            let bar = self.bar.get_or_insert_with(|| bar(of));
            bar.inc(1);
            return;
        }
        let (mark, result) = match &checked.report {
            Ok(report) if checked.ok() => {
                let times: Vec<_> = report
                    .round_trips
                    .iter()
                    .map(|rtt| format!("{:.3}", rtt.as_secs_f64() * 1e3))
                    .collect();
                (self.mark(true), format!("{} ms", times.join(" ")))
            }
            Ok(report) => {
                let lost = format!("{} of {} answered", report.received, report.sent);
                (self.mark(false), lost)
            }
            Err(error) => (self.mark(false), error.clone()),
        };
        self.clear_bar();
        self.line(&format!("{mark} ping {route:<36} {result}"));
    }

    /// All checks are through.
    pub(crate) fn checked(&mut self, lab: &Lab, open: &Open) {
        self.clear_bar();
        let nodes = lab.config().spec.nodes.len();
        let (pairs, checks) = (lab.pairs(), lab.checks().len());
        if self.json {
            return;
        }
        if checks > MANY_CHECKS {
            let mark = if self.answered == checks { self.mark(true) } else { self.mark(false) };
            self.line(&format!("{mark} {} of {checks} pings answered", self.answered));
        }
        if self.answered < checks {
            self.line(&why(lab, open));
        }
        if picture::is_mesh(&lab.config().spec) {
            let each = |count: usize| if count == 1 { "pair" } else { "pairs" };
            self.line(&format!(
                "a mesh of {nodes} took {pairs} veth {}; the switch would have taken {nodes}",
                each(pairs)
            ));
        }
    }

    /// The lab stays: what to try.
    pub(crate) fn ready(&mut self, config: &LabConfig, rootless: bool, background: bool) {
        if self.json {
            return self.object(&json!({"event": "ready", "lab": config.name.as_str(),
                "pid": std::process::id()}));
        }
        let (program, name) = (program(), door::option(&config.name));
        let spec = &config.spec;
        let first = spec.nodes.keys().next().map_or("net1", String::as_str);
        let out = self.out.clone().unwrap_or_else(|| first.into());
        let far = match spec.uplink() {
            Uplink::Sim | Uplink::Host(_) => Some(address::SIM_HOSTS[0].to_string()),
            Uplink::None => station::first_gateway(spec)
                .map(|(own, _)| own.to_string())
                .or_else(|| neighbour(spec, first)),
        };
        self.line(if background { "try:" } else { "try, in another terminal:" });
        if let Some(far) = far {
            let from = if spec.uplink() == Uplink::Sim { &*out } else { first };
            self.line(&format!("  {program} ping{name} {from} {far}"));
        }
        self.line(&format!("  {program} exec{name} {first} -- ip addr"));
        if spec.is_switched() {
            self.line(&format!("  {program} show{name} fdb"));
        }
        if !rootless {
            let sudo = if program.starts_with("sudo ") { "sudo " } else { "" };
            self.line(&format!("  {sudo}ip netns exec {}{first} ip a", config.prefix()));
        }
    }

    /// The counters are served.
    pub(crate) fn metrics(&mut self, address: SocketAddr) {
        if !address.ip().is_loopback() {
            say::error(&format!("metrics are for anyone who reaches {address}"));
        }
        self.done(&format!("metrics at http://{address}/metrics"));
    }

    /// How it ends: in the foreground by Ctrl-C, in the background by `down`.
    pub(crate) fn ending(&mut self, config: &LabConfig, background: bool) {
        if self.json {
            return;
        }
        if background {
            let (program, name) = (program(), door::option(&config.name));
            self.line(&format!("running in the background; {program} down{name} undoes all of it"));
        } else {
            self.line("Ctrl-C undoes all of it");
        }
    }

    /// Everything is gone again.
    pub(crate) fn undone(&mut self) {
        self.clear_bar();
        self.done("undone");
    }

    fn paint(&self, text: &str, colour: &str) -> String {
        if self.colour { format!("{ESCAPE}[{colour}m{text}{ESCAPE}[0m") } else { text.into() }
    }

    fn object(&self, value: &Value) {
        self.line(&value.to_string());
    }

    #[expect(clippy::unused_self, reason = "one place that writes")]
    fn line(&self, text: &str) {
        say::kept(text);
    }
}

/// Why checks failed, as far as the lab has counted it.
fn why(lab: &Lab, open: &Open) -> String {
    let counters = open.door().counters();
    let switch = counters.switch.map(|switch| switch.drops).unwrap_or_default();
    let gateway = counters.gateway.map(|gateway| gateway.drops).unwrap_or_default();
    let told = |(reason, count): (String, u64)| match reason.as_str() {
        "storm" => {
            let limits = storm::words(&lab.config().spec.storm).unwrap_or_default();
            format!("{count} frames over the limit of --storm {limits}, which ARP needs too")
        }
        _ => format!("{count} {reason}"),
    };
    // What nodes say of themselves over IPv6 is no reason.
    let counted = switch.into_iter().chain(gateway).filter(|(reason, _)| reason != "not-ipv4");
    let dropped: Vec<_> = counted.map(told).collect();
    if dropped.is_empty() {
        return "nothing was dropped by the switch: a node did not answer".into();
    }
    format!("dropped meanwhile: {}", dropped.join(", "))
}

/// The address of another node, which is reached without a router.
fn neighbour(spec: &Spec, node: &str) -> Option<String> {
    let mut ends = spec.links.iter().flat_map(|link| {
        let [a, b] = &link.endpoints;
        [(a, b), (b, a)]
    });
    let (_, far) = ends.find(|(near, _)| near.node == node)?;
    far.addresses.first().map(|address| address.ip.to_string())
}

fn bar(total: usize) -> ProgressBar {
    let bar = ProgressBar::new(total as u64);
    if let Ok(style) = ProgressStyle::with_template("  {bar:40} {pos}/{len}") {
        bar.set_style(style);
    }
    bar
}

fn name(checked: &Checked) -> String {
    format!("{} {}", checked.to_name, checked.to)
}

fn check_json(checked: &Checked) -> Value {
    let mut value = json!({"event": "check", "from": checked.from, "to": checked.to_name,
        "address": checked.to.to_string(), "ok": checked.ok()});
    match &checked.report {
        Ok(report) => {
            value["sent"] = report.sent.into();
            value["received"] = report.received.into();
            let rtts = report.round_trips.iter().map(|rtt| units::micros(*rtt));
            value["rtt_us"] = rtts.collect::<Vec<_>>().into();
        }
        Err(error) => value["error"] = error.clone().into(),
    }
    value
}
