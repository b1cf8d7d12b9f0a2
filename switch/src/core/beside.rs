//! Whoever forwards by copies of the table's rows: asked and told by [`super::Fdb`], so that no copy
//! outlives its row, and no row ages while its copy is in use.
//!
//! Without one nothing is asked: a test of an option, and that for addresses alone that are not
//! known.

use wire::{MacAddr, Timestamp};

use super::fdb::Fdb;
use super::port::PortId;

/// What a change is about: other frames go where they went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// Frames from an address or to it.
    Address(MacAddr),
    /// Frames that come in or leave by a port.
    Port(PortId),
    /// Whatever there is.
    All,
}

/// Forwards by copies of rows.
pub trait Beside: Send + Sync {
    /// A row has changed or gone: no copy made before holds. Called with the table's lock held.
    fn changed(&self);
    /// Somebody outside the workers has changed rows, and goes on when no frame of those concerned is
    /// under way any more that goes by a copy of how they were.
    fn settle(&self, concern: Concern);
    /// Rows are about to be asked how old they are: says which were used ([`Fdb::touch`]).
    fn catch_up(&self, table: &Fdb, now: Timestamp);
}
