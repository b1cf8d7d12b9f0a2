//! How a switch is made, what can go wrong with it, and what it tells of.
//!
//! Plain values of the handle in `switch.rs`; events leave through a bounded channel and are lost,
//! counted, where nobody fetches them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use wire::{MacAddr, VlanId};

use super::fast::FastPath;
use crate::core::{FdbConfig, NetworkConfig, NetworkId, PortId};

/// How a switch is made.
#[derive(Clone, Debug)]
pub struct Config {
    /// Threads that forward; the kernel spreads flows over them by hash.
    pub workers: usize,
    /// With one worker: others take part while all together forward more, where the kernel lets us
    /// (BPF, more than one core). Each then takes the frames that arise on its cores.
    pub spread: bool,
    /// Slots of each worker's ring (2 KiB each; longer frames wait beside it).
    pub slots: usize,
    /// How long a worker looks for the next frame before it sleeps.
    pub spin: Duration,
    /// Keeps idle cores from halting while frames flow, where the kernel lets us (root).
    pub wakeful: bool,
    /// Has the kernel repeat what is decided; for a switch of one worker in the namespace it was
    /// loaded for.
    pub fast: Option<Arc<FastPath>>,
    /// Sends frames whole that a packet socket cannot be told of, where the kernel lets us (BPF): what
    /// is sent by the loopback of the switch's namespace is finished there.
    pub finish: bool,
    /// The table.
    pub fdb: FdbConfig,
    /// The first network; where there is a station, `local` is its address.
    pub network: NetworkConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: 1,
            spread: false,
            slots: 4096,
            spin: Duration::from_micros(50),
            wakeful: true,
            fast: None,
            finish: false,
            fdb: FdbConfig::default(),
            network: NetworkConfig::default(),
        }
    }
}

/// What can go wrong with a running switch.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The packet sockets could not be opened.
    #[error("the switch cannot open its packet sockets")]
    Open(#[source] io::Error),
    /// A thread could not be started.
    #[error("the switch cannot start a worker")]
    Thread(#[source] io::Error),
    /// There is no more room for ports.
    #[error("the switch has all the {} ports it can have", PortId::MAX)]
    NoRoom,
    /// The interface is plugged in already, or would be a second uplink.
    #[error("interface {0} is a port of the switch already, or the uplink's place is taken")]
    Taken(String),
    /// Only an uplink may lie in another namespace.
    #[error("interface {0} must be moved into the switch's namespace to be one of its ports")]
    Elsewhere(String),
    /// No such network.
    #[error("the switch has no network number {}", .0.0)]
    NoNetwork(NetworkId),
    /// There is no more room for networks.
    #[error("the switch has all the {} networks it can have", NetworkId::MAX)]
    NoRoomForNetworks,
    /// There are no more filtering identifiers.
    #[error(
        "there is no room for more VLANs: the switch tells 65,279 apart, those of all networks together"
    )]
    NoRoomForVlans,
    /// It still has ports.
    #[error("network number {} of the switch still has ports", .0.0)]
    Busy(NetworkId),
    /// No such port.
    #[error("the switch has no port number {}", .0.0)]
    NoPort(PortId),
    /// Frames that should go round do not.
    #[error("no frame passes the switch")]
    Still,
    /// A worker is gone: it panicked.
    #[error("a worker of the switch has died")]
    Dead,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An address was seen for the first time.
    Learned {
        /// The address.
        mac: MacAddr,
        /// Its VLAN.
        vlan: VlanId,
        /// Where.
        port: PortId,
    },
    /// An address was seen at another port than before.
    Moved {
        /// The address.
        mac: MacAddr,
        /// Its VLAN.
        vlan: VlanId,
        /// Where it was.
        from: PortId,
        /// Where it is.
        to: PortId,
    },
    /// So many addresses were forgotten because nothing was heard of them.
    Aged(usize),
    /// A port was plugged in.
    Added {
        /// Which.
        port: PortId,
        /// Its name: the number may be another port's by the time this is read.
        name: Box<str>,
    },
    /// A port was unplugged.
    Removed {
        /// Which.
        port: PortId,
        /// Its name.
        name: Box<str>,
    },
    /// A port's link changed.
    Link {
        /// Which.
        port: PortId,
        /// Up or down.
        up: bool,
    },
    /// A loop was seen.
    Loop {
        /// The address that moved to and fro; None where a probe came back.
        mac: Option<MacAddr>,
        /// Its VLAN.
        vlan: VlanId,
        /// The ports it joins.
        ports: [PortId; 2],
        /// The one that was shut because of it.
        shut: Option<PortId>,
    },
    /// A ring had stopped and was opened anew.
    Renewed {
        /// The ring of an uplink in another namespace; else that of the switch's own ports.
        uplink: bool,
        /// Frames the kernel dropped meanwhile.
        lost: u64,
    },
}
