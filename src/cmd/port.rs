//! `uswitch port`: what the switch's ports are set to, and changing it while traffic flows.

use std::process::ExitCode;

use control::api::{MovePort, Port, PortRole, PortSettings, SetPort, StormLimits};

use super::network::mask;
use super::show;
use crate::door::{Which, json};
use crate::exit::Usage;
use crate::onoff::OnOff;
use crate::paint::Paint;
use crate::table::Table;
use crate::{by_hand, say, storm};

/// What is said in the place of a network's name.
const NONE: &str = "none";

/// Show what ports are set to, or set it
///
/// Options are named as in `bridge link`; those that are not given stay as they are. JSON has the
/// field names of `bridge -d -j link show`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A node, its port in one network (NODE:NETWORK), or a port of the switch [default: show all]
    #[arg(value_name = "NODE|PORT", add = crate::complete::ports())]
    port: Option<String>,
    /// Learn the addresses that frames come from
    #[arg(long, value_name = "on|off")]
    learning: Option<OnOff>,
    /// Flood frames to unknown addresses to it
    #[arg(long, value_name = "on|off")]
    flood: Option<OnOff>,
    /// Flood multicast to it
    #[arg(long, value_name = "on|off")]
    mcast_flood: Option<OnOff>,
    /// Flood broadcast to it
    #[arg(long, value_name = "on|off")]
    bcast_flood: Option<OnOff>,
    /// Let frames leave by the port they came in by
    #[arg(long, value_name = "on|off")]
    hairpin: Option<OnOff>,
    /// Keep it apart from the other isolated ports
    #[arg(long, value_name = "on|off")]
    isolated: Option<OnOff>,
    /// Keep it apart from the other ports of this group, 1 to 255
    #[arg(long, value_name = "GROUP", conflicts_with = "isolated",
          value_parser = clap::value_parser!(u8).range(1..))]
    isolation: Option<u8>,
    /// Let in only frames from addresses that the table knows at it
    #[arg(long, value_name = "on|off")]
    locked: Option<OnOff>,
    /// Note unknown addresses at the locked port in the table, locked (MAC authentication bypass)
    #[arg(long, value_name = "on|off")]
    mab: Option<OnOff>,
    /// Let these link-local groups in, beside those of the network: bit N stands for
    /// 01:80:c2:00:00:0N
    #[arg(long, value_name = "MASK", value_parser = mask)]
    group_fwd_mask: Option<u16>,
    /// Answer questions for neighbours behind it (ARP, IPv6), and do not send them there
    #[arg(long, value_name = "on|off")]
    neigh_suppress: Option<OnOff>,
    /// Ask no member that leaves a group again
    #[arg(long, value_name = "on|off")]
    fastleave: Option<OnOff>,
    /// Send it every group: never (0), while a multicast router is heard there (1), always (2)
    #[arg(long, value_name = "0|1|2", value_parser = clap::value_parser!(u8).range(0..=2))]
    mcast_router: Option<u8>,
    /// Most groups it may be a member of; 0 for as many as there is room for
    #[arg(long, value_name = "N")]
    mcast_max_groups: Option<u32>,
    /// Look for loops with probes, and shut it for five minutes where one is seen; said of a port that
    /// is shut, opens it
    #[arg(long, value_name = "on|off")]
    loop_protect: Option<OnOff>,
    /// Most addresses learned at it [default: 16384]
    #[arg(long, value_name = "N")]
    learn_limit: Option<u32>,
    /// Most frames a second it may have flooded: N of each kind, or
    /// broadcast=N,multicast=N,unknown=N, or off
    #[arg(long, value_name = "LIMITS", value_parser = storm::limits)]
    storm: Option<StormLimits>,
    /// Move it to this network, or out of all: what was learned at it is forgotten, and its VLANs are
    /// those a port of that network begins with; its node keeps its addresses
    #[arg(long, value_name = "NAME|none", add = crate::complete::networks())]
    network: Option<String>,
    /// JSON, on one line
    #[arg(short, long)]
    json: bool,
    #[command(flatten)]
    which: Which,
}

impl Args {
    fn asked(&self) -> SetPort {
        let is = |value: Option<OnOff>| value.map(OnOff::is_on);
        SetPort {
            hairpin: is(self.hairpin),
            learning: is(self.learning),
            flood: is(self.flood),
            mcast_flood: is(self.mcast_flood),
            bcast_flood: is(self.bcast_flood),
            isolated: is(self.isolated),
            isolation: self.isolation,
            locked: is(self.locked),
            mab: is(self.mab),
            group_fwd_mask: self.group_fwd_mask,
            neigh_suppress: is(self.neigh_suppress),
            fastleave: is(self.fastleave),
            mcast_router: self.mcast_router,
            mcast_max_groups: self.mcast_max_groups,
            loop_protect: is(self.loop_protect),
            learn_limit: self.learn_limit,
            storm: self.storm,
            vlans: None,
        }
    }
}

