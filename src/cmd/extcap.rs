//! `uswitch extcap`: running labs as interfaces of Wireshark.
//!
//! Wireshark starts every program in its extcap folder with `--extcap-…` options; a link to uswitch
//! whose name ends in `extcap` is such a program (see [`crate::cli`]). The options and the answers are
//! those of wireshark's doc/extcap.adoc.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use control::api::CaptureAsk;
use lab::{Ground, LabName, join};

use super::capture::{Output, record};
use crate::door::Which;
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
        for name in join::labs(&Ground::find()) {
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
        check_filter(&args)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn capture(args: &Args) -> anyhow::Result<ExitCode> {
    let signals = Signals::catch(signals::block()?)?;
    let interface = args.extcap_interface.as_deref().context("--extcap-interface is missing")?;
    let name = interface.strip_prefix(PREFIX).unwrap_or(interface).parse::<LabName>()?;
    let fifo = args.fifo.as_ref().context("--fifo is missing")?;
    let which = Which { name };
    let client = which.client()?;
    let ask = CaptureAsk {
        ports: args.ports.split_whitespace().map(Into::into).collect(),
        filter: args.extcap_capture_filter.clone().unwrap_or_default(),
        segment: args.segment,
        ..CaptureAsk::default()
    };
    let pipe = OpenOptions::new().write(true).open(fifo);
    let pipe = pipe.with_context(|| format!("opening {}", fifo.display()))?;
    record(&client, &ask, signals, &which, &mut Output::Pipe(Box::new(pipe)))
}

/// Wireshark asks whether a filter is good: whatever is printed is what is wrong with it.
fn check_filter(args: &Args) -> anyhow::Result<()> {
    let text = args.extcap_capture_filter.clone().unwrap_or_default();
    if let Err(error) = observe::Filter::parse(&text, &|_| None) {
        say::line(&error.message);
    }
    Ok(())
}
