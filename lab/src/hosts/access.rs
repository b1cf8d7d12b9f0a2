//! How a cluster lets this host in: by TLS (`tls`), and by a user's token where it asks who somebody is
//! (etcd's auth API). What a URL says goes before etcdctl's environment. A password is kept in memory
//! alone and never written, not for debugging either.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ::topology::join;

use super::http::Failed;
use super::tls::Tls;
use crate::error::{Error, Result};

/// What a password is longer than never.
const LONGEST: u64 = 4096;

/// Something that nobody is shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What this host has to show, by etcdctl's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The certificates that sign those of the cluster's members.
    pub cacert: Option<PathBuf>,
    /// This host's certificate.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    /// Who asks.
    pub user: Option<String>,
    /// And the password.
    pub password: Option<Secret>,
}

impl Credentials {
    /// What the environment says as it does to etcdctl: `ETCDCTL_CACERT`, `ETCDCTL_CERT`, `ETCDCTL_KEY`,
    /// `ETCDCTL_USER` (NAME or NAME:PASSWORD), `ETCDCTL_PASSWORD`.
    #[must_use]
    pub fn of_environment() -> Self {
        Self::of(|name| std::env::var_os(name))
    }

    fn of(said: impl Fn(&str) -> Option<OsString>) -> Self {
        let said = |name| said(name).filter(|value| !value.is_empty());
        let text = |name| Some(said(name)?.to_string_lossy().into_owned());
        let (user, password) = match text("ETCDCTL_USER") {
            Some(both) => match both.split_once(':') {
                Some((user, password)) => (Some(user.to_owned()), Some(password.to_owned())),
                None => (Some(both), None),
            },
            None => (None, None),
        };
        Self {
            cacert: said("ETCDCTL_CACERT").map(PathBuf::from),
            cert: said("ETCDCTL_CERT").map(PathBuf::from),
            key: said("ETCDCTL_KEY").map(PathBuf::from),
            user,
            password: password.or_else(|| text("ETCDCTL_PASSWORD")).map(Secret),
        }
    }
}

/// A way in, with the token that opens it now.
#[derive(Debug, Default)]
pub struct Access {
    pub(super) tls: Option<Tls>,
    user: Option<User>,
    token: Mutex<Token>,
}

/// Who asks.
#[derive(Debug)]
struct User {
    name: String,
    password: Mutex<Secret>,
    /// Where the password came from, which may have another by now.
    file: Option<PathBuf>,
}

#[derive(Debug, Default)]
enum Token {
    /// None was asked for yet, or it has run out.
    #[default]
    Wanted,
    /// The cluster asks nobody who he is.
    Needless,
    Held(Secret),
}

impl Access {
    /// Reads what is needed to get in.
    ///
    /// # Errors
    /// [`Error::Usage`] for files that cannot be read or are not what they are to be, and for a user
    /// without a password.
    pub(super) fn open(url: &join::Access, own: &Credentials) -> Result<Self> {
        let tls = url.tls.then(|| Tls::open(url, own)).transpose();
        let tls = tls.map_err(Error::Usage)?;
        let user = user(url, own).map_err(Error::Usage)?;
        Ok(Self { tls, user, token: Mutex::default() })
    }

    /// Whose password goes to etcd as it is, for want of TLS.
    pub(super) fn bare(&self) -> Option<&str> {
        let user = self.user.as_ref().filter(|_| self.tls.is_none())?;
        Some(&user.name)
    }