/// Runs the verb.
pub(crate) fn main(args: Args, steps: bool) -> anyhow::Result<ExitCode> {
    let asked = args.asked();
    let changes = asked != SetPort::default() || args.network.is_some();
    if changes && args.port.is_none() {
        let line = "say which port: `uswitch port NODE --learning off`, for one";
        return Err(Usage(line.into()).into());
    }
    let client = args.which.client()?;
    let ports = match &args.port {
        Some(port) if changes => {
            let changed = match &args.network {
                Some(network) => {
                    let network = Some(network.clone()).filter(|name| name != NONE);
                    client.move_port(port, &MovePort { network, settings: asked })
                }
                None => client.set_port(port, &asked),
            };
            let changed = args.which.answer(changed)?;
            by_hand::tell(steps, &args.which, |lab| {
                let to = args.network.as_deref().map(|to| Some(to).filter(|name| *name != NONE));
                let moved = to.map(|to| lab.move_port(&changed.ifname, to));
                moved.into_iter().chain(lab.set_port(&changed.ifname, &args.asked())).collect()
            });
            vec![changed]
        }
        Some(name) => {
            // Asking for no change tells what there is, or that there is no such port.
            vec![args.which.answer(client.set_port(name, &SetPort::default()))?]
        }
        None => args.which.answer(client.ports())?,
    };
    let bridged: Vec<&Port> = ports.iter().filter(|port| port.role == PortRole::Bridged).collect();
    if args.json {
        json(&bridged.iter().map(|port| link(port)).collect::<Vec<_>>())?;
        return Ok(ExitCode::SUCCESS);
    }
    let (head, rows) = table(&bridged).lines();
    say::line(&Paint::of_stdout().head(&head));
    rows.iter().for_each(|row| say::line(row));
    Ok(ExitCode::SUCCESS)
}

/// A row in the shape of `bridge -d -j link show`; from `node` on, fields of our own.
#[derive(serde::Serialize)]
struct Link<'a> {
    ifindex: u32,
    ifname: &'a str,
    flags: &'a [String],
    mtu: u32,
    master: Option<&'a str>,
    state: &'static str,
    #[serde(flatten)]
    settings: Option<&'a PortSettings>,
    #[serde(flatten)]
    never: Never,
    node: Option<&'a str>,
    network: Option<&'a str>,
    fdb_n_learned: u32,
    fdb_max_learned: Option<u32>,
    fdb_n_moved: u64,
    mcast_n_groups: u32,
    loops: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    loop_shut: Option<u64>,
    #[serde(skip_serializing_if = "StormLimits::is_none")]
    storm: StormLimits,
}

/// What a kernel bridge's port can be set to and none of ours can. Without a spanning tree nothing
/// guards one.
#[derive(Default, serde::Serialize)]
struct Never {
    guard: bool,
    root_block: bool,
    mcast_to_unicast: bool,
    vlan_tunnel: bool,
}

fn link(port: &Port) -> Link<'_> {
    Link {
        ifindex: port.ifindex,
        ifname: &port.ifname,
        flags: &port.flags,
        mtu: port.mtu,
        master: port.master.as_deref(),
        state: match port.operstate == "UP" && port.loop_shut.is_none() && port.network.is_some() {
            true => "forwarding",
            false => "disabled",
        },
        settings: port.settings.as_ref(),
        never: Never::default(),
        node: port.node.as_deref(),
        network: port.network.as_deref(),
        fdb_n_learned: port.fdb_entries,
        fdb_max_learned: port.settings.as_ref().map(|settings| settings.learn_limit),
        fdb_n_moved: port.fdb_n_moved,
        mcast_n_groups: port.mcast_n_groups,
        loops: port.loops,
        loop_shut: port.loop_shut,
        storm: port.storm,
    }
}

fn table(ports: &[&Port]) -> Table {
    let several = show::several_networks(ports.iter().copied());
    let mut heads = vec!["PORT", "NODE", "SETTINGS"];
    if several {
        heads.insert(2, "NETWORK");
    }
    let mut table = Table::new(&heads);
    for port in ports {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
        let mut cells = vec![port.ifname.clone(), or_none(&port.node), words(port)];
        if several {
            cells.insert(2, or_none(&port.network));
        }
        table.row(cells);
    }
    table
}

/// What differs from the default first in mind: every switch, then the numbers.
fn words(port: &Port) -> String {
    let Some(settings) = &port.settings else { return "-".into() };
    let is = |on: bool| if on { "on" } else { "off" };
    let isolated = match settings.isolation {
        Some(group) => format!("group {group}"),
        None => is(settings.isolated).into(),
    };
    let mut words = format!(
        "learning {} flood {} mcast_flood {} bcast_flood {} hairpin {} isolated {isolated} \
         locked {} mab {} group_fwd_mask {:#06x} neigh_suppress {} fastleave {} mcast_router {} loop_protect {} \
         learn_limit {}",
        is(settings.learning),
        is(settings.flood),
        is(settings.mcast_flood),
        is(settings.bcast_flood),
        is(settings.hairpin),
        is(settings.locked),
        is(settings.mab),
        settings.group_fwd_mask,
        is(settings.neigh_suppress),
        is(settings.fastleave),
        settings.mcast_router,
        is(settings.loop_protect),
        settings.learn_limit,
    );
    if let Some(seconds) = port.loop_shut {
        words.push_str(&format!(" shut by a loop for {seconds} s yet"));
    }
    if let Some(limits) = storm::words(&port.storm) {
        words.push_str(&format!(" storm {limits}"));
    }
    words
}
