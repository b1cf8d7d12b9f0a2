//! What is kept: networks in the state's folder, across boots, for an engine tells of each but once;
//! containers' places in the lab's folder, which is gone after a boot as they are.
//!
//! A file is written whole under another name and takes its place at once; it is on the disk before
//! the engine has its answer. One writes at a time: an engine's calls and the look for names may change
//! one place at once. Names of files are the engine's numbers, which are checked where they come in.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use engine::plugin::Rate;
use engine::{Attach, Network, Route};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use topology::join::Join;
use wire::MacAddr;

use crate::error::{Doing, Error, Result};
use crate::found::Found;

/// What files end with, and what one does that is being written.
const END: &str = "json";
const FRESH: &str = "new";

/// A container's place in a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// What was asked for.
    pub(crate) attach: Attach,
    /// Its container's namespace, while it is joined.
    pub(crate) sandbox: Option<String>,
    /// The device and the number of that file, where they are known: the path may be another's later.
    #[serde(default)]
    pub(crate) netns: Option<(u64, u64)>,
    /// Its ports are published.
    pub(crate) published: bool,
    /// Which ports of the host's those are that asked for no single one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) found: Vec<Found>,
    /// What its container is called, once that is known.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// What its interface is called in its container, once that has been looked at: dockerd chooses.
    #[serde(default)]
    pub(crate) interface: Option<String>,
    /// What a plugin has said of it; None of Docker's.
    #[serde(default)]
    pub(crate) plugin: Option<Plugin>,
}

/// A place that a plugin has asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plugin {
    /// The engine's number for the container.
    pub(crate) container: String,
    /// What the interface is called there.
    pub(crate) interface: String,
    /// Routes by it; None where an earlier server has kept none.
    #[serde(default)]
    pub(crate) routes: Option<Vec<Route>>,
    /// A device stands beside it there, for the limits of what it receives.
    #[serde(default)]
    pub(crate) limited: bool,
    /// What it may receive.
    #[serde(default)]
    pub(crate) received: Option<Rate>,
    /// What it may send.
    #[serde(default)]
    pub(crate) sent: Option<Rate>,
    /// Its engine binds its ports outside, for all but those who are here.
    #[serde(default)]
    pub(crate) outside: bool,
}

/// A network that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// As it was asked for.
    #[serde(flatten)]
    pub(crate) network: Network,
    /// What its engine calls it, once that is known.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// The network of several hosts that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reached: Option<Reached>,
}

/// A network of several hosts, as it was joined: whoever takes over joins the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reached {
    /// Where it was found.
    pub(crate) join: Join,
    /// Its number outside.
    pub(crate) vni: u32,
    /// The largest packet that its tunnel carries, in bytes.
    pub(crate) mtu: u32,
}

impl Place {
    /// Its hardware address: the one asked for, or one that follows from its address, as Docker's own
    /// do.
    pub(crate) fn mac(&self) -> MacAddr {
        let own = self.attach.addresses.iter().find_map(|address| match address.ip {
            std::net::IpAddr::V4(own) => Some(own.octets()),
            std::net::IpAddr::V6(_) => None,
        });
        let by_number = || {
            let digits = self.attach.endpoint.get(..8).unwrap_or_default();
            u32::from_str_radix(digits, 16).unwrap_or_default().to_be_bytes()
        };
        let [a, b, c, d] = own.unwrap_or_else(by_number);
        self.attach.mac.unwrap_or(MacAddr([0x02, 0x42, a, b, c, d]))
    }
}

/// The folders.
#[derive(Debug)]
pub(crate) struct Store {
    networks: PathBuf,
    places: PathBuf,
    writer: Mutex<()>,
}

/// The right to write: whoever has it knows that what he has read is still so.
#[derive(Debug)]
pub(crate) struct Writer<'s> {
    store: &'s Store,
    _alone: MutexGuard<'s, ()>,
}

impl Store {
    /// Opens the folders, making them for root alone.
    pub(crate) fn open(state: &Path, places: PathBuf) -> Result<Self> {
        let store = Self { networks: state.join("networks"), places, writer: Mutex::default() };
        for folder in [&store.networks, &store.places] {
            let mut builder = std::fs::DirBuilder::new();
            builder
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .doing("making the folder", folder)?;
        }
        Ok(store)
    }

    /// All networks that can be read, and what is wrong with the others.
    pub(crate) fn networks(&self) -> Result<(Vec<Kept>, Vec<Error>)> {
        all(&self.networks)
    }

    /// The same of places.
    pub(crate) fn places(&self) -> Result<(Vec<Place>, Vec<Error>)> {
        all(&self.places)
    }

    /// Waits for whoever writes; to be had before the tables are looked at, never after.
    pub(crate) fn writer(&self) -> Writer<'_> {
        let _alone = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        Writer { store: self, _alone }
    }
}

impl Writer<'_> {
    /// Keeps a network.
    pub(crate) fn keep_network(&self, kept: &Kept) -> Result<()> {
        keep(&self.store.networks, &kept.network.id, kept)
    }

    /// Keeps a place.
    pub(crate) fn keep_place(&self, place: &Place) -> Result<()> {
        keep(&self.store.places, &place.attach.endpoint, place)
    }

    /// Forgets a network.
    pub(crate) fn forget_network(&self, id: &str) -> Result<()> {
        forget(&self.store.networks, id)
    }

    /// Forgets a place.
    pub(crate) fn forget_place(&self, id: &str) -> Result<()> {
        forget(&self.store.places, id)
    }
}

