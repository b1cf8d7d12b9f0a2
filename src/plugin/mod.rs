//! This program as a plugin of a container engine: a thin client that reads what the engine says, asks
//! the running `serve`, and answers. Nothing is made here, but for a server where podman finds none.
//!
//! | module | what |
//! |---|---|
//! | `cni` | a plugin of the Container Network Interface |
//! | `netavark` | a driver of podman's own network program |
//! | `podman` | where podman keeps its networks |
//! | `start` | a server for it, where there is none |
//! | `ipam` | the plugin beside it that gives out addresses |
//! | `turn` | one call at a time for an interface of CNI |

pub(crate) mod cni;
mod ipam;
pub(crate) mod netavark;
mod podman;
mod start;
mod turn;

use std::fs::File;
use std::io;
use std::path::PathBuf;

use engine::plugin::{Ask, Join};
use lab::Ground;
use ns::user::Privilege;
use serve::held;

/// Where `serve` listens for plugins.
pub(crate) const SOCKET: &str = "/run/uswitch/serve.sock";
/// Says another place, where an engine lets its plugins have it.
const PLACE: &str = "USWITCH_SERVE";
/// Bytes of what an engine says: a container may publish thousands of ports.
const LONGEST: u64 = 4 << 20;

/// Who is to be asked.
struct Place {
    /// At which socket.
    socket: PathBuf,
    /// Whose server it is, where it is not root's.
    user: Option<User>,
    /// Whether one is started where nobody serves: not where somebody has said who serves.
    may_start: bool,
}

/// Folders of an ordinary user's server.
struct User {
    run: PathBuf,
    state: PathBuf,
}

impl Place {
    fn find() -> Self {
        let user = User::find();
        let usual = user.as_ref().map_or_else(|| SOCKET.into(), |user| user.run.join("serve.sock"));
        match std::env::var_os(PLACE) {
            Some(socket) => Self { socket: socket.into(), user, may_start: false },
            None => Self { socket: usual, user, may_start: true },
        }
    }

    /// Whether a server was killed here that would have gone with its last container.
    fn was_passing(&self) -> bool {
        let name = crate::cmd::serve::NAME.parse();
        name.is_ok_and(|name| serve::was_passing(&lab::served::places(&self.ground(), &name)))
    }

    /// Nobody serves, and a container's place there is no more.
    fn forget(&self, endpoint: &str) -> anyhow::Result<()> {
        let name = crate::cmd::serve::NAME.parse()?;
        Ok(serve::forget_place(&lab::served::places(&self.ground(), &name), endpoint)?)
    }

    /// A file for locks on bytes of it, where there is a server.
    fn bytes(&self) -> lab::Result<Option<File>> {
        lab::lock::bytes(&self.ground(), &crate::cmd::serve::NAME.parse()?)
    }

    /// Whether that is still the server's file.
    fn has(&self, file: &File) -> lab::Result<bool> {
        lab::lock::is_current(&self.ground(), &crate::cmd::serve::NAME.parse()?, file)
    }

    /// Whether there is a server, be it that it is about to listen, or to end.
    fn is_taken(&self) -> bool {
        let name = crate::cmd::serve::NAME.parse();
        name.is_ok_and(|name| matches!(lab::lock::keeper(&self.ground(), &name), Ok(Some(_))))
    }

    fn ground(&self) -> Ground {
        match &self.user {
            Some(user) => Ground::at(&user.run, Privilege::Root),
            None => Ground::find(),
        }
    }
}

impl User {
    /// The user whose podman has started us, in a user namespace and with a /run of podman's: what is
    /// to be found from outside has its place in the folder for the user's session. None for root.
    fn find() -> Option<Self> {
        const WHOLE: [&str; 3] = ["0", "0", "4294967295"];
        let map = std::fs::read_to_string("/proc/self/uid_map").ok()?;
        if map.split_whitespace().eq(WHOLE) {
            return None;
        }
        let folder = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let run = folder("XDG_RUNTIME_DIR")?.join("uswitch");
        let data = folder("XDG_DATA_HOME").or_else(|| Some(folder("HOME")?.join(".local/share")));
        Some(Self { state: data.unwrap_or_else(|| run.clone()).join("uswitch"), run })
    }
}

/// What is asked for a container that comes.
fn attach(mut join: Join) -> Ask {
    join.binds = !join.outside && held::callers().iter().any(|pid| held::binds(*pid));
    Ask::Attach(Box::new(join))
}

/// What the engine says on standard input.
fn said() -> io::Result<Vec<u8>> {
    use std::io::Read;
    let mut text = Vec::new();
    io::stdin().lock().take(LONGEST).read_to_end(&mut text)?;
    Ok(text)
}

/// The network that this program was started in.
fn own_network() -> io::Result<File> {
    File::open("/proc/thread-self/ns/net")
}
