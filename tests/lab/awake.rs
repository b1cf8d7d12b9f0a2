//! While frames flow, root's lab asks the kernel to keep idle cores awake, unless told not to.

use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::lab;
use crate::support::{Process, beyond, captured};

const REQUEST: &str = "/dev/cpu_dma_latency";

fn holds_a_request(lab: &Process) -> bool {
    let held = std::fs::read_dir(format!("/proc/{}/fd", lab.pid())).unwrap();
    held.flatten().any(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to == Path::new(REQUEST)))
}

/// What the kernel makes of all requests together: microseconds.
fn allowed() -> i32 {
    let mut value = [0; 4];
    std::fs::File::open(REQUEST).unwrap().read_exact(&mut value).unwrap();
    i32::from_ne_bytes(value)
}

#[test]
fn idle_cores_stay_awake_while_frames_flow() {
    captured(|sandbox| {
        if !Path::new(REQUEST).exists() {
            return beyond(format!("this kernel has no {REQUEST}"));
        }
        let run = lab(sandbox, &["run", "--uplink", "none"]);
        assert!(holds_a_request(&run));
        let ping = ["ping", "-i", "0.01", "-c", "3000", "-q", "net1", "10.100.0.20"];
        let _flow = sandbox.start(&ping);
        let deadline = Instant::now() + Duration::from_secs(20);
        while allowed() != 0 {
            assert!(Instant::now() < deadline, "frames flow, and cores may halt: {} us", allowed());
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    captured(|sandbox| {
        let run = lab(sandbox, &["run", "--uplink", "none", "--power-save"]);
        assert!(!holds_a_request(&run));
    });
}
