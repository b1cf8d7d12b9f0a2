//! All counters of one moment: each worker adds its own up between two batches, when no frame of it
//! is half counted, and what the kernel has done is added under the book's lock. So what ports have
//! received is what the whole has, whoever polls, whatever passes.
//!
//! A worker that does not answer is read as it stands, as by [`Switch::counters`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::bounded;

use super::command::{Command, Look};
use super::config::Error;
use super::ports::{Port, PortInfo};
use super::switch::Switch;
use super::sync::PATIENCE;
use crate::core::PortId;
use crate::stats::{Counters, PortCells, PortStats, WorkerCells};

/// What the switch counts, and what of it came and went by each port, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// The whole. Ports that have been unplugged are in it.
    pub counters: Counters,
    /// The ports, by number.
    pub ports: Vec<PortInfo>,
}

/// The sums, ports in the order of their numbers.
struct Sums {
    counters: Counters,
    ports: Vec<PortStats>,
}

impl Sums {
    fn new(ports: usize) -> Self {
        Self { counters: Counters::default(), ports: vec![PortStats::default(); ports] }
    }

    fn add<'a>(&mut self, cells: &WorkerCells, ports: impl Iterator<Item = &'a Arc<PortCells>>) {
        self.counters.add(cells);
        self.ports.iter_mut().zip(ports).for_each(|(sum, cells)| sum.add(cells));
    }
}

impl Switch {
    /// All counters, of one moment.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let ports = self.lock();
        let mut sums = self.between(&ports).unwrap_or_else(|_| {
            let mut sums = Sums::new(ports.len());
            for (number, worker) in self.workers.iter().enumerate() {
                sums.add(&worker.cells, ports.values().map(|port| &port.cells[number]));
            }
            sums
        });
        // The kernel's come last at each port.
        let beside = ports.values().filter_map(|port| port.cells.get(self.workers.len()));
        self.look_beside(|cells| sums.add(cells, beside));
        let row = |((id, port), stats): ((&PortId, &Port), PortStats)| PortInfo {
            id: *id,
            spec: port.spec.clone(),
            up: port.up,
            stats,
        };
        let rows = ports.iter().zip(sums.ports).map(row).collect();
        Tally { counters: sums.counters, ports: rows }
    }

    /// What the workers have counted. The caller holds the ports' lock, so none comes or goes.
    fn between(&self, ports: &BTreeMap<PortId, Port>) -> Result<Sums, Error> {
        let sums = Arc::new(Mutex::new(Sums::new(ports.len())));
        let (done, all) = bounded::<Look>(self.workers.len());
        for (number, worker) in self.workers.iter().enumerate() {
            let cells: Vec<_> =
                ports.values().map(|port| Arc::clone(&port.cells[number])).collect();
            let (own, sums) = (Arc::clone(&worker.cells), Arc::clone(&sums));
            let look = Box::new(move || {
                sums.lock().unwrap_or_else(PoisonError::into_inner).add(&own, cells.iter());
            });
            worker.tell(Command::Between(look, done.clone()))?;
        }
        drop(done);
        for _ in &self.workers {
            drop(all.recv_timeout(PATIENCE).map_err(|_| Error::Dead)?);
        }
        let mut sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::replace(&mut sums, Sums::new(0)))
    }
}
