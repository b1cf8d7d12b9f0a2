//! Sockets that root alone can open, from the moment they can be seen.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, UnixAddr};
use nix::sys::stat::{Mode, fchmod};

use crate::error::{Doing, Error, Result};

/// Clients that may wait to be let in.
const BACKLOG: i32 = 128;

/// Listens at `path`. Its folder is made where it is missing, for root alone; a socket that nobody
/// listens at any more is replaced.
///
/// # Errors
/// [`Error::Taken`], or when the kernel refuses.
pub(crate) fn listen(path: &Path) -> Result<UnixListener> {
    if let Some(folder) = path.parent() {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder).doing("making the folder", folder)?;
    }
    match std::fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Ok(found) if found.file_type().is_socket() => {
            if UnixStream::connect(path).is_ok() {
                return Err(Error::Taken(path.into()));
            }
            std::fs::remove_file(path).doing("removing the old socket", path)?;
        }
        Ok(_) => {
            let why = io::Error::from(io::ErrorKind::AlreadyExists);
            return Err(why).doing("listening in the place of what is no socket,", path);
        }
        Err(e) => return Err(e).doing("looking at", path),
    }
    bind(path).doing("listening at", path)
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let fd = socket::socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    // What a socket's mode is before it is bound its file's is from the first moment on.
    fchmod(fd.as_fd(), Mode::S_IRUSR | Mode::S_IWUSR)?;
    socket::bind(std::os::fd::AsRawFd::as_raw_fd(&fd), &UnixAddr::new(path)?)?;
    socket::listen(&fd, Backlog::new(BACKLOG)?)?;
    Ok(fd.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_socket_is_roots_alone_and_replaces_a_dead_one_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plugins/uswitch.sock");
        let first = listen(&path).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert!(matches!(listen(&path), Err(Error::Taken(_))));
        drop(first);
        drop(listen(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "mine").unwrap();
        assert!(listen(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }
}