    /// What members' addresses begin with.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "etcds" } else { "etcd" }
    }

    fn token(&self) -> MutexGuard<'_, Token> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The user and the password, where a token is to be asked for first.
    pub(super) fn signs_in(&self) -> Option<(&str, String)> {
        let user = self.user.as_ref().filter(|_| matches!(*self.token(), Token::Wanted))?;
        let Secret(password) = user.password().clone();
        Some((&user.name, password))
    }

    /// Takes certificates and the password as they are in their files now.
    pub(super) fn read_again(&self) {
        if let Some(tls) = &self.tls {
            tls.read_again();
        }
        if let Some((user, path)) =
            self.user.as_ref().and_then(|user| Some((user, user.file.as_ref()?)))
        {
            match secret("password-file", path) {
                Ok(password) => *user.password() = password,
                Err(why) => tracing::debug!("{why}"),
            }
        }
    }

    /// The token to be shown.
    pub(super) fn shown(&self) -> Option<String> {
        match &*self.token() {
            Token::Held(Secret(token)) => Some(token.clone()),
            Token::Wanted | Token::Needless => None,
        }
    }

    /// This is the token from now on; without one, none is needed.
    pub(super) fn has(&self, token: Option<String>) {
        *self.token() = token.map_or(Token::Needless, |token| Token::Held(Secret(token)));
    }

    /// Whether etcd says no for want of a token that it knows; a new one is wanted then.
    pub(super) fn is_stale(&self, failed: &Failed) -> bool {
        let Failed::Refused(code, words) = failed else { return false };
        // Unauthenticated; or one of the time before a user or a role was changed.
        let old = *code == 16 || *code == 3 && words.contains("auth store is old");
        // Users are asked for now, and were not before.
        let new = *code == 3 && words.contains("user name is empty");
        let stale = self.user.is_some() && (old || new);
        if stale {
            *self.token() = Token::Wanted;
        }
        stale
    }

    /// What is wrong where etcd asks who this is.
    pub(super) fn told(&self, failed: Failed) -> Failed {
        match failed {
            Failed::Refused(3, words) if words.contains("user name is empty") => Failed::Shut(
                "it asks who this is: user=NAME, and the password in ETCDCTL_PASSWORD or \
                 password-file=FILE"
                    .into(),
            ),
            Failed::Refused(7, words) => {
                let user = self.user.as_ref().map_or("nobody", |user| &user.name);
                Failed::Shut(format!(
                    "{words} ({user}): give it a role that reads and writes keys from /uswitch on, \
                     `etcdctl role grant-permission ROLE --prefix=true readwrite /uswitch`"
                ))
            }
            other => other,
        }
    }
}

