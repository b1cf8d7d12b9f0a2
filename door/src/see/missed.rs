//! Why a flooded frame misses the one it is for: the setting of a port that keeps it back, by its name.

use std::net::IpAddr;

use switch::core::Withheld;

use control::api::{Decision, Step};
use lab::{Interface, Node};
use switch::{DropReason, Flooded, Frame, Outcome, PortId};

use super::asked::owner;
use super::foretell::Beside;
use super::names::Names;
use super::walk::Facts;

/// Where a flood has missed whoever has `address`, why: a step.
pub(super) fn told(
    (bridge, names, nodes): (&Beside<'_>, &Names, &[Node]),
    facts: &Facts,
    frame: &Frame,
    address: IpAddr,
) -> Option<Step> {
    let floods = [Outcome::Flooded, Outcome::Dropped(DropReason::NoTarget)];
    let network = names.home(facts.ingress);
    let owner = owner(nodes, address, network);
    let (node, own) = owner.filter(|_| floods.contains(&facts.outcome))?;
    let at = own.port.as_ref()?.id;
    let why = why(bridge, names, frame, [facts.ingress, at]);
    let text = format!("{}, whom it is for, is not among them: {why}", node.name);
    Some(Step { at: "table".into(), decision: Decision::Drop, text, age: None })
}

/// Why a question is not heard by whoever is asked for: the end of a line.
pub(super) fn unheard(
    (bridge, names): (&Beside<'_>, &Names),
    owner: Option<(&Node, &Interface)>,
    (question, ingress): (&Frame, PortId),
) -> String {
    let Some((node, own)) = owner else { return "nobody here has that address".into() };
    let why = own.port.as_ref().map(|at| why(bridge, names, question, [ingress, at.id]));
    let why = why.unwrap_or_else(|| "it has no port there".into());
    format!("the question does not reach {}: {why}", node.name)
}

/// What keeps a frame that comes in at `ingress` from leaving by the port `egress`: the end of a line.
pub(super) fn why(
    bridge: &Beside<'_>,
    names: &Names,
    frame: &Frame,
    [ingress, egress]: [PortId; 2],
) -> String {
    let port = names.port(egress);
    match bridge.withheld(frame, ingress, egress) {
        None => format!("{port} takes it, and nobody is there"),
        Some(Withheld::Elsewhere) => match names.network(egress) {
            Some(network) => format!("{port} is in another network, {network}"),
            None => format!("{port} is in no network"),
        },
        Some(Withheld::Flag(kind)) => {
            let (flag, what) = match kind {
                Flooded::Broadcast => ("bcast_flood", "broadcasts"),
                Flooded::Multicast => ("mcast_flood", "frames to groups"),
                Flooded::Unknown => ("flood", "frames to unknown addresses"),
            };
            format!("{port} is not sent {what} ({flag} off)")
        }
        Some(Withheld::Answered) => {
            format!("{port} is not asked what the switch answers (neigh_suppress)")
        }
        Some(Withheld::Refused(reason)) => match reason {
            DropReason::Isolated => {
                let from = names.port(ingress);
                format!("{from} and {port} are isolated from each other ({})", reason.name())
            }
            DropReason::EgressDown => format!("{port}'s link is down ({})", reason.name()),
            DropReason::LoopProtect => format!("{port} is shut by a loop ({})", reason.name()),
            DropReason::TooBig => {
                format!("it is longer than the MTU of {port} ({})", reason.name())
            }
            DropReason::VlanEgress => {
                format!("{port} is no member of its VLAN ({})", reason.name())
            }
            other => format!("{port} refuses it ({})", other.name()),
        },
    }
}
