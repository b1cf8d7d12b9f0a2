//! `uswitch run`: build a lab, check it, stay, undo it. `up` is the same in another process.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

use ::door::Open;
use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use control::api::{Publish, StormLimits};
use control::{Exporter, Reserved};
use lab::hosts::{Credentials, End};
use lab::{FastPath, Lab, LabConfig, LabName, Topology, Uplink};
use sys::autogroup::Outcome;
use sys::urgent::Helper;
use topology::file::Format;
use topology::join::Join;
use topology::{NatType, PortBlock, Spec};

use crate::complete;
use crate::door::ground;
use crate::exit::Usage;
use crate::file::{Asked, Text};
use crate::forward;
use crate::inside::Inside;
use crate::notify;
use crate::report::Report;
use crate::say;
use crate::signals::{self, Signals};
use crate::storm;

/// Build a lab, check it with pings, stay until Ctrl-C, undo it
///
/// Exit code: 0 when every ping of the checks was answered; 1 when not, or when the lab could not
/// be built; 2 for a request that makes no sense.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) lab: LabArgs,
    /// End after the checks
    #[arg(long)]
    check: bool,
}

/// What a lab is asked to be.
#[derive(clap::Args)]
pub(crate) struct LabArgs {
    /// What joins the nodes: `pair`, one veth pair; `mesh`, a pair between every two; `switch`; or a
    /// file that says what the lab is to be, in YAML or TOML
    #[arg(value_name = "TOPOLOGY|FILE", value_parser = Asked::read, default_value = "switch",
          add = complete::topologies())]
    topology: Asked,
    /// How many nodes, where no file says it [default: 2]
    #[arg(short = 'n', long, value_name = "N", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(lab::config::MAX_NODES)))]
    nodes: Option<u32>,
    /// What lies behind the gateway: `sim`, an internet of our own; `none`; an interface of this
    /// host, whose address is shared; `auto`, the one with the default route [default: sim]
    #[arg(long, value_name = "UPLINK", add = complete::uplinks())]
    uplink: Option<Uplink>,
    /// The ports the NAT has for its own on an interface of this host [default: 20000-29999]
    #[arg(long, value_name = "A-B")]
    uplink_ports: Option<PortBlock>,
    /// The lab's name [default: the file's, or uswitch]
    #[arg(long, value_name = "LAB", env = "USWITCH_LAB", hide_env_values = true)]
    name: Option<LabName>,
    /// What the names of namespaces begin with [default: nothing, or NAME- for a lab with --name]
    #[arg(long)]
    prefix: Option<String>,
    /// The largest packet of every link [default: 1500]
    #[arg(long)]
    mtu: Option<u32>,
    /// How the NAT maps and filters: full-cone, restricted-cone, port-restricted-cone, symmetric
    /// [default: port-restricted-cone]
    #[arg(long, value_name = "TYPE", hide_possible_values = true,
          value_parser = PossibleValuesParser::new(NAT_TYPES).try_map(|text| text.parse::<NatType>()))]
    nat: Option<NatType>,
    /// How many sessions the NAT has room for, of TCP, of UDP and of echoes each [default: 65536]
    #[arg(long, value_name = "N", value_parser = super::nat::sessions())]
    nat_sessions: Option<u32>,
    /// Publish a port of the uplink that leads to a node: [ADDR:]PORT:NODE:PORT[/udp]; repeatable
    #[arg(short = 'p', long, value_name = "PORT:NODE:PORT", value_parser = forward::publish)]
    publish: Vec<Publish>,
    /// Most frames a second each node may have flooded (storm control): N of each kind, or
    /// broadcast=N,multicast=N,unknown=N [default: unlimited]
    #[arg(long, value_name = "LIMITS", value_parser = storm::limits)]
    storm: Option<StormLimits>,
    /// Threads of the switch that forward; each flow stays with one of them [default: one; a lab of
    /// root's takes more while they forward more, at most four and one a core]
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Whether the kernel repeats what the switch has decided, by BPF programs (root, Linux 6.6):
    /// `on`, `off` (the default: every frame passes the switch), or `auto`, where it can be had
    #[arg(long, value_name = "WHEN", hide_possible_values = true,
          value_parser = PossibleValuesParser::new(["on", "off", "auto"])
              .try_map(|text| text.parse::<FastPath>()))]
    fast_path: Option<FastPath>,
    /// Let idle cores halt while frames flow: less heat, slower round trips. A lab of root's asks
    /// the kernel otherwise (/dev/cpu_dma_latency), while they flow and 0.1 s longer
    #[arg(long)]
    power_save: bool,
    /// Serve the counters to Prometheus at http://ADDR/metrics: a port of 127.0.0.1, or ADDR:PORT
    #[arg(long, value_name = "ADDR", value_parser = metrics)]
    metrics: Option<SocketAddr>,
    /// Join a network to those of other hosts by VXLAN. All of them: vtep://ADDRESS[,ADDRESS…]?vni=N;
    /// those that etcd knows: etcd://ADDRESS[:PORT][,ADDRESS…]/NET; those that BGP tells of, by the
    /// gobgpd beside this host: bgp://ADDRESS[:PORT]/NET?vni=N. With &port=N and &network=NAME where they
    /// are not 4789 and the first. By TLS etcds://…?cacert=FILE&cert=FILE&key=FILE, with a user
    /// &user=NAME&password-file=FILE; what the URL does not say etcdctl's environment may:
    /// ETCDCTL_CACERT, _CERT, _KEY, _USER, _PASSWORD
    #[arg(long, value_name = "URL")]
    join: Option<Join>,
    /// This host's address among them [default: the one its route to the first leaves by]
    #[arg(long, value_name = "ADDR")]
    vtep: Option<IpAddr>,
    /// What this host is called among them, where etcd knows them [default: its hostname]
    #[arg(long, value_name = "NAME")]
    host_name: Option<String>,
    /// Print the steps as the commands that would do the same by hand, and build nothing; -v prints
    /// them on stderr while it builds
    #[arg(long, conflicts_with = "json")]
    pub(super) dry_run: bool,
    /// JSON, one object a line
    #[arg(short, long)]
    json: bool,
}

