//! `uswitch web`: the page of a running lab, for a browser.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use anyhow::Context;
use serde_json::json;
use sys::privilege::Kind;
use web::{Options, Page};

use crate::door::{self, Which};
use crate::exit::Usage;
use crate::say;
use crate::signals::{self, Signals};

/// Show a running lab in a browser: a page that is drawn anew as the lab changes
///
/// Prints an address to open and serves the page there until Ctrl-C. The page shows nodes, networks, the
/// gateway and the way out, links as wide as their rate, drops with their reasons, and tables of all of
/// it; it follows packets through the lab and downloads captures. It only reads. It stays while the lab
/// stops, and shows it again when it comes back.
///
/// Whoever has the address with what follows its # may look; without that nothing is told.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to listen: a port of 127.0.0.1, ADDRESS or ADDRESS:PORT [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "ADDR", value_parser = address, default_value = "127.0.0.1:0",
          hide_default_value = true)]
    listen: SocketAddr,
    /// Let --listen be an address that other hosts can reach; what is shown travels unencrypted
    #[arg(long)]
    anyone: bool,
    /// The address as JSON
    #[arg(short, long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

/// A bare port is one of the loopback address, a bare address has a free port.
fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok((ip, 0).into());
    }
    text.parse().map_err(|_| "a port, ADDRESS, or ADDRESS:PORT".into())
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    let Args { listen, anyone, json, which } = args;
    if !listen.ip().is_loopback() && !anyone {
        let line = format!(
            "other hosts can reach {}: give an address of this host alone, such as 127.0.0.1, or add \
             --anyone",
            listen.ip()
        );
        return Err(Usage(line).into());
    }
    which.answer(which.client()?.version())?;
    let socket = door::ground().socket(&which.name);
    // Whose labs are meant follows from the rights there are. From here on it talks to browsers, and needs
    // no more for that than a port. Before the first thread, for rights are a thread's.
    sys::privilege::keep(&[Kind::CAP_NET_BIND_SERVICE]).context("giving up privileges")?;
    let signals = Signals::catch(signals::block()?)?;
    let page = Page::start(&Options { lab: which.name.to_string(), socket, listen })
        .context("no page is shown")?;
    if json {
        let (lab, address) = (which.name.to_string(), page.address().to_string());
        door::json(&json!({ "lab": lab, "address": address, "url": page.url() }))?;
    } else {
        say::line(&page.url());
    }
    if !listen.ip().is_loopback() {
        say::note("other hosts can reach this page, and read on the way what it shows");
    }
    say::note("it only reads, and only for whoever has the whole address; Ctrl-C ends it");
    signals.wait();
    drop(page);
    Ok(ExitCode::SUCCESS)
}
