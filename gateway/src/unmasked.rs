//! What may come from outside at all; and its way while the gateway does not forward or does not
//! translate: what is for its own address meets nobody but itself, and inside hosts are reached by
//! their own.

use std::net::Ipv4Addr;

use crate::course::{Course, Refusal, plan_local};
use crate::gateway::Gateway;
use crate::packet::Transport;
use crate::passage::Arrival;
use crate::route::Route;
use crate::verdict::{DropReason, Side};

impl Gateway {
    /// The way of a packet from outside then.
    #[inline(never)]
    pub(crate) fn plan_outside_unmasked(
        &self,
        a: &Arrival,
        bytes: &[u8],
    ) -> Result<Course, Refusal> {
        let (packet, links) = (&a.packet, &self.links);
        if links.routing.nat {
            self.check_arrival(packet.src, packet.dst)?;
            let answers = matches!(
                packet.transport,
                Transport::Tcp(..) | Transport::Udp(..) | Transport::IcmpReply(_)
            );
            let known = packet.flow().filter(|_| answers).is_some_and(|(protocol, _, local)| {
                self.nat.realm(protocol).mappings.inside(local.port).is_some()
            });
            return match packet.transport {
                _ if known => Err(DropReason::ForwardingOff.into()),
                _ if links.is_shared(Side::Uplink) => Err(DropReason::NotOurs.into()),
                _ => plan_local(a, bytes),
            };
        }
        match links.routes.to(packet.dst) {
            Route::Via(to @ Side::Leg(leg), hop) if !links.is_internal(leg) => {
                if !links.routes.is_uplink_source(packet.src) {
                    return Err(DropReason::Martian.into());
                }
                if !links.routing.forwarding {
                    return Err(DropReason::ForwardingOff.into());
                }
                self.check_forward(packet, bytes, to)?;
                Ok(Course::Straight { to, hop, detour: false })
            }
            _ => {
                self.check_arrival(packet.src, packet.dst)?;
                plan_local(a, bytes)
            }
        }
    }

    /// Refuses what cannot come from outside, or not to us.
    #[inline]
    pub(crate) fn check_arrival(&self, src: Ipv4Addr, dst: Ipv4Addr) -> Result<(), DropReason> {
        match self.links.routes.to(dst) {
            Route::Own(Side::Uplink) if self.links.routes.is_uplink_source(src) => Ok(()),
            Route::Own(Side::Uplink) => Err(DropReason::Martian),
            Route::Own(Side::Leg(_)) | Route::Via(Side::Leg(_), _) => {
                Err(DropReason::InsideFromOutside)
            }
            Route::Multicast => Err(DropReason::Multicast),
            Route::Via(Side::Uplink, _) | Route::Loopback | Route::None => {
                Err(DropReason::NotForMe)
            }
        }
    }
}
