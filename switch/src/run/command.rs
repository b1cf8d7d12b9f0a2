//! What the handle tells a worker, through a bounded channel; obeyed between two batches.

use std::sync::Arc;

use crossbeam_channel::Sender;
use sys::packet::PacketIo;

use super::link::Link;
use super::ports::{Plugged, PortRole};
use super::round::Round;
use crate::core::{Neighbours, NetworkConfig, NetworkId, PortId, PortState, Snoop};
use crate::tap::Tap;

/// What the handle tells a worker.
pub(super) enum Command<L: Link = PacketIo> {
    Set {
        id: PortId,
        role: PortRole,
        state: PortState,
        port: Plugged,
        /// The rings of an uplink in another namespace.
        link: Option<Box<L>>,
    },
    State {
        id: PortId,
        state: PortState,
    },
    Network {
        id: NetworkId,
        /// None ends it.
        config: Option<NetworkConfig>,
        /// Its groups, where it snoops: those of all workers.
        groups: Option<Arc<Snoop>>,
    },
    Remove {
        id: PortId,
    },
    Tap(Option<Arc<dyn Tap>>),
    /// From now on frames may go round.
    Round(Arc<Round>),
    /// Another ring in the place of one that has stopped; none where none could be had.
    Ring {
        uplink: bool,
        spare: Option<Box<L::Spare>>,
    },
    /// Who is known in a network, to answer for.
    Neighbours {
        id: NetworkId,
        known: Neighbours,
    },
    /// Tell the station that time has passed.
    Tick,
    /// Look at what it counts, between two batches: nothing is half counted then. It changes nothing,
    /// and decisions made before hold. It is given back: a worker frees no memory of others, for which
    /// the C library may make calls that are not for it.
    Between(Look, Sender<Look>),
    /// Answer when all before this has been done.
    Sync(Sender<()>),
    Stop,
}

/// What is done between two batches.
pub(super) type Look = Box<dyn FnMut() + Send>;
