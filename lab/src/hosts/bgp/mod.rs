//! Hosts that BGP tells of: EVPN (RFC 7432, 8365), by the GoBGP that runs beside this one.
//!
//! | file | what |
//! |---|---|
//! | `agent` | the thread that hears routes, sets rows, and says what our nodes have |
//! | `known` | what is known, and what the speaker is to know |
//! | `tell` | what the lab tells of it |
//!
//! Nobody is asked for anything, so there are no claims: whoever says that it has an address has it, by the
//! number it says it with. What follows from routes is decided in `overlay::evpn`.

mod agent;
mod known;
mod tell;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ::topology::join;
use evpn::Failed;
use overlay::Space;
use overlay::evpn::{Site, Target};
use tokio::sync::mpsc;

use self::agent::{Agent, Line, admit};
use self::known::Known;
use super::device::Device;
use super::enter::{runtime, tunnel_of};
use super::named::towards;
use super::{End, Join, Kind, Shared};
use crate::error::{Error, Result};
use crate::lab::Lab;
use crate::station;
use crate::tunnel::Tunnel;

impl Lab {
    /// Joins a network of this lab to those of hosts that BGP tells of; where it is in one again, as
    /// number `vni` before, whether gobgpd answers is seen later.
    ///
    /// # Errors
    /// [`Error::Usage`] for what makes no sense; [`Error::Claimed`] where another host's node has an
    /// address of one of ours; [`Error::Speaker`] where gobgpd does not answer; what [`Lab::add_tunnel`]
    /// fails by. Nothing is joined then.
    pub(super) fn reach_bgp(
        self: &Arc<Self>,
        bgp: &join::Bgp,
        network: Option<&str>,
        end: &End,
        anew: bool,
    ) -> Result<Tunnel> {
        let (ask, vtep) = asked(bgp, network, end)?;
        let space = Space::of(&ask.name).map_err(Error::Usage)?;
        let (network, _) = self.network(ask.network.as_deref())?;
        self.check_other(&network, bgp.vni)?;
        // Before anything is said of us: what the tunnel would be refused for.
        match anew {
            true => self.check_fits(Some(&network), ask.vtep)?,
            false => drop(self.check_end(ask.vtep)?),
        }
        let runtime = runtime()?;
        let gateway = self.with_spec(|spec| station::mac_in(spec, &network));
        let site = Site::usual(bgp.vni, vtep, 0);
        let site = match bgp.target {
            Some(join::bgp::Target { asn, number }) => {
                Site { target: Target { asn, number }, exact: true, ..site }
            }
            None => site,
        };
        let shared = self.shared(&ask, (space, bgp.vni, network));
        *shared.wanted() = self.claims_of(&shared);
        let mut known = Known::new(site, gateway);
        let line = match runtime.block_on(Line::open(bgp.speaker)) {
            Ok((line, global, all)) => {
                admit(&shared, &mut known, &global, all);
                Ok(line)
            }
            Err(failed) if anew => {
                let why = match &failed {
                    Failed::Silent(..) => format!(
                        "gobgpd does not answer ({failed}): look whether it runs, and takes gRPC there \
                         (`gobgpd --api-hosts`)"
                    ),
                    _ => failed.to_string(),
                };
                return Err(Error::Speaker { network: ask.name, why });
            }
            Err(failed) => Err(failed),
        };
        if anew {
            check_free(&shared, &known)?;
        }
        if line.is_err() {
            known.table.left(self.rows_left(&shared).all().iter().copied());
        }
        let tunnel = self.plug_in_tunnel(&tunnel_of(&shared), anew)?;
        self.follow_bgp((runtime, shared, known), line, tunnel)
    }

    /// Has a thread keep this host in the network from now on.
    fn follow_bgp(
        self: &Arc<Self>,
        (runtime, shared, known): (tokio::runtime::Runtime, Shared, Known),
        line: std::result::Result<Line, Failed>,
        tunnel: Tunnel,
    ) -> Result<Tunnel> {
        let shared = Arc::new(shared);
        let (words, told) = mpsc::channel(16);
        let device = Device::new(self, &tunnel)?;
        let of = (Arc::clone(&shared), Arc::downgrade(self));
        let mut agent = Agent::new(of, (known, line), device);
        // The hosts there are, before anybody looks; and what our nodes have is said.
        runtime.block_on(agent.settle());
        self.keep_joined(shared, words, tunnel, move || runtime.block_on(agent.run(told)))
    }

    /// Refuses a network here that is in one of several hosts, and one whose routes would be taken for
    /// those of another here.
    fn check_other(&self, network: &str, vni: u32) -> Result<()> {
        let state = self.state();
        for joined in &state.joined {
            let (own, join) = (joined.shared.network(), &joined.shared.join);
            if own == network {
                return Err(Error::Usage(format!(
                    "network {network} is in a network of several hosts already: {}",
                    join.name
                )));
            }
            let other = joined.shared.vni;
            if join.kind == Kind::Bgp && other & 0xffff == vni & 0xffff {
                return Err(Error::Usage(format!(
                    "VNI {vni} and network {own}'s, {other}, are one to BGP, which tells networks of a \
                     host apart by 16 bits: choose another"
                )));
            }
        }
        Ok(())
    }
}

/// Refuses where another host's node has an IP address of one of ours.
fn check_free(shared: &Shared, known: &Known) -> Result<()> {
    let all = tell::remotes(known);
    let wanted = shared.wanted().clone();
    wanted.values().try_for_each(|claim| shared.check_free(claim, &all))
}

fn asked(bgp: &join::Bgp, network: Option<&str>, end: &End) -> Result<(Join, Ipv4Addr)> {
    if end.host.is_some() {
        let line = "--host-name is for etcd: by BGP a host is called as its end of the tunnel";
        return Err(Error::Usage(line.into()));
    }
    let vtep = match end.vtep {
        Some(vtep) => vtep,
        None if bgp.speaker.ip().is_loopback() => {
            let line =
                "gobgpd is on this host: say with --vtep ADDR by which address the others reach it";
            return Err(Error::Usage(line.into()));
        }
        None => towards(bgp.speaker.ip())?,
    };
    let IpAddr::V4(own) = vtep else {
        return Err(Error::Usage(format!(
            "{vtep}: routes of EVPN are told of ends of IPv4 alone here: say one with --vtep"
        )));
    };
    let join = Join {
        kind: Kind::Bgp,
        members: vec![bgp.speaker],
        access: Arc::default(),
        name: bgp.name.clone(),
        vni: Some(bgp.vni),
        port: bgp.port,
        network: network.map(str::to_owned),
        vtep,
        host: vtep.to_string(),
    };
    Ok((join, own))
}
