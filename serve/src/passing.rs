//! Messages with descriptors over a Unix socket: four bytes (the length of the body, little-endian) with
//! which the descriptors come, and the body.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Descriptors of a message.
const FDS: usize = 4;
/// Bytes of a body: a container may publish thousands of ports.
const BODY: usize = 4 << 20;

/// Sends a message.
///
/// # Errors
/// `InvalidInput` for one that is too long; what the socket says.
pub(crate) fn send(mut to: &UnixStream, body: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    if body.len() > BODY || fds.len() > FDS {
        return Err(ErrorKind::InvalidInput.into());
    }
    let head = u32::try_from(body.len()).map_err(io::Error::other)?.to_le_bytes();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(ErrorKind::InvalidInput.into());
    }
    // Whoever has gone is told by an error, not by a signal.
    let sent = sendmsg(to, &[IoSlice::new(&head)], &mut control, SendFlags::NOSIGNAL)?;
    to.write_all(&head[sent..])?;
    to.write_all(body)
}

/// Receives a message.
///
/// # Errors
/// What the socket says; `InvalidData` for one that is too long.
pub(crate) fn receive(mut from: &UnixStream) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let (mut head, mut fds) = ([0; 4], Vec::new());
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let got = recvmsg(from, &mut [IoSliceMut::new(&mut head)], &mut control, flags)?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            fds.extend(passed);
        }
    }
    if got.bytes == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    from.read_exact(&mut head[got.bytes..])?;
    let length = u32::from_le_bytes(head) as usize;
    if length > BODY {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok((body, fds))
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
        for count in [0, 1, FDS] {
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
        for bytes in [vec![], vec![1, 2], vec![0xff; 8], vec![4, 0, 0, 0, 1]] {
            let (mut one, two) = UnixStream::pair().unwrap();
            one.write_all(&bytes).unwrap();
            drop(one);
            assert!(receive(&two).is_err(), "{bytes:?}");
        }
    }
}
