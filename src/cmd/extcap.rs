//! `uswitch extcap`: running labs as interfaces of Wireshark.
//!
//! Wireshark starts every program in its extcap folder with `--extcap-…` options; a link to uswitch
//! whose name ends in `extcap` is such a program (see [`crate::cli`]). The options and the answers are
//! those of wireshark's doc/extcap.adoc.

use std::fs::{File, OpenOptions};
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use control::api::CaptureAsk;
use lab::{LabName, join};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use observe::filter::{Filter, Host, Known};

use super::capture::{Output, record};
use crate::door::Which;
use crate::look;
use crate::say;
use crate::signals::{self, Signals};

/// What a lab's interface is called, before its name.
const PREFIX: &str = "uswitch-";

/// Answer Wireshark: which labs run, and what passes in one
#[derive(clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    extcap_interfaces: bool,
    #[arg(long)]
    extcap_dlts: bool,
    #[arg(long)]
    extcap_config: bool,
    #[arg(long, value_name = "VERSION", num_args = 0..=1, require_equals = true)]
    extcap_version: Option<Option<String>>,
    #[arg(long, value_name = "INTERFACE")]
    extcap_interface: Option<String>,
    #[arg(long, value_name = "FILTER")]
    extcap_capture_filter: Option<String>,
    #[arg(long)]
    capture: bool,
    #[arg(long, value_name = "FILE")]
    fifo: Option<PathBuf>,
    /// Ports or nodes
    #[arg(long, value_name = "PORTS", default_value = "")]
    ports: String,
    #[arg(long)]
    segment: bool,
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    if args.extcap_interfaces {
        say::line(&format!(
            "extcap {{version={}}}{{display=uswitch labs}}",
            env!("CARGO_PKG_VERSION")
        ));
        for name in join::labs(crate::door::found()).running {
            let name = name.as_str();
            say::line(&format!("interface {{value={PREFIX}{name}}}{{display=uswitch lab {name}}}"));
        }
    } else if args.extcap_dlts {
        say::line("dlt {number=1}{name=EN10MB}{display=Ethernet}");
    } else if args.extcap_config {
        say::line(
            "arg {number=0}{call=--ports}{display=Ports or nodes}{type=string}\
             {tooltip=Separated by spaces; none means all}",
        );
        say::line(
            "arg {number=1}{call=--segment}{display=Cut segments}{type=boolflag}{default=false}\
             {tooltip=Show the packets a wire would carry instead of frames of up to 64 KiB}",
        );
    } else if args.capture {
        return capture(&args);
    } else if args.extcap_capture_filter.is_none() {
        bail!(
            "for Wireshark to start: put a link to uswitch, named uswitch-extcap, in its extcap folder"
        );
    } else {
        check_filter(&args);
    }
    Ok(ExitCode::SUCCESS)
}

/// Copies the lab's frames into Wireshark's pipe. Whatever stands on standard error is shown as an
/// error there, so nothing else does.
fn capture(args: &Args) -> anyhow::Result<ExitCode> {
    let signals = Signals::catch(signals::block()?)?;
    let which = lab_of(args.extcap_interface.as_deref().context("--extcap-interface is missing")?)?;
    let fifo = args.fifo.as_ref().context("--fifo is missing")?;
    let client = which.client()?;
    let ask = CaptureAsk {
        ports: args.ports.split_whitespace().map(Into::into).collect(),
        filter: args.extcap_capture_filter.clone().unwrap_or_default(),
        segment: args.segment,
        ..CaptureAsk::default()
    };
    let Some(pipe) = open(fifo, &signals)? else { return Ok(ExitCode::SUCCESS) };
    let stream = which.answer(client.capture(&ask))?;
    look::end_on(signals, which.clone(), stream.id())?;
    record(stream, &mut Output::Pipe(Box::new(pipe)))?;
    Ok(ExitCode::SUCCESS)
}

/// The pipe, once somebody reads it; None where a signal comes before.
fn open(fifo: &Path, signals: &Signals) -> anyhow::Result<Option<File>> {
    const PAUSE: Duration = Duration::from_millis(10);
    let doing = || format!("opening {}", fifo.display());
    while !signals.stop().load(Ordering::Relaxed) {
        let flags = OFlag::O_NONBLOCK.bits();
        match OpenOptions::new().write(true).custom_flags(flags).open(fifo) {
            Ok(pipe) => {
                fcntl(&pipe, FcntlArg::F_SETFL(OFlag::empty())).with_context(doing)?;
                return Ok(Some(pipe));
            }
            Err(error) if error.raw_os_error() == Some(Errno::ENXIO as i32) => thread::sleep(PAUSE),
            Err(error) => return Err(error).with_context(doing),
        }
    }
    Ok(None)
}

/// The lab behind an interface of Wireshark's list.
fn lab_of(interface: &str) -> anyhow::Result<Which> {
    Ok(Which { name: interface.strip_prefix(PREFIX).unwrap_or(interface).parse::<LabName>()? })
}

/// Wireshark asks whether a filter is good: whatever is printed is what is wrong with it. The names
/// of nodes are those of the lab, where it runs.
fn check_filter(args: &Args) {
    let text = args.extcap_capture_filter.clone().unwrap_or_default();
    let lab = args.extcap_interface.as_deref().and_then(|name| lab_of(name).ok());
    let lab = lab.and_then(|which| which.client().ok()?.topology().ok());
    let nodes = lab.map(|lab| lab.nodes).unwrap_or_default();
    let host = |name: &str| {
        let host = |node: &control::api::Node| Host {
            address: node.address.map(Into::into),
            mac: node.mac.as_ref().and_then(|mac| mac.parse().ok()),
        };
        nodes.iter().filter(|node| node.name == name).map(host).collect()
    };
    // Which mask it is makes no difference here.
    let known = Known { host: &host, netmask: Some(Ipv4Addr::BROADCAST) };
    if let Err(error) = Filter::parse(&text, &known) {
        say::line(&error.message);
    }
}
