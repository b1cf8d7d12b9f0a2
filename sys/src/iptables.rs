//! A table of iptables as the kernel has it where iptables does without nftables
//! (`IPT_SO_GET_ENTRIES`, `linux/netfilter_ipv4/ip_tables.h`): read as bytes, never changed.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::netns::operation;

const GET_INFO: libc::c_int = 64;
const GET_ENTRIES: libc::c_int = 65;
/// Bytes of a table's name in a request.
const NAME: usize = 32;
/// `struct ipt_getinfo`
const INFO: usize = NAME + 4 + 20 + 20 + 4 + 4;
/// `struct ipt_get_entries` before its entries.
const BEFORE: usize = NAME + 8;
/// No table is larger: some million rules.
const LARGEST: usize = 1 << 28;

/// A table's entries.
#[derive(Debug)]
pub struct Entries {
    /// One `struct ipt_entry` behind the other.
    pub bytes: Vec<u8>,
    /// Where those begin that packets meet as they come in, where the table has such.
    pub incoming: Option<usize>,
}

/// The entries of a table of the calling thread's namespace. Asking for a table that is not there
/// makes it: ask for what `/proc/net/ip_tables_names` lists.
///
/// # Errors
/// EPERM without CAP_NET_ADMIN and CAP_NET_RAW; EAGAIN where the table is changed meanwhile.
pub fn entries(table: &str) -> io::Result<Entries> {
    let what = |error| operation("reading a table of iptables", error);
    // SAFETY: no pointers; the result is checked.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 255) };
    if fd < 0 {
        return Err(what(io::Error::last_os_error()));
    }
    // SAFETY: the kernel gave us this descriptor just now.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut info = vec![0; INFO];
    named(&mut info, table);
    ask(&socket, GET_INFO, &mut info).map_err(what)?;
    let word = |at: usize| u32::from_ne_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]]);
    let size = (word(INFO - 4) as usize).min(LARGEST);
    let mut all = vec![0; BEFORE + size];
    named(&mut all, table);
    all[NAME..NAME + 4].copy_from_slice(&word(INFO - 4).to_ne_bytes());
    ask(&socket, GET_ENTRIES, &mut all).map_err(what)?;
    // `NF_INET_PRE_ROUTING` is the first hook.
    let incoming = (word(NAME) & 1 != 0).then(|| word(NAME + 4) as usize);
    Ok(Entries { bytes: all.split_off(BEFORE), incoming })
}

fn named(request: &mut [u8], table: &str) {
    let bytes = &table.as_bytes()[..table.len().min(NAME - 1)];
    request[..bytes.len()].copy_from_slice(bytes);
}

fn ask(socket: &OwnedFd, option: libc::c_int, request: &mut [u8]) -> io::Result<()> {
    let mut length = libc::socklen_t::try_from(request.len()).unwrap_or(0);
    // SAFETY: the kernel reads and writes at most `length` bytes of the request, which outlives the
    // call, and that number.
    let rc = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_IP,
            option,
            request.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
