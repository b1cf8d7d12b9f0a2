//! CPU time: of the whole machine, softirqs and kernel threads included (/proc/stat, in ticks of
//! 10 ms), and of the forwarder's own threads (schedstat, in nanoseconds).

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// Ticks a second of /proc/stat; fixed by the kernel's ABI on Linux.
const TICKS: f64 = 100.0;

/// A measurement of the whole machine under way.
pub struct Window {
    start: Instant,
    busy: f64,
}

/// A measurement done.
pub struct Measured {
    pub seconds: f64,
    /// CPU seconds spent by all cores on anything but idling.
    pub busy_seconds: f64,
}

impl Window {
    pub fn start() -> Result<Self> {
        Ok(Self { start: Instant::now(), busy: machine_busy()? })
    }

    pub fn end(self) -> Result<Measured> {
        Ok(Measured {
            seconds: self.start.elapsed().as_secs_f64(),
            busy_seconds: machine_busy()? - self.busy,
        })
    }

    /// Sleeps for the window and says what was spent meanwhile.
    pub fn measure(window: Duration) -> Result<Measured> {
        let started = Self::start()?;
        std::thread::sleep(window);
        started.end()
    }
}

/// user + nice + system + irq + softirq of all cores since boot, in seconds.
fn machine_busy() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/stat").context("/proc/stat")?;
    let line = text.lines().next().context("/proc/stat is empty")?;
    let fields: Vec<f64> = line.split_whitespace().skip(1).map_while(|f| f.parse().ok()).collect();
    let busy: f64 = [0, 1, 2, 5, 6].iter().filter_map(|&i| fields.get(i)).sum();
    Ok(busy / TICKS)
}

/// Seconds that the threads of these processes have run, and how often they were woken.
pub fn of_processes(pids: &[u32]) -> (f64, u64) {
    let (mut seconds, mut wakes) = (0.0, 0);
    for pid in pids {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for thread in threads.flatten() {
            let read = |name: &str| std::fs::read_to_string(thread.path().join(name));
            let stat = read("schedstat").unwrap_or_default();
            let nanos = stat.split_whitespace().next().and_then(|f| f.parse::<f64>().ok());
            seconds += nanos.unwrap_or(0.0) / 1e9;
            wakes += read("status").unwrap_or_default().lines().fold(0, |sum, line| {
                let count = line.strip_prefix("voluntary_ctxt_switches:");
                sum + count.and_then(|c| c.trim().parse::<u64>().ok()).unwrap_or(0)
            });
        }
    }
    (seconds, wakes)
}

/// Waits (at most `patience`) until the machine is quiet: what the last forwarder left to the
/// kernel to clean up is not counted to the next.
pub fn settle(patience: Duration) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < patience {
        let slice = Window::measure(Duration::from_millis(100))?;
        if slice.busy_seconds <= 0.01 {
            break;
        }
    }
    Ok(())
}
