//! Long TCP segments to somebody who need not listen.
//!
//! A socket that is put into the established state by hand (tcp(7), `TCP_REPAIR`: what checkpoints of
//! processes are restored with) sends as any other does: the kernel makes the segments, their checksums
//! and their GSO frames. The other end knows of no such connection and answers what arrives whole with a
//! reset (RFC 9293, 3.10.7.1); segments whose checksum is wrong are dropped unanswered.

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Protocol, Socket, Type};

/// linux/tcp.h, which the C library's headers lack in part.
const TCP_REPAIR_WINDOW: libc::c_int = 29;
const REPAIR_ON: libc::c_int = 1;
/// Ends the repair without a probe of the window, which would be a short segment.
const REPAIR_OFF_NO_WP: libc::c_int = -1;
const RECV_QUEUE: libc::c_int = 1;
const SEND_QUEUE: libc::c_int = 2;
const TCPOPT_MAXSEG: u32 = 2;
/// What the other end would have said that it takes, in bytes.
const WINDOW: u32 = 65_535;

/// Sends `bytes` in segments of at most `mss` bytes of payload, as the kernel groups them, and waits for
/// the reset. True where it came before anything was sent again; false where `patience` ended first, or
/// only a repetition was answered. In the calling thread's network namespace.
///
/// # Errors
/// EPERM without CAP_NET_ADMIN there; no way to the other end.
pub fn reset(to: SocketAddrV4, mss: u16, bytes: usize, patience: Duration) -> io::Result<bool> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    set(&socket, libc::TCP_REPAIR, &[REPAIR_ON])?;
    let ours: u32 = 1_000_000;
    let theirs: u32 = 2_000_000;
    for (queue, next) in [(SEND_QUEUE, ours), (RECV_QUEUE, theirs)] {
        set(&socket, libc::TCP_REPAIR_QUEUE, &[queue])?;
        set(&socket, libc::TCP_QUEUE_SEQ, &[next])?;
    }
    set(&socket, libc::TCP_REPAIR_QUEUE, &[0])?;
    // No packet leaves: it only finds the way.
    socket.connect(&to.into())?;
    set(&socket, libc::TCP_REPAIR_OPTIONS, &[TCPOPT_MAXSEG, u32::from(mss)])?;
    // struct tcp_repair_window: snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup.
    set(&socket, TCP_REPAIR_WINDOW, &[theirs, WINDOW, WINDOW, WINDOW, theirs])?;
    socket.set_nonblocking(true)?;
    set(&socket, libc::TCP_REPAIR, &[REPAIR_OFF_NO_WP])?;
    let sent = socket.send(&vec![0x55; bytes]);
    if let Err(error) = sent
        && error.kind() != io::ErrorKind::ConnectionReset
    {
        return Err(error);
    }
    let patience = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
    let mut watched = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    poll(&mut watched, patience)?;
    let refused = socket.take_error()?.is_some();
    let again = again(&socket)?;
    // Closed in repair it is gone without a word; otherwise it would repeat itself for minutes.
    let _ = set(&socket, libc::TCP_REPAIR, &[REPAIR_ON]);
    Ok(refused && again == 0)
}

/// How many segments were sent again.
fn again(socket: &Socket) -> io::Result<u32> {
    // SAFETY: all-zero bytes are a value of this struct of integers.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = libc::socklen_t::try_from(size_of_val(&info)).unwrap_or(0);
    // SAFETY: the kernel writes at most `length` bytes, which is the size of `info`.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    if done == 0 { Ok(info.tcpi_total_retrans) } else { Err(io::Error::last_os_error()) }
}

/// Sets an option of TCP that is made of 32-bit words.
fn set<T: Copy, const N: usize>(
    socket: &Socket,
    option: libc::c_int,
    words: &[T; N],
) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of_val(words)).unwrap_or(0);
    // SAFETY: the pointer is to `words`, which outlives the call; `length` is its size; the kernel reads
    // it and keeps nothing.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            option,
            words.as_ptr().cast(),
            length,
        )
    };
    if done == 0 {
        return Ok(());
    }
    Err(crate::netns::operation("setting up a TCP connection", io::Error::last_os_error()))
}
