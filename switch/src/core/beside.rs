//! Whoever forwards by copies of the table's rows: asked and told by [`super::Fdb`], so that no copy
//! outlives its row, and no row ages while its copy is in use.
//!
//! Without one nothing is asked: a test of an option, and that for addresses alone that are not
//! known.

use wire::Timestamp;

use super::fdb::Fdb;

/// Forwards by copies of rows.
pub trait Beside: Send + Sync {
    /// A row has changed or gone: no copy made before holds. Called with the table's lock held.
    fn changed(&self);
    /// Somebody outside the workers has changed rows, and goes on when no frame is under way any
    /// more that goes by a copy of how they were.
    fn settle(&self);
    /// Rows are about to be asked how old they are: says which were used ([`Fdb::touch`]).
    fn catch_up(&self, table: &Fdb, now: Timestamp);
}
