//! How a cluster lets a host in: by TLS, by a user's password. Names of files and of a user, and no
//! secret, so that it may stand wherever a URL is shown or kept. What is not said here etcdctl's
//! environment may say (`ETCDCTL_CACERT`, `…_CERT`, `…_KEY`, `…_USER`, `…_PASSWORD`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The keys of a URL, as etcdctl's options are called.
const KEYS: [&str; 6] = ["cacert", "cert", "key", "server-name", "user", "password-file"];

/// How a cluster lets a host in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Its members speak TLS.
    pub tls: bool,
    /// The certificates that sign its members'; None for those that the system trusts.
    pub cacert: Option<PathBuf>,
    /// The certificate that this host shows.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    /// What the members' certificates name, where that is not their addresses: one for all, or one each.
    pub server_names: Vec<String>,
    /// Who asks.
    pub user: Option<String>,
    /// Where the password is.
    pub password_file: Option<PathBuf>,
}

impl Access {
    /// Reads what is its own of a URL's query; what it is, and the rest of the query.
    pub(super) fn read(tls: bool, query: &str, members: usize) -> Result<(Self, String), String> {
        let mut read = Self { tls, ..Self::default() };
        let (mut rest, mut seen) = (Vec::new(), BTreeSet::new());
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if key == "password" {
                return Err(hidden());
            }
            if !KEYS.contains(&key) {
                rest.push(pair);
                continue;
            }
            if value.is_empty() {
                return Err(format!("{key}= says nothing"));
            }
            if !seen.insert(key) {
                return Err(format!("{key}= twice"));
            }
            let of_tls = !["user", "password-file"].contains(&key);
            if of_tls && !tls {
                return Err(format!("{key}= goes with TLS: etcds://, not etcd://"));
            }
            let path = Some(PathBuf::from(value));
            match key {
                "cacert" => read.cacert = path,
                "cert" => read.cert = path,
                "key" => read.key = path,
                "server-name" => read.server_names = value.split(',').map(str::to_owned).collect(),
                "user" if value.contains(':') => return Err(hidden()),
                "user" => read.user = Some(value.to_owned()),
                _ => read.password_file = path,
            }
        }
        let names = read.server_names.len();
        if names > 1 && names != members {
            return Err(format!(
                "server-name= has {names} names for {members} members: one for all, or one each"
            ));
        }
        Ok((read, rest.join("&")))
    }

    /// Its words in a URL's query.
    pub(super) fn words(&self) -> Vec<Option<String>> {
        let file = |key: &str, path: &Option<PathBuf>| {
            path.as_ref().map(|path| format!("{key}={}", path.display()))
        };
        let names = (!self.server_names.is_empty())
            .then(|| format!("server-name={}", self.server_names.join(",")));
        vec![
            file("cacert", &self.cacert),
            file("cert", &self.cert),
            file("key", &self.key),
            names,
            self.user.as_ref().map(|user| format!("user={user}")),
            file("password-file", &self.password_file),
        ]
    }

    /// A file whose name depends on where it is looked for from, with its key.
    #[must_use]
    pub fn relative(&self) -> Option<(&'static str, &Path)> {
        let files = [
            ("cacert", &self.cacert),
            ("cert", &self.cert),
            ("key", &self.key),
            ("password-file", &self.password_file),
        ];
        let files = files.into_iter().filter_map(|(key, path)| Some((key, path.as_deref()?)));
        files.into_iter().find(|(_, path)| path.is_relative())
    }
}

/// Whether a URL behind its scheme names somebody before an address, as others' do.
pub(super) fn has_password(rest: &str) -> bool {
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let keys = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    std::iter::once(place).chain(keys).any(|word| word.contains('@'))
}

/// For a URL with a password, of which nothing is repeated.
pub(super) fn hidden() -> String {
    "a password stands in no URL, for lists of processes and files show those: user=NAME, and the \
     password in ETCDCTL_PASSWORD of the environment, or password-file=FILE"
        .into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::Join;

    #[test]
    fn what_lets_in_is_read_and_written() {
        for text in [
            "etcds://10.0.0.2/prod",
            "etcds://10.0.0.2,10.0.0.3/prod?vni=7&cacert=/e/ca.pem&cert=/e/own.pem&key=/e/own.key\
             &server-name=e1,e2&user=uswitch&password-file=/e/secret",
            "etcd://10.0.0.2/prod?user=uswitch",
        ] {
            assert_eq!(text.parse::<Join>().unwrap().to_string(), text);
        }
        let Join::Etcd(ask) = "etcds://10.0.0.2/prod?cacert=ca.pem".parse().unwrap() else {
            panic!()
        };
        assert_eq!(ask.access.relative().unwrap().0, "cacert");
    }

    #[test]
    fn what_lets_nobody_in_is_told_and_no_password_repeated() {
        for (text, says) in [
            ("etcd://10.0.0.2/prod?cacert=/ca.pem", "cacert= goes with TLS: etcds://"),
            ("etcds://10.0.0.2/prod?cert=", "cert= says nothing"),
            ("etcds://10.0.0.2,10.0.0.3,10.0.0.4/p?server-name=a,b", "2 names for 3 members"),
            ("etcds://10.0.0.2/prod?certificate=/x", "none of vni"),
            ("etcd://root:wrecK@10.0.0.2/prod", "a password stands in no URL"),
            ("etcds://10.0.0.2/prod?user=root:wrecK", "a password stands in no URL"),
            ("etcds://10.0.0.2/prod?password=wrecK", "a password stands in no URL"),
            ("etcd://root:x?wrecK@10.0.0.2/prod", "a password stands in no URL"),
            ("https://root:wrecK@10.0.0.2/prod", "a password stands in no URL"),
        ] {
            let said = text.parse::<Join>().unwrap_err().to_string();
            assert!(said.contains(says) && !said.contains("wrecK"), "{text}: {said}");
        }
    }
}
