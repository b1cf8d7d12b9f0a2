//! Where podman keeps its networks: it tells a driver of none but the one that is made.
//!
//! By what podman was started with (`--network-config-dir`), else by its configuration (containers.conf(5),
//! `network_config_dir`), else beside its images for a user, and in `/etc` for root.

use std::path::{Path, PathBuf};

/// The files of all users, the first read first; each has a folder of further ones beside it.
const OF_ALL: [&str; 2] =
    ["/usr/share/containers/containers.conf", "/etc/containers/containers.conf"];
/// Where root's podman keeps them.
const OF_ROOT: &str = "/etc/containers/networks";

/// The podman that has started us, and how to look at what it goes by.
pub(super) struct Podman<'a> {
    /// Its command line.
    pub(super) words: &'a [String],
    pub(super) variable: &'a dyn Fn(&str) -> Option<String>,
    /// The text of a file that is there.
    pub(super) read: &'a dyn Fn(&Path) -> Option<String>,
    /// What lies in a folder.
    pub(super) list: &'a dyn Fn(&Path) -> Vec<PathBuf>,
    pub(super) is_users: bool,
}

impl Podman<'_> {
    /// The folder of its networks.
    pub(super) fn networks(&self) -> PathBuf {
        let told = self.told("--network-config-dir");
        if let Some(folder) = told.or_else(|| self.configured()) {
            return folder.into();
        }
        match self.is_users {
            true => self.images().join("networks"),
            false => OF_ROOT.into(),
        }
    }

    /// Where a user's images are.
    fn images(&self) -> PathBuf {
        let data = || {
            let own = self.variable("XDG_DATA_HOME").map(PathBuf::from);
            own.unwrap_or_else(|| self.home().join(".local/share"))
        };
        self.told("--root").map_or_else(|| data().join("containers/storage"), PathBuf::from)
    }

    /// The value of an option of the command line, as pflag reads it: the last one counts.
    fn told(&self, option: &str) -> Option<String> {
        let mut values = self.words.iter().enumerate().filter_map(|(place, word)| {
            match word.strip_prefix(option)? {
                "" => self.words.get(place + 1).cloned(),
                rest => rest.strip_prefix('=').map(str::to_owned),
            }
        });
        values.rfind(|value| !value.is_empty())
    }

    /// What the files say; the last one that says it counts.
    fn configured(&self) -> Option<String> {
        let mut values = self.files().into_iter().filter_map(|file| {
            let text = (self.read)(&file)?;
            let read: toml::Table = text.parse().ok()?;
            Some(read.get("network")?.get("network_config_dir")?.as_str()?.to_owned())
        });
        values.rfind(|value| !value.is_empty())
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        if let Some(alone) = self.variable("CONTAINERS_CONF") {
            files.push(alone.into());
        } else {
            let own = self.is_users.then(|| {
                let folder = self.variable("XDG_CONFIG_HOME").map(PathBuf::from);
                let folder = folder.unwrap_or_else(|| self.home().join(".config"));
                folder.join("containers/containers.conf")
            });
            for file in OF_ALL.into_iter().map(PathBuf::from).chain(own) {
                let mut further = (self.list)(&file.with_extension("conf.d"));
                further.retain(|path| path.extension().is_some_and(|end| end == "conf"));
                further.sort();
                files.push(file);
                files.append(&mut further);
            }
        }
        files.extend(self.variable("CONTAINERS_CONF_OVERRIDE").map(PathBuf::from));
        files
    }

    fn home(&self) -> PathBuf {
        self.variable("HOME").unwrap_or_default().into()
    }

    fn variable(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests;
