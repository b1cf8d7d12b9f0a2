//! A whole lab: a topology turned into namespaces, a switch and a gateway; started, watched,
//! changed while it runs, undone.
//!
//! A program or a test that wants a lab begins at [`Lab::builder`].
//!
//! ```text
//!   LabConfig ─► blueprint ─► ns::apply ─► switch + Station(gateway) ─► check (pings)
//!                     (pure)               │ journal: each name before it exists
//!                                          └─► clean: what a crash left, by the journal
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`address`] | which node gets which address: pure |
//! | [`allows`] | what this machine allows, by trying it |
//! | [`blueprint`] | a lab to be as a plan: pure |
//! | [`domain`] | a network as the switch and the gateway hold it |
//! | [`network`] | networks that come and go while it runs |
//! | `mtu` | a network's MTU, changed while it runs |
//! | `relocate` | ports moved from network to network |
//! | `node` | a node and its interfaces, planned and running |
//! | `present` | a node's interfaces as its kernel has them now |
//! | [`cable`] | a node's cables, pulled and plugged in again |
//! | [`called`] | how the program was started, for hints |
//! | [`config`] | what a lab is asked to be |
//! | [`names`] | what a lab or a node may be called: pure |
//! | [`ground`] | the run directory, and with which privilege |
//! | [`steps`] | set-up as the lines of shell that would do the same: pure |
//! | `known` | who has which address, for other processes |
//! | [`journal`] | what exists, written before it does |
//! | [`fast`] | whether the kernel repeats what the switch decides, and why not |
//! | `folder` | a directory of ours: the only way to what is in it |
//! | [`lock`] | one lab of a name, and what holds it |
//! | `beacon` | a witness outside the file system: whose process listens |
//! | [`holder`] | the process that holds a lab, by a pidfd |
//! | [`lab`] | the running lab |
//! | [`library`] | labs for other programs and their tests |
//! | [`entries`] | what its tables hold from the start |
//! | `naming` | the names of its nodes, for the resolver and in the files that nodes see |
//! | [`resolver`] | who answers at port 53 of the gateway, in its station |
//! | `upstream` | asking the host's resolvers for the names of others |
//! | `progress` | what is told while it is built |
//! | [`change`] | nodes that come while it runs |
//! | `leave` | … and that go |
//! | [`port`] | a port's settings, as asked for and as the switch takes them |
//! | [`station`] | the gateway as the switch's station |
//! | [`links`] | links that go down or away |
//! | [`joint`] | links between networks, as cables between switches |
//! | [`tunnel`] | tunnels to other hosts |
//! | [`uplink`] | a real interface of the host, shared with it |
//! | [`guest`] | containers of an engine, in networks of the lab |
//! | `furnished` | their interfaces, seen from inside |
//! | [`host_port`] | the host's own place in a network |
//! | [`served`] | what a lab that serves engines has beside others |
//! | `rename` | networks and guests that get another name |
//! | [`hosts`] | the other hosts of a network, by a registry that all of them ask |
//! | `home` | the namespace of a node: ours or somebody else's |
//! | [`check`] | the pings that show it works |
//! | [`clean`] | `down`, and what is left after a crash |
//! | [`join`] | a node's namespace, for other processes |
//! | [`places`] | who has which address there, for other processes |
//! | `others` | labs of other users |
//! | [`reach`] | who ought to reach whom, for other processes |
//! | `round` | the veth pair by which the switch shows that frames pass |

pub mod address;
pub mod allows;
mod beacon;
pub mod blueprint;
pub mod cable;
pub mod called;
pub mod change;
pub mod check;
pub mod clean;
pub mod config;
pub mod domain;
pub mod entries;
mod error;
pub mod fast;
mod folder;
mod furnished;
pub mod ground;
pub mod guest;
pub mod holder;
mod home;
pub mod host_port;
pub mod hosts;
pub mod join;
pub mod joint;
pub mod journal;
mod known;
pub mod lab;
mod leave;
pub mod led;
pub mod library;
mod links;
pub mod lock;
mod mtu;
mod naming;
pub mod neighbours;
pub mod network;
mod node;
mod others;
pub mod places;
mod plug;
pub mod port;
mod present;
mod progress;
pub mod reach;
mod relocate;
mod rename;
mod repeated;
pub mod resolver;
mod round;
pub mod served;
pub mod station;
pub mod steps;
pub mod tunnel;
pub mod uplink;
mod upstream;
mod watch;

pub use ::topology;
pub use ::topology::names;
pub use config::{LabConfig, LabName, Topology, Uplink};
pub use error::{Error, Result};
pub use fast::FastPath;
pub use ground::Ground;
pub use lab::Lab;
pub use library::{Builder, Inside, LabGuard, Ran, ready};
pub use mtu::Resized;
pub use naming::listed::{Named, Whose};
pub use node::{Interface, Node, Plug};
pub use present::Present;
pub use progress::Progress;
pub use station::GatewayStation;
pub use switch::Watch;
pub use uplink::PortBlock;