/// A bare port is one of the loopback address.
pub(super) fn metrics(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<u16>() {
        Ok(port) => Ok((Ipv4Addr::LOCALHOST, port).into()),
        Err(_) => text.parse().map_err(|_| "a port, or ADDRESS:PORT".into()),
    }
}

/// How the NAT may map and filter.
const NAT_TYPES: [&str; 4] = ["full-cone", "restricted-cone", "port-restricted-cone", "symmetric"];

impl LabArgs {
    /// What the lab is to be.
    fn config(&self, steps: bool) -> anyhow::Result<LabConfig> {
        let mut spec = match &self.topology {
            Asked::Shape(shape) => self.of_shape(*shape)?,
            Asked::File(path, format) => self.of_file(path, *format)?,
        };
        for (said, word) in
            [(self.vtep.is_some(), "--vtep"), (self.host_name.is_some(), "--host-name")]
        {
            if said && spec.join.is_none() {
                let line = format!("{word} goes with --join URL, or with join: in a file");
                return Err(Usage(line).into());
            }
        }
        if let Some(join) = &spec.join {
            lab::hosts::check_build(join).context("--join")?;
        }
        let name = self.name.clone().or(spec.name.take()).unwrap_or_default();
        spec.name = Some(name.clone());
        Ok(LabConfig {
            name,
            prefix: self.prefix.clone(),
            spec,
            workers: self.workers,
            power_save: self.power_save,
            steps,
            served: false,
        })
    }

    fn of_shape(&self, shape: Topology) -> anyhow::Result<Spec> {
        let mut spec = shape.spec(self.nodes.unwrap_or(2))?;
        if !spec.is_switched() {
            self.needs_no_switch()?;
        }
        self.put_over(&mut spec);
        // Behind a pair or a mesh there is nothing, unless somebody insists.
        let insists = matches!(self.uplink, Some(Uplink::Host(_)));
        if !spec.is_switched() && !insists {
            spec.uplink = Some(Uplink::None);
        }
        self.has_own_ports(&spec)?;
        Ok(spec)
    }

    /// Says which option is the gateway's, where a shape has none.
    fn needs_no_switch(&self) -> anyhow::Result<()> {
        let options = [
            (self.uplink == Some(Uplink::Sim), "--uplink sim"),
            (self.nat.is_some(), "--nat"),
            (self.nat_sessions.is_some(), "--nat-sessions"),
        ];
        match options.iter().find(|(said, _)| *said) {
            Some((_, option)) => {
                let said = format!(
                    "{option} is the gateway's, and a pair or a mesh has none: `run switch` has"
                );
                Err(Usage(said).into())
            }
            None => Ok(()),
        }
    }

    fn of_file(&self, path: &Path, format: Format) -> anyhow::Result<Spec> {
        if self.nodes.is_some() {
            let path = path.display();
            return Err(
                Usage(format!("-n goes with a shape: {path} says which nodes there are")).into()
            );
        }
        let text = Text::read(path, format)?;
        let mut spec = text.spec()?;
        self.put_over(&mut spec);
        self.has_own_ports(&spec)?;
        text.checked(&spec)
    }

    /// What the command line says goes before what a shape or a file says.
    fn put_over(&self, spec: &mut Spec) {
        spec.uplink = self.uplink.clone().or(spec.uplink.take());
        spec.uplink_ports = self.uplink_ports.unwrap_or(spec.uplink_ports);
        spec.mtu = self.mtu.or(spec.mtu);
        spec.nat = self.nat.unwrap_or(spec.nat);
        spec.nat_sessions = self.nat_sessions.unwrap_or(spec.nat_sessions);
        spec.fast_path = self.fast_path.unwrap_or(spec.fast_path);
        spec.publish.extend(self.publish.iter().cloned());
        spec.storm = self.storm.unwrap_or(spec.storm);
        spec.join = self.join.clone().or(spec.join.take());
    }

