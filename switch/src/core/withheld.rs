//! Why a flooded frame does not leave by a port: the same questions that the decision asks, for those
//! who ask afterwards.

use super::bridge::Bridge;
use super::decide::{Origin, passes, wants};
use super::frame::Frame;
use super::port::{Flooded, PortId};
use super::verdict::DropReason;

/// Why one port is left out of a flood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// It is in another network, or in none.
    Elsewhere,
    /// It is not flooded with frames of this kind.
    Flag(Flooded),
    /// The switch answers such questions itself.
    Answered,
    /// A single frame would not leave by it either.
    Refused(DropReason),
}

impl Bridge {
    /// Why a frame that comes in at `ingress`, and is flooded, does not leave by `egress`; None where it
    /// does.
    #[must_use]
    pub fn withheld(&self, frame: &Frame, ingress: PortId, egress: PortId) -> Option<Withheld> {
        let (source, port) = (self.get(ingress)?, self.get(egress)?);
        let network = self.network(source.state.network)?;
        if port.state.network != network.id {
            return Some(Withheld::Elsewhere);
        }
        let lane = network.classify(frame.tag(), &source.state.vlans).ok()?;
        let from = Origin::Port(ingress, source);
        wants(port, Flooded::to(frame.dst), network.is_own(from), false)
            .and_then(|()| {
                passes(frame, from, egress, port, &lane).map(|_| ()).map_err(Withheld::Refused)
            })
            .err()
    }
}
