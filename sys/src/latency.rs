//! How long idle cores may take to wake: a request to the kernel's power management quality of
//! service (`/dev/cpu_dma_latency`, Documentation/power/pm_qos_interface.rst).
//!
//! It holds for the whole machine while the value lives, and is gone with the process however that
//! ends. Only root may open the file.

use std::fs::File;
use std::io::{self, Write};

/// `PM_QOS_CPU_LATENCY_DEFAULT_VALUE` of `linux/pm_qos.h`: no request at all.
const ANY: i32 = 2_000_000_000;

/// The request.
#[derive(Debug)]
pub struct CpuLatency(File);

impl CpuLatency {
    /// A request that asks for nothing yet.
    ///
    /// # Errors
    /// EACCES for an ordinary user, ENOENT where the kernel has no such file.
    pub fn open() -> io::Result<Self> {
        let request = Self(File::options().write(true).open("/dev/cpu_dma_latency")?);
        request.ask(false)?;
        Ok(request)
    }

    /// Asks that idle cores be awake at once (0 us: they poll instead of halting), or no longer.
    ///
    /// # Errors
    /// What the kernel says to the write.
    pub fn ask(&self, at_once: bool) -> io::Result<()> {
        (&self.0).write_all(&(if at_once { 0 } else { ANY }).to_ne_bytes())
    }
}