impl User {
    fn password(&self) -> MutexGuard<'_, Secret> {
        self.password.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who asks, with the password.
fn user(url: &join::Access, own: &Credentials) -> std::result::Result<Option<User>, String> {
    let Some(user) = url.user.as_ref().or(own.user.as_ref()) else {
        return match &url.password_file {
            Some(path) => Err(format!("password-file={}: whose? user=NAME", path.display())),
            None => Ok(None),
        };
    };
    let read =
        url.password_file.as_deref().map(|path| secret("password-file", path)).transpose()?;
    // Another's password is not this one's.
    let same = own.user.as_ref().is_none_or(|own| own == user);
    let password = read.or_else(|| own.password.clone().filter(|_| same));
    let password = password.ok_or_else(|| {
        format!("user {user} has no password: ETCDCTL_PASSWORD in the environment, or password-file=FILE")
    })?;
    let file = url.password_file.clone();
    Ok(Some(User { name: user.clone(), password: Mutex::new(password), file }))
}

fn secret(key: &str, path: &Path) -> std::result::Result<Secret, String> {
    let bytes = read(key, path, LONGEST)?;
    let text =
        String::from_utf8(bytes).map_err(|_| format!("{key}={}: no text", path.display()))?;
    let first = text.lines().next().unwrap_or_default();
    match first.is_empty() {
        true => Err(format!("{key}={}: its first line is empty", path.display())),
        false => Ok(Secret(first.to_owned())),
    }
}

/// The bytes of a file, up to so many; a line for one that cannot be read.
pub(super) fn read(key: &str, path: &Path, most: u64) -> std::result::Result<Vec<u8>, String> {
    use std::io::Read;
    let told = |error: std::io::Error| {
        let mend = match error.kind() {
            // A lab has given up the right to read what is another user's.
            std::io::ErrorKind::PermissionDenied => ": give it to the lab's user",
            _ => "",
        };
        format!("{key}={} cannot be read: {error}{mend}", path.display())
    };
    let mut file = std::fs::File::open(path).map_err(told)?;
    let mut bytes = Vec::new();
    file.by_ref().take(most + 1).read_to_end(&mut bytes).map_err(told)?;
    match bytes.len() as u64 > most {
        true => Err(format!("{key}={} is longer than {most} bytes", path.display())),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn of(all: &[(&str, &str)]) -> Credentials {
        Credentials::of(|name| {
            let found = all.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    fn asks(url: &join::Access, own: &Credentials) -> std::result::Result<Option<String>, String> {
        let user = user(url, own)?;
        Ok(user.map(|user| format!("{} {}", user.name, user.password().0)))
    }

    #[test]
    fn the_environment_says_what_it_says_to_etcdctl() {
        let own =
            of(&[("ETCDCTL_USER", "root:a:b"), ("ETCDCTL_CACERT", "/ca"), ("ETCDCTL_KEY", "")]);
        assert_eq!((own.cacert.as_deref(), own.key.as_deref()), (Some(Path::new("/ca")), None));
        let none = join::Access::default();
        assert_eq!(asks(&none, &own).unwrap().as_deref(), Some("root a:b"));
        let own = of(&[("ETCDCTL_USER", "root"), ("ETCDCTL_PASSWORD", "x")]);
        assert_eq!(asks(&none, &own).unwrap().as_deref(), Some("root x"));
        assert!(!format!("{own:?}").contains('x'), "{own:?}");
        assert_eq!(asks(&none, &Credentials::default()).unwrap(), None);
    }

    #[test]
    fn the_url_goes_first_and_a_password_is_its_users() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "of the file\nand more\n").unwrap();
        let url = |user: Option<&str>, file: Option<&Path>| join::Access {
            user: user.map(str::to_owned),
            password_file: file.map(Path::to_owned),
            ..join::Access::default()
        };
        let own = of(&[("ETCDCTL_USER", "root"), ("ETCDCTL_PASSWORD", "x")]);
        let file = Some(path.as_path());
        assert_eq!(asks(&url(Some("a"), file), &own).unwrap().as_deref(), Some("a of the file"));
        assert_eq!(asks(&url(None, file), &own).unwrap().as_deref(), Some("root of the file"));
        assert!(asks(&url(Some("a"), None), &own).unwrap_err().contains("has no password"));
        let alone = of(&[("ETCDCTL_PASSWORD", "x")]);
        assert_eq!(asks(&url(Some("a"), None), &alone).unwrap().as_deref(), Some("a x"));
        assert!(asks(&url(None, file), &alone).unwrap_err().contains("whose?"));
        std::fs::write(&path, "\n").unwrap();
        assert!(asks(&url(Some("a"), file), &own).unwrap_err().contains("first line is empty"));
        let gone = folder.path().join("none");
        assert!(asks(&url(Some("a"), Some(&gone)), &own).unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn a_password_is_the_one_that_its_file_has_now() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "old\n").unwrap();
        let (user, password_file) = (Some("a".into()), Some(path.clone()));
        let url = join::Access { user, password_file, ..join::Access::default() };
        let access = Access::open(&url, &Credentials::default()).unwrap();
        assert_eq!(access.signs_in(), Some(("a", "old".into())));
        std::fs::write(&path, "new\n").unwrap();
        access.read_again();
        assert_eq!(access.signs_in(), Some(("a", "new".into())));
        // One that is being written has no word yet, and what was known stays.
        std::fs::write(&path, "").unwrap();
        access.read_again();
        assert_eq!(access.signs_in(), Some(("a", "new".into())));
    }

    #[test]
    fn a_token_is_asked_for_where_one_is_wanted() {
        let access = Access {
            user: Some(User {
                name: "root".into(),
                password: Mutex::new(Secret("x".into())),
                file: None,
            }),
            ..Access::default()
        };
        assert_eq!(access.signs_in(), Some(("root", "x".into())));
        access.has(Some("t".into()));
        assert_eq!((access.signs_in(), access.shown().as_deref()), (None, Some("t")));
        assert!(!access.is_stale(&Failed::Refused(5, "not there".into())));
        for (code, words) in [
            (16, "invalid auth token"),
            (3, "revision of auth store is old"),
            (3, "user name is empty"),
        ] {
            access.has(Some("t".into()));
            assert!(access.is_stale(&Failed::Refused(code, words.into())), "{words}");
            assert!(access.signs_in().is_some() && access.shown().is_none(), "{words}");
        }
        access.has(None);
        assert_eq!((access.signs_in(), access.shown()), (None, None));
        // Who has no name is told so.
        let nobody = Access::default();
        let empty = || Failed::Refused(3, "user name is empty".into());
        assert!(!nobody.is_stale(&empty()));
        assert!(nobody.told(empty()).to_string().contains("user=NAME"));
    }
}
