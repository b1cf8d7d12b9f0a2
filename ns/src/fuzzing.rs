//! The door of the fuzz target `netlink_messages`: what is made of a datagram. Built for it alone.

use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::RouteNetlinkMessage;

use crate::link::Link;
use crate::netlink::{explain, messages};
use crate::route::{default_routes, is_default, link_local_routes, one_address};
use crate::tunnel::Tunnel;

/// Reads a datagram as those who watch and list do; says how many messages it held.
pub fn read(datagram: &[u8]) -> usize {
    let mut count = 0;
    for message in messages(datagram) {
        count += 1;
        let Ok(message) = message else { continue };
        match message.payload {
            NetlinkPayload::Error(answer) => {
                let _ = explain(&answer).to_string();
            }
            NetlinkPayload::InnerMessage(
                RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link),
            ) => {
                let _ = Link::from_message(&link);
                let _ = Tunnel::from_message(&link);
            }
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(address)) => {
                let _ = one_address(&address);
            }
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewRoute(route)) => {
                if is_default(&route) {
                    let _ = default_routes(&route);
                }
                let _ = link_local_routes(&route);
            }
            _ => {}
        }
    }
    count
}
