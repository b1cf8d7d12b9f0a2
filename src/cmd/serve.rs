//! `uswitch serve`: networks for container engines, in one process that stays.
//!
//! What it makes outlives it: links, the switch's namespace, networks on the disk. The next one takes
//! on all of it, so that containers notice no more than a pause. `--clean` undoes it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use ::door::Open;
use ::serve::{Config, Ending, Serve};
use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use control::Exporter;
use lab::clean::{Downed, down};
use lab::hosts::{Credentials, End};
use lab::{FastPath, Ground, Lab, LabConfig, LabName, Progress, Uplink};
use ns::user::Privilege;
use topology::join::Join;
use topology::{PortBlock, Spec};

use super::run::{come_first, describe, interrupted, part_of_the_cores};
use crate::complete;
use crate::door::ground;
use crate::exit::Usage;
use crate::notify;
use crate::say;
use crate::signals::{self, Signals};

/// What the lab is called that serves.
pub(crate) const NAME: &str = lab::config::SERVED;
/// How a service manager calls the sockets that it has opened for us (FileDescriptorName=).
const DOCKER: &str = "docker";
const PLUGINS: &str = "plugins";
/// Names the run directory.
pub(crate) const RUN_DIR: &str = "USWITCH_RUN_DIR";
/// Instead of a socket.
const NONE: &str = "none";

/// Serve container engines: networks of Docker's, `docker network create -d uswitch`, of podman's, and of
/// whatever starts this program as a plugin of the Container Network Interface (CNI)
///
/// Stays until a signal, and leaves all links as they are: the next one takes them on, and containers
/// notice no more than a pause. Every verb shows what it serves, as lab `serve`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The way out of containers: `auto`, the interface with the default route, whose address is
    /// shared; another interface; `none`
    #[arg(long, value_name = "UPLINK", default_value = "auto", add = complete::uplinks())]
    uplink: Uplink,
    /// The ports the NAT has for its own there
    #[arg(long, value_name = "A-B", default_value_t)]
    uplink_ports: PortBlock,
    /// The socket that Docker knows the driver `uswitch` by; `none` for no Docker
    #[arg(long, value_name = "PATH", default_value = "/run/docker/plugins/uswitch.sock")]
    plugin: PathBuf,
    /// The socket where this program asks when an engine starts it as a plugin, unless USWITCH_SERVE
    /// names another
    #[arg(long, value_name = "PATH", default_value = crate::plugin::SOCKET)]
    socket: PathBuf,
    /// Docker's own socket, where containers' names are asked for
    #[arg(long, value_name = "PATH", default_value = "/run/docker.sock")]
    docker: PathBuf,
    /// Where networks are kept, which outlive a boot
    #[arg(long, value_name = "DIR", default_value = "/var/lib/uswitch")]
    state: PathBuf,
    /// Whether the kernel repeats what the switch has decided: `on`, `off`, or `auto`, where it can
    /// be had
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_possible_values = true,
          value_parser = PossibleValuesParser::new(["on", "off", "auto"])
              .try_map(|text| text.parse::<FastPath>()))]
    fast_path: FastPath,
    /// Join networks to those of other hosts by VXLAN, unless they say otherwise with `-o uswitch.join=…`:
    /// etcd://ADDRESS[:PORT][,…]/NET[?vni=N][&port=N], by what etcd knows of them,
    /// bgp://ADDRESS[:PORT]/NET?vni=N[&port=N], by what BGP tells the gobgpd beside this host, or
    /// vtep://ADDRESS[,ADDRESS…]?vni=N[&port=N], all of them named. By TLS
    /// etcds://…?cacert=FILE&cert=FILE&key=FILE, with a user &user=NAME&password-file=FILE; what a URL
    /// does not say etcdctl's environment may: ETCDCTL_CACERT, _CERT, _KEY, _USER, _PASSWORD
    #[arg(long, value_name = "URL")]
    join: Option<Join>,
    /// This host's address among the hosts (default: the one by which it speaks with the first of them)
    #[arg(long, value_name = "ADDRESS")]
    vtep: Option<IpAddr>,
    /// What this host is called among the hosts that etcd knows (default: its hostname)
    #[arg(long, value_name = "NAME")]
    host_name: Option<String>,
    /// Serve the counters to Prometheus at http://ADDR/metrics: a port of 127.0.0.1, or ADDR:PORT
    #[arg(long, value_name = "ADDR", value_parser = super::run::metrics)]
    metrics: Option<SocketAddr>,
    /// Undo what a `serve` has made and left, also after a crash: links, interfaces, the switch's
    /// namespace. Networks stay known, for Docker knows them too
    #[arg(long)]
    clean: bool,
    /// Go with the last container after so many seconds, and undo all of it: a server that a plugin has
    /// started
    #[arg(long, value_name = "SECONDS", hide = true)]
    passing: Option<u64>,
}