fn all<T: DeserializeOwned>(folder: &Path) -> Result<(Vec<T>, Vec<Error>)> {
    let (mut read, mut wrong) = (Vec::new(), Vec::new());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).doing("reading", folder)? {
        paths.push(entry.doing("reading", folder)?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|end| end == END));
    paths.sort();
    for path in paths {
        let said = std::fs::read(&path).map_err(|error| error.to_string());
        match said.and_then(|text| serde_json::from_slice(&text).map_err(|why| why.to_string())) {
            Ok(value) => read.push(value),
            Err(why) => wrong.push(Error::Garbled { path, why }),
        }
    }
    Ok((read, wrong))
}

/// The file in a folder that is called so: one that would be in another folder is not written, and is not there.
fn file(folder: &Path, id: &str, end: &str) -> io::Result<PathBuf> {
    let plain = Path::new(id).file_name() == Some(id.as_ref()) && !id.starts_with('.');
    match plain {
        true => Ok(folder.join(format!("{id}.{end}"))),
        false => Err(io::Error::new(io::ErrorKind::NotFound, format!("{id:?} is no file's name"))),
    }
}

fn keep(folder: &Path, id: &str, value: &impl Serialize) -> Result<()> {
    let both = file(folder, id, END).and_then(|path| Ok((path, file(folder, id, FRESH)?)));
    let (path, fresh) = both.doing("writing to", folder)?;
    let write = || {
        let mut options = File::options();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&serde_json::to_vec(value)?)?;
        file.sync_all()?;
        std::fs::rename(&fresh, &path)?;
        File::open(folder)?.sync_all()
    };
    write().doing("writing", &path)
}

fn forget(folder: &Path, id: &str) -> Result<()> {
    let Ok(path) = file(folder, id, END) else { return Ok(()) };
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e).doing("removing", &path),
        _ => Ok(()),
    }
}

/// Forgets the place that an endpoint has in the folder of places, where nobody serves: its engine has taken
/// the link away.
///
/// # Errors
/// [`Error::File`] where it cannot be removed.
pub fn forget_place(places: &Path, endpoint: &str) -> Result<()> {
    forget(places, endpoint)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn place(endpoint: &str) -> Place {
        let attach = Attach {
            network: "d4dc".into(),
            endpoint: endpoint.into(),
            mac: None,
            addresses: vec!["10.77.5.0/16".parse().unwrap()],
            ports: Vec::new(),
            names: Vec::new(),
            servers: Vec::new(),
        };
        let sandbox = Some("/run/x".into());
        let (netns, name, interface, plugin) = (None, None, None, None);
        let (published, found) = (true, Vec::new());
        Place { attach, sandbox, netns, published, found, name, interface, plugin }
    }

    #[test]
    fn what_is_kept_is_read_again_and_what_is_broken_told() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), folder.path().join("places")).unwrap();
        let (one, two) = (place("aa01"), place("aa02"));
        for place in [&one, &two, &one] {
            store.writer().keep_place(place).unwrap();
        }
        let places = folder.path().join("places");
        // Killed while it was written, and written by nobody of ours.
        std::fs::write(places.join("aa03.new"), "{").unwrap();
        std::fs::write(places.join("aa04.json"), "{").unwrap();
        std::fs::create_dir(places.join("aa05.json")).unwrap();
        std::os::unix::fs::symlink("nowhere", places.join("aa06.json")).unwrap();
        let (read, wrong) = store.places().unwrap();
        assert_eq!(read, [one.clone(), two]);
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        for (why, name) in wrong.iter().zip(["aa04.json", "aa05.json", "aa06.json"]) {
            assert!(why.to_string().contains(name), "{why}");
        }
        store.writer().forget_place("aa01").unwrap();
        store.writer().forget_place("aa01").unwrap();
        assert_eq!(store.places().unwrap().0.len(), 1);
        assert_eq!(one.mac(), MacAddr([2, 0x42, 10, 77, 5, 0]));
    }

    #[test]
    fn a_place_is_read_as_earlier_ones_have_written_it() {
        let text = r#"{"attach":{"network":"d4dc","endpoint":"aa01","addresses":["10.77.5.0/16"],
            "ports":[]},"sandbox":"/run/x","published":true}"#;
        assert_eq!(serde_json::from_str::<Place>(text).unwrap(), place("aa01"));
    }

    #[test]
    fn nothing_is_kept_or_forgotten_beside_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), folder.path().join("places")).unwrap();
        let beside = ["places.json", "x.json"].map(|name| folder.path().join(name));
        beside.iter().for_each(|path| std::fs::write(path, "kept").unwrap());
        for id in ["", ".", "..", "../x", "a/b", "/x", "x/", "places/../x"] {
            assert!(store.writer().keep_place(&place(id)).is_err(), "{id:?}");
            store.writer().forget_place(id).unwrap();
        }
        for path in beside {
            assert_eq!(std::fs::read(&path).unwrap(), b"kept", "{}", path.display());
        }
        assert!(std::fs::read_dir(folder.path().join("places")).unwrap().next().is_none());
    }

    #[test]
    fn several_may_write_of_one_place() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), folder.path().join("places")).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    (0..200).for_each(|_| store.writer().keep_place(&place("aa01")).unwrap());
                });
            }
        });
        assert_eq!(store.places().unwrap().0, [place("aa01")]);
    }
}