    fn has_own_ports(&self, spec: &Spec) -> anyhow::Result<()> {
        if self.uplink_ports.is_some() && !matches!(spec.uplink(), Uplink::Host(_)) {
            let said = "--uplink-ports goes with --uplink IFACE or --uplink auto";
            return Err(Usage(said.into()).into());
        }
        Ok(())
    }
}

/// How long the lab stays.
pub(crate) enum Stay {
    /// Until the checks are through.
    Checks,
    /// Until a signal.
    Foreground,
    /// Until a signal, away from the terminal; whoever waits is told when the checks have passed.
    Background(File),
}

/// Runs the verb.
pub(crate) fn main(args: Args, steps: bool) -> anyhow::Result<ExitCode> {
    let stay = if args.check { Stay::Checks } else { Stay::Foreground };
    serve(&args.lab, stay, steps)
}

/// Builds the lab, checks it, stays, undoes it.
pub(crate) fn serve(args: &LabArgs, stay: Stay, steps: bool) -> anyhow::Result<ExitCode> {
    let config = args.config(steps)?;
    let checked = config.check()?;
    if args.dry_run {
        lab::steps::all(&config, &checked).iter().for_each(|line| say::line(line));
        return Ok(ExitCode::SUCCESS);
    }
    // It acts with the rights that this process is about to give up.
    let mut inside = Inside::prepare(&config.name, &config.spec)?;
    // A user namespace first, while there is but one thread.
    let ground = ground();
    ground.enter()?;
    // No thread of ours is to get a signal.
    let blocked = signals::block()?;
    let helper = part_of_the_cores();
    // What takes other rights than a lab's comes before they are given up.
    let metrics = args.metrics.map(Exporter::reserve).transpose()?;
    ground.give_up()?;
    let signals = Signals::catch(blocked)?;
    let mut report = Report::new(args.json);
    notify::status("building the lab");
    let told = config.clone();
    let built =
        Lab::start(config, &ground, signals.stop(), &mut |step| report.progress(&told, step));
    let lab = match built {
        Err(lab::Error::Interrupted) => {
            report.undone();
            return Ok(interrupted(&signals));
        }
        other => other.inspect_err(|_| report.clear_bar())?,
    };
    if let Some(helper) = helper {
        come_first(&lab, helper);
    }
    let credentials = Credentials::of_environment();
    let end = End { vtep: args.vtep, host: args.host_name.clone(), credentials };
    let joined = lab.reach_hosts(&end).context("--join");
    let open = match joined.and_then(|()| Ok(Open::of(&lab)?)) {
        Ok(open) => open,
        Err(error) => {
            report.clear_bar();
            for left in lab.stop() {
                tracing::warn!("{left}");
            }
            return Err(error);
        }
    };
    report.built(lab.config());
    let outcome = match exporter(&open, metrics, &mut report) {
        // Served until the door is closed.
        Ok(_exporter) => furnished(inside.as_mut(), &signals)
            .and_then(|()| super::stay::inhabit((&lab, &open), &signals, stay, &mut report)),
        Err(error) => Err(error),
    };
    drop(inside);
    drop(open);
    let errors = lab.stop();
    for error in &errors {
        say::error(&describe(error));
    }
    report.undone();
    let code = outcome?;
    super::stay::heard()?;
    Ok(if errors.is_empty() { code } else { ExitCode::FAILURE })
}

/// Sees to the lab's part of the cores: its session's, where it has begun that, else its workers'
/// own, which the rest of the session has nothing of. For the latter there is somebody to be asked
/// once there are workers. An ordinary user may ask for neither.
pub(super) fn part_of_the_cores() -> Option<Helper> {
    match sys::autogroup::raise() {
        Ok(Outcome::NotOurs) if sys::autogroup::is_free() => Helper::start().ok(),
        _ => None,
    }
}

/// Has the workers come before all ordinary threads.
pub(super) fn come_first(lab: &Lab, helper: Helper) {
    let threads = lab.with_switch(|switch| switch.threads()).unwrap_or_default();
    if let Err(error) = helper.raise(threads) {
        tracing::debug!("the workers are threads like any other: {error}");
    }
}

/// Serves the counters, if asked to.
fn exporter(
    open: &Open,
    reserved: Option<Reserved>,
    report: &mut Report,
) -> anyhow::Result<Option<Exporter>> {
    let Some(reserved) = reserved else { return Ok(None) };
    let exporter = reserved.serve(open.door())?;
    report.metrics(exporter.address());
    Ok(Some(exporter))
}

/// What the file has done inside the nodes.
fn furnished(inside: Option<&mut Inside>, signals: &Signals) -> anyhow::Result<()> {
    inside.map_or(Ok(()), |inside| inside.go(signals.stop()))
}

pub(super) fn describe(error: &lab::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// The shell's convention for an end by signal.
pub(super) fn interrupted(signals: &Signals) -> ExitCode {
    let number = signals.arrived().map_or(2, |signal| signal as i32);
    ExitCode::from(u8::try_from(128 + number).unwrap_or(130))
}