impl Args {
    fn lab(&self) -> anyhow::Result<LabConfig> {
        if self.uplink == Uplink::Sim {
            let said =
                "--uplink sim: containers have the world, or `none`; `run` has one of its own";
            return Err(Usage(said.into()).into());
        }
        if let Some(join) = &self.join {
            lab::hosts::check_build(join)?;
        }
        if let Some(own) = self.join.as_ref().and_then(Join::network) {
            let said = format!("--join: network={own}: it is whichever is made");
            return Err(Usage(said).into());
        }
        let name: LabName = NAME.parse()?;
        let spec = Spec {
            name: Some(name.clone()),
            uplink: Some(self.uplink.clone()),
            uplink_ports: self.uplink_ports,
            fast_path: self.fast_path,
            ..Spec::default()
        };
        Ok(LabConfig {
            name,
            prefix: None,
            spec,
            workers: None,
            power_save: false,
            steps: false,
            served: true,
        })
    }
}

/// Runs the verb.
pub(crate) fn main(mut args: Args) -> anyhow::Result<ExitCode> {
    let config = args.lab()?;
    config.check()?;
    let background = super::up::is_background().then(super::up::stand_alone).transpose()?;
    let mut ground = ground();
    if args.passing.is_some() && ns::user::is_capable() && std::env::var_os(RUN_DIR).is_some() {
        ground = within_an_engine(ground, &mut args)?;
    }
    if ground.privilege() == Privilege::Ordinary {
        anyhow::bail!("serving container engines takes root: run it with sudo");
    }
    if args.clean {
        return clean(&ground, &config.name, [&args.socket, &args.plugin]);
    }
    let mut listeners = activated()?;
    ground.enter()?;
    let blocked = signals::block()?;
    let helper = part_of_the_cores();
    let metrics = args.metrics.map(Exporter::reserve).transpose()?;
    ground.give_up_for_engines()?;
    let signals = Signals::catch(blocked)?;
    notify::status("taking on networks");
    let name = config.name.clone();
    let lab = match Lab::start(config, &ground, signals.stop(), &mut |step| tell(&step)) {
        Err(lab::Error::Interrupted) => return Ok(interrupted(&signals)),
        other => other?,
    };
    if let Some(helper) = helper {
        come_first(&lab, helper);
    }
    let served = Open::of(&lab).context("opening the door").and_then(|open| {
        let _exporter = metrics.map(|reserved| reserved.serve(open.door())).transpose()?;
        let Args { plugin, docker, state, socket: own, .. } = args;
        let place = plugin.display().to_string();
        let plugin = Some(plugin).filter(|path| path.as_os_str() != NONE);
        let (listener, own_listener) = (listeners.remove(DOCKER), listeners.remove(PLUGINS));
        let ending = args.passing.map(|seconds| Ending {
            grace: Duration::from_secs(seconds),
            end: Box::new(signals.ender()),
        });
        let credentials = Credentials::of_environment();
        let end = End { vtep: args.vtep, host: args.host_name, credentials };
        let join = args.join;
        let config =
            Config { plugin, listener, own, own_listener, docker, state, join, end, ending };
        let served = Serve::start(&lab, config)?;
        let alive = notify::ready(&lab)?;
        let (networks, places) = served.count();
        say::kept(&format!(
            "serving Docker at {place}: {networks} networks, {places} containers' places in them"
        ));
        if let Some(ready) = background {
            let log = ground.log(&name)?;
            super::up::detach(ready, &log).context("going into the background")?;
        }
        signals.wait();
        drop(alive);
        drop(served);
        drop(open);
        Ok(())
    });
    for error in lab.stop() {
        say::error(&describe(&error));
    }
    if args.passing.is_some() {
        lab::served::end(&ground, &name)?;
    }
    served?;
    match say::lost() {
        Some(why) => anyhow::bail!(why),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// The ground of a user's server, which a plugin has started in podman's namespaces.
fn within_an_engine(ground: Ground, args: &mut Args) -> anyhow::Result<Ground> {
    let base = ground.base().to_owned();
    let ground = ground.within_an_engine()?;
    if let Ok(beside) = args.socket.strip_prefix(&base) {
        args.socket = ground.base().join(beside);
    }
    Ok(ground)
}

/// What is changed on the host is told before it is done.
fn tell(step: &Progress) {
    if let Progress::Host(change) = step {
        say::kept(&format!("on the host: {change}"));
    }
}

/// The sockets that a service manager has opened for us, by name.
fn activated() -> anyhow::Result<BTreeMap<String, UnixListener>> {
    let what = "asking for the service manager's sockets";
    let mut listeners = BTreeMap::new();
    for (fd, name) in sd_notify::listen_fds_with_names().context(what)? {
        if [DOCKER, PLUGINS].contains(&name.as_str()) {
            listeners.insert(name, sys::inherited::listener(fd).context(what)?);
        }
    }
    Ok(listeners)
}

fn clean(ground: &Ground, name: &LabName, sockets: [&PathBuf; 2]) -> anyhow::Result<ExitCode> {
    sockets
        .into_iter()
        .filter(|path| path.as_os_str() != NONE)
        .for_each(|path| ::serve::sweep(path));
    match down(ground, name)? {
        Downed::Nothing => say::line("nothing is served, and nothing is left"),
        _ => say::line("undone: links, interfaces and namespaces of `serve`"),
    }
    Ok(ExitCode::SUCCESS)
}
