//! Memory of a forwarder's processes: resident in all, and the packet rings among it (memory that
//! is mapped from a socket, as AF_PACKET rings are).

/// Bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    pub resident: u64,
    pub rings: u64,
}

/// The sum over these processes; a process that has gone counts nothing.
pub fn of_processes(pids: &[u32]) -> Memory {
    let mut sum = Memory::default();
    for pid in pids {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        sum.resident += status.lines().find_map(|l| kilobytes(l, "VmRSS:")).unwrap_or(0);
        let maps = std::fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap_or_default();
        let mut ring = false;
        for line in maps.lines() {
            if let Some(size) = kilobytes(line, "Size:") {
                sum.rings += if ring { size } else { 0 };
            } else if line.contains(':') && line.contains('-') && line.contains(' ') {
                ring = line.contains("socket:[");
            }
        }
    }
    sum
}

fn kilobytes(line: &str, field: &str) -> Option<u64> {
    let value = line.strip_prefix(field)?.trim().strip_suffix("kB")?;
    value.trim().parse::<u64>().ok().map(|k| k * 1024)
}
