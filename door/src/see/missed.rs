//! Why a frame misses the one it is for: the setting of a port that keeps a flood back, by its name, and
//! what a node does not hear that comes to it.

use std::net::IpAddr;

use switch::core::Withheld;

use control::api::{Decision, Step};
use lab::{Interface, Node};
use switch::{DropReason, Flooded, Frame, Outcome, PortId, Tagging};
use wire::MacAddr;

use super::asked::owner;
use super::foretell::Beside;
use super::journey::Journey;
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

impl Journey<'_> {
    /// Why a node does not hear what comes to it at a port: it comes with a tag, and the node's interface there
    /// is the one for frames without; or it has the address no more. None where it does.
    pub(super) fn unheard_at(&self, port: PortId, to: IpAddr, all: &[Facts]) -> Option<String> {
        let exits = all.iter().flat_map(|facts| &facts.egress);
        let mut here = exits.filter(|exit| exit.port == port);
        let tag = here.find_map(|exit| match exit.tagging {
            Tagging::Set(tag) | Tagging::Push(tag) => Some(tag.id().get()),
            Tagging::Keep | Tagging::Pop => None,
        });
        if let Some(tag) = tag {
            return Some(format!(
                "it comes tagged {tag}, and who has {to} takes what comes without a tag"
            ));
        }
        (self.is_lost && to == self.to).then(|| format!("it does not have {to} any more"))
    }

    /// Why a node does not hear a frame that comes to it at a port: it is for another hardware address than
    /// those that the node's interfaces have. None where it is for one of these, or for many.
    pub(super) fn astray(
        &self,
        (port, own): (PortId, MacAddr),
        frame: &Frame,
        all: &[Facts],
    ) -> Option<String> {
        let here = all.iter().find(|facts| facts.ports().any(|id| id == port))?;
        let dst = here.new_dst.unwrap_or(frame.dst);
        let astray = !dst.is_group() && !self.hears.as_ref()?.contains(&dst);
        astray.then(|| format!("it is for the hardware address {dst}, and this one has {own}"))
    }

    /// Whether a frame is flooded for a hardware address that no node has.
    pub(super) fn is_nobodys(&self, frame: &Frame, facts: &Facts) -> bool {
        let mut all = self.nodes.iter().flat_map(|node| &node.interfaces);
        let floods = facts.outcome == Outcome::Flooded && !frame.dst.is_group();
        floods && !all.any(|own| own.mac == frame.dst)
    }
}
