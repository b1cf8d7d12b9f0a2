//! The threads on which calls into the lab run: started with the server, so that a moment in which
//! no thread can be had takes nothing from it.
//!
//! As many calls as there are threads are under way; the next waits for a place. A call that panics
//! loses its own answer and nothing else: its place comes back, its thread goes on.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

type Job = Box<dyn FnOnce() + Send>;

/// The threads. They end once this is dropped and what they do is done.
pub struct Calls {
    queue: Sender<Job>,
    threads: usize,
    places: Arc<Semaphore>,
}

/// A call without an answer: it panicked.
#[derive(Clone, Copy, Debug)]
pub struct Lost;

impl Calls {
    /// Starts `threads` threads called `name`.
    ///
    /// # Errors
    /// Where no more threads are to be had.
    pub fn start(name: &str, threads: usize) -> io::Result<Self> {
        let (queue, jobs) = channel();
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..threads {
            let jobs = Arc::clone(&jobs);
            std::thread::Builder::new().name(name.into()).spawn(move || work(&jobs))?;
        }
        Ok(Self { queue, threads, places: Arc::new(Semaphore::new(threads)) })
    }

    /// Runs `call` once there is a place for it. The place goes with the call: one that hangs keeps
    /// it, whether or not somebody still waits for the answer.
    ///
    /// # Errors
    /// [`Lost`] where the call panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Lost> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| Lost)?;
        let (tell, told) = oneshot::channel();
        let job = move || {
            let _place = place;
            // Whoever asked may have given up.
            let _ = tell.send(call());
        };
        self.queue.send(Box::new(job)).map_err(|_| Lost)?;
        told.await.map_err(|_| Lost)
    }

    /// Waits until no call is under way, for so long at most.
    pub async fn rest(&self, patience: Duration) {
        let all = u32::try_from(self.threads).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(patience, self.places.acquire_many(all)).await;
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // The panic has been told by its hook; the answer's channel is closed by it.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

#[cfg(test)]
#[tokio::test]
async fn a_panic_costs_its_own_answer_alone() {
    let calls = Calls::start("test", 1).unwrap();
    for _ in 0..3 {
        assert!(calls.run(|| -> u32 { panic!("wanted") }).await.is_err());
    }
    assert_eq!(calls.run(|| 7).await.unwrap(), 7);
    calls.rest(Duration::from_secs(5)).await;
    assert_eq!(calls.places.available_permits(), 1);
}
