//! Messages with descriptors over a Unix socket: eight bytes (the length of the body and the number of
//! descriptors, each little-endian), the body, a byte for each further batch of descriptors.
//!
//! The kernel passes 253 of them with one message at most (`SCM_MAX_FD`), so they go in batches.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Descriptors in a batch.
const BATCH: usize = 200;
/// Bytes of a body: a container may publish thousands of ports.
const BODY: usize = 4 << 20;
/// Descriptors at most.
const FDS: usize = 16_384;
/// Bytes before a body.
const HEAD: usize = 8;

/// Sends a message.
///
/// # Errors
/// EINVAL for one that is too long; what the socket says.
pub(crate) fn send(mut to: &UnixStream, body: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    if body.len() > BODY || fds.len() > FDS {
        return Err(ErrorKind::InvalidInput.into());
    }
    let length = |count: usize| u32::try_from(count).map_err(io::Error::other);
    let head = [length(body.len())?.to_le_bytes(), length(fds.len())?.to_le_bytes()].concat();
    let mut batches = fds.chunks(BATCH);
    batch(to, &head, batches.next().unwrap_or_default())?;
    to.write_all(body)?;
    batches.try_for_each(|fds| batch(to, &[0], fds))
}

fn batch(mut to: &UnixStream, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(ErrorKind::InvalidInput.into());
    }
    // Whoever has gone is told by an error, not by a signal.
    let sent = sendmsg(to, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
    to.write_all(&bytes[sent..])
}

/// Receives a message.
///
/// # Errors
/// What the socket says; `InvalidData` for one that is too long, or whose descriptors got lost.
pub(crate) fn receive(mut from: &UnixStream) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let (mut head, mut fds) = ([0; HEAD], Vec::new());
    take(from, &mut head, &mut fds)?;
    let [a, b, c, d, e, f, g, h] = head;
    let (length, count) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
    let (length, count) = (length as usize, count as usize);
    if length > BODY || count > FDS {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    while fds.len() < count {
        let before = fds.len();
        take(from, &mut [0], &mut fds)?;
        if fds.len() == before {
            return Err(ErrorKind::InvalidData.into());
        }
    }
    Ok((body, fds))
}

/// Fills `bytes`, with the descriptors that come beside.
fn take(mut from: &UnixStream, bytes: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let got = recvmsg(from, &mut [IoSliceMut::new(bytes)], &mut control, flags)?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            fds.extend(passed);
        }
    }
    if got.bytes == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    from.read_exact(&mut bytes[got.bytes..])
}

/// Whether the other end is root's, or this user's: nobody else is heard, and nobody else believed.
///
/// # Errors
/// `PermissionDenied` where it is not; what the kernel says.
pub(crate) fn check_peer(stream: &UnixStream) -> io::Result<()> {
    let peer = rustix::net::sockopt::socket_peercred(stream)?;
    let own = rustix::process::geteuid();
    match peer.uid.is_root() || peer.uid == own {
        true => Ok(()),
        false => Err(ErrorKind::PermissionDenied.into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_body_and_its_descriptors_come_as_they_went() {
        let (one, two) = UnixStream::pair().unwrap();
        check_peer(&one).unwrap();
        let null = File::open("/dev/null").unwrap();
        for count in [0, 1, BATCH, 2 * BATCH + 7] {
            let fds: Vec<_> = (0..count).map(|_| null.as_fd()).collect();
            let body = vec![7; 100_000];
            std::thread::scope(|scope| {
                let sending = scope.spawn(|| send(&one, &body, &fds));
                let (got, passed) = receive(&two).unwrap();
                sending.join().unwrap().unwrap();
                assert_eq!((got.len(), passed.len()), (body.len(), count));
                let same = |fd: OwnedFd| {
                    File::from(fd).metadata().unwrap().rdev() == null.metadata().unwrap().rdev()
                };
                assert!(passed.into_iter().all(same));
            });
        }
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        for bytes in [vec![], vec![1, 2], vec![0xff; 8], vec![4, 0, 0, 0, 0, 0, 0, 0, 1]] {
            let (mut one, two) = UnixStream::pair().unwrap();
            one.write_all(&bytes).unwrap();
            drop(one);
            assert!(receive(&two).is_err(), "{bytes:?}");
        }
        // Fewer descriptors than were said.
        let (mut one, two) = UnixStream::pair().unwrap();
        one.write_all(&[0, 0, 0, 0, 1, 0, 0, 0, 0]).unwrap();
        assert!(receive(&two).is_err());
    }
}
