//! ARP at the gateway: answering for its own addresses, and learning from others with care.
//!
//! It answers for no address but its own on that link (and for none where a kernel
//! has them too, which answers). It learns from questions put to it and from answers it asked for; an answer
//! nobody asked for makes no entry, a claim to a gateway address is dropped and counted, and one to
//! another host's address, in a question or an answer, waits until that host has had two seconds to object.

use std::net::Ipv4Addr;

use wire::arp::Operation;
use wire::{Arp, Ethernet, MacAddr, Timestamp, VnetHeader, ethertype};

use crate::gateway::Gateway;
use crate::links::Links;
use crate::neighbour::{Claim, Due, Waiting};
use crate::node::Node;
use crate::output::Output;
use crate::rewrite;
use crate::verdict::{Consumed, DropReason, Side, Verdict};

/// An ARP frame, padded to Ethernet's least.
const FRAME_LEN: usize = 60;

impl Links {
    /// ARP that came in from a node.
    #[inline(never)]
    pub(crate) fn arp(
        &mut self,
        (side, node): (Side, Node),
        ethernet: &Ethernet<'_>,
        out: &mut dyn Output,
        now: Timestamp,
    ) -> Result<Verdict, DropReason> {
        let arp = Arp::parse(ethernet.payload()).ok_or(DropReason::BadArp)?;
        let own = self.mac(side);
        if ethernet.dst() != own && !ethernet.dst().is_group() {
            return Err(DropReason::NotForMe);
        }
        if arp.sender_mac.is_group() || arp.sender_mac == MacAddr::ZERO {
            return Err(DropReason::BadArp);
        }
        if self.is_own(side, arp.sender) || self.routes.is_own(arp.sender) {
            // Our own, seen again, is harmless.
            let ours = arp.sender_mac == own;
            return if ours {
                Ok(Verdict::Consumed(Consumed::Arp))
            } else {
                Err(DropReason::ArpSpoof)
            };
        }
        // 0.0.0.0 is a probe (RFC 5227): it is answered and teaches nothing.
        let probe = arp.sender == Ipv4Addr::UNSPECIFIED && arp.operation == Operation::Request;
        if !probe && !self.routes.is_neighbour(side, arp.sender) {
            return Err(DropReason::BadArp);
        }
        let asked = arp.operation == Operation::Request && self.is_own(side, arp.target);
        if !probe {
            let told = (arp.sender, arp.sender_mac, node);
            let claim = self.link_mut(side).neighbours.confirm(told, asked, now);
            self.note_moves(side);
            match claim {
                Claim::Believed(waiting) => {
                    self.release((side, node), arp.sender_mac, waiting, out);
                }
                Claim::Contested(None) => {}
                Claim::Contested(Some(known)) => self.ask(side, arp.sender, Some(known), out),
            }
        }
        if asked && !self.is_shared(side) && !self.is_hosted(side) {
            let reply = Arp {
                operation: Operation::Reply,
                sender_mac: own,
                sender: arp.target,
                target_mac: arp.sender_mac,
                target: arp.sender,
            };
            self.send_arp(side, arp.sender_mac, &reply, out);
        }
        Ok(Verdict::Consumed(Consumed::Arp))
    }

    /// Asks for a neighbour: everybody, or the one that had the address last.
    pub(crate) fn ask(
        &mut self,
        side: Side,
        target: Ipv4Addr,
        last: Option<MacAddr>,
        out: &mut dyn Output,
    ) {
        let Some(sender) = self.address(side, target) else { return };
        let last = last.filter(|_| !self.link(side).neighbours.is_far(target));
        let question = Arp {
            operation: Operation::Request,
            sender_mac: self.mac(side),
            sender,
            target_mac: MacAddr::ZERO,
            target,
        };
        self.send_arp(side, last.unwrap_or(MacAddr::BROADCAST), &question, out);
    }

    fn send_arp(&mut self, side: Side, to: MacAddr, arp: &Arp, out: &mut dyn Output) {
        let mut frame = [0; FRAME_LEN];
        rewrite::link(&mut frame, to, self.mac(side));
        frame[12..14].copy_from_slice(&ethertype::ARP.to_be_bytes());
        frame[14..14 + wire::arp::LEN].copy_from_slice(&arp.to_bytes());
        self.send(out, side, VnetHeader::default(), &frame);
    }

    /// Sends what has waited for a neighbour, and for the node it turned out to be at.
    fn release(
        &mut self,
        (side, node): (Side, Node),
        mac: MacAddr,
        waiting: Vec<Waiting>,
        out: &mut dyn Output,
    ) {
        for Waiting { vnet, mut frame, to, .. } in waiting {
            if to.may_be(node) {
                self.transmit(side, mac, vnet, &mut frame, out);
            } else {
                self.counters.waited_in_vain += 1;
            }
        }
    }
}

impl Gateway {
    /// Asks again for neighbours, and gives up on those that do not answer; says when to come again.
    pub(crate) fn tick_neighbours(
        &mut self,
        out: &mut dyn Output,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let mut next = None;
        for side in self.links.sides() {
            while let Some(due) = self.links.link_mut(side).neighbours.tick(now) {
                match due {
                    Due::Ask(address) => self.links.ask(side, address, None, out),
                    Due::Confirm(address, mac) => self.links.ask(side, address, Some(mac), out),
                    Due::Failed(waiting) => {
                        for mut waiting in waiting {
                            self.links.counters.waited_in_vain += 1;
                            let from = (side, waiting.from);
                            self.report_unreachable(from, &mut waiting.frame, out, now);
                        }
                    }
                }
            }
            self.links.note_moves(side);
            let due = self.links.link(side).neighbours.next();
            next = [next, due].into_iter().flatten().min();
        }
        next
    }
}
