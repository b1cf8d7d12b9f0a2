//! TLS to the members of a cluster: theirs is to be signed by an authority that this host knows, and to
//! name the member; this host's own is shown where there is one. Files are read at the beginning, and
//! again where a member is not let in or does not let in, so that what was renewed meanwhile counts.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ::topology::join;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{
    self, AlertDescription, CertificateError, ClientConfig, InvalidMessage, RootCertStore,
};

use super::access::{Credentials, read};
use super::http::{Failed, silent};

/// Bytes of a file of certificates.
const LONGEST: u64 = 8 << 20;
/// Where systems keep the authorities that they trust: Debian, Fedora, Alpine.
const SYSTEM: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// How members are spoken with.
#[derive(Debug)]
pub(super) struct Tls {
    files: Files,
    /// What certificates are to name: each member's, or all of them; none for their addresses.
    names: Vec<ServerName<'static>>,
    config: Mutex<Arc<ClientConfig>>,
}

#[derive(Debug)]
struct Files {
    cacert: Option<PathBuf>,
    own: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    pub(super) fn open(url: &join::Access, own: &Credentials) -> Result<Self, String> {
        let whole = |path: Option<&PathBuf>| {
            let path = path.map(std::path::absolute).transpose();
            path.map_err(|error| format!("this process has no place: {error}"))
        };
        let cacert = whole(url.cacert.as_ref().or(own.cacert.as_ref()))?;
        // The two are of one kind: those of the URL, or those of the environment.
        let said = url.cert.is_some() || url.key.is_some();
        let (cert, key) = if said { (&url.cert, &url.key) } else { (&own.cert, &own.key) };
        let own = match (whole(cert.as_ref())?, whole(key.as_ref())?) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            (Some(_), None) => return Err("cert= without key=: they go together".into()),
            (None, Some(_)) => return Err("key= without cert=: they go together".into()),
        };
        let name = |name: &String| {
            ServerName::try_from(name.clone()).map_err(|_| format!("server-name={name}: no name"))
        };
        let names = url.server_names.iter().map(name).collect::<Result<_, _>>()?;
        let files = Files { cacert, own };
        let config = Mutex::new(Arc::new(files.config()?));
        Ok(Self { files, names, config })
    }

    fn now(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files again; what cannot be read stays as it was.
    pub(super) fn read_again(&self) {
        match self.files.config() {
            Ok(config) => {
                *self.config.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
            }
            Err(why) => tracing::debug!("{why}"),
        }
    }

    /// Shakes hands with the member that stands there in the list.
    pub(super) async fn shake(
        &self,
        stream: TcpStream,
        (member, place): (SocketAddr, usize),
    ) -> Result<TlsStream<TcpStream>, Failed> {
        let name = self.names.get(place).or(self.names.first()).cloned();
        let name = name.unwrap_or_else(|| ServerName::IpAddress(member.ip().into()));
        let shaken = TlsConnector::from(self.now()).connect(name, stream).await;
        shaken.map_err(|error| match cause(&error) {
            None if was_closed(&error) => {
                Failed::Silent("it hangs up: where it speaks no TLS, etcd:// is for that".into())
            }
            _ => self.told(&error),
        })
    }

    /// What a failure on the way means, for whoever has to mend it.
    pub(super) fn told(&self, error: &(dyn Error + 'static)) -> Failed {
        let Some(cause) = cause(error) else {
            let perhaps = match (was_closed(error), &self.files.own) {
                (false, _) => return silent(error),
                (true, None) => "it asks for a certificate perhaps: cert=FILE and key=FILE",
                (true, Some(_)) => "it does not take this host's certificate perhaps",
            };
            return Failed::Silent(format!("it hangs up; {perhaps}"));
        };
        let authorities = match &self.files.cacert {
            Some(path) => format!("those of {}", path.display()),
            None => "the system's: cacert=FILE names others".into(),
        };
        let said = match cause {
            rustls::Error::InvalidCertificate(why) => match why {
                CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                    format!(
                        "its certificate is signed by none of the authorities known here, {authorities}"
                    )
                }
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    "its certificate has expired: renew it, or see what time it is here".into()
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    "its certificate is not valid yet: see what time it is here".into()
                }
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => {
                    format!(
                        "its certificate names another: {cause}; server-name=NAME says whose it is to be"
                    )
                }
                _ => format!("its certificate is not taken: {cause}"),
            },
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
                "it does not speak TLS: etcd:// is for that, not etcds://".into()
            }
            rustls::Error::AlertReceived(alert) => self.refused(*alert),
            other => other.to_string(),
        };
        Failed::Shut(said)
    }

    fn refused(&self, alert: AlertDescription) -> String {
        use AlertDescription as A;
        let of_ours = [
            A::BadCertificate,
            A::CertificateRequired,
            A::CertificateExpired,
            A::CertificateRevoked,
            A::CertificateUnknown,
            A::UnsupportedCertificate,
            A::UnknownCA,
            A::AccessDenied,
        ];
        match (&self.files.own, of_ours.contains(&alert)) {
            (None, true) => {
                format!(
                    "it asks for a certificate of this host ({alert:?}): cert=FILE and key=FILE"
                )
            }
            (Some((cert, _)), true) => {
                format!("it does not take this host's certificate ({alert:?}), {}", cert.display())
            }
            (_, false) => format!("it ends the handshake: {alert:?}"),
        }
    }
}

impl Files {
    fn config(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS: {error}"))?
            .with_root_certificates(self.roots()?);
        let Some((cert, key)) = &self.own else { return Ok(builder.with_no_client_auth()) };
        let chain = certificates("cert", cert)?;
        let bytes = read("key", key, LONGEST)?;
        let private = PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
            format!(
                "key={}: there is no key in it that can be used (PEM, without a password)",
                key.display()
            )
        })?;
        builder
            .with_client_auth_cert(chain, private)
            .map_err(|error| format!("cert={} and key={}: {error}", cert.display(), key.display()))
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = &self.cacert {
            for one in certificates("cacert", path)? {
                roots.add(one).map_err(|error| format!("cacert={}: {error}", path.display()))?;
            }
            return Ok(roots);
        }
        // As OpenSSL and Go have it: the variable stands in the place of the system's list.
        let said = std::env::var_os("SSL_CERT_FILE").filter(|said| !said.is_empty());
        let known = || SYSTEM.map(PathBuf::from).into_iter().find(|path| path.is_file());
        let Some(path) = said.map(PathBuf::from).or_else(known) else {
            return Err(
                "this system has no list of authorities: cacert=FILE says which may sign".into()
            );
        };
        let (added, _) = roots.add_parsable_certificates(certificates("SSL_CERT_FILE", &path)?);
        match added {
            0 => Err(format!("{}: no certificate in it can be used", path.display())),
            _ => Ok(roots),
        }
    }
}

fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read(key, path, LONGEST)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err(format!("{key}={}: there is no certificate in it (PEM)", path.display())),
    }
}

/// What rustls says, wherever it stands in the chain of causes.
fn cause<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let within = within.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(found) = error.downcast_ref::<rustls::Error>().or(within) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// Whether the other end has hung up.
pub(super) fn was_closed(error: &(dyn Error + 'static)) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    let mut next = Some(error);
    while let Some(error) = next {
        let of_kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        let of_hyper = error.downcast_ref::<hyper::Error>();
        if of_kind.is_some_and(|kind| [BrokenPipe, ConnectionReset, UnexpectedEof].contains(&kind))
            || of_hyper.is_some_and(hyper::Error::is_incomplete_message)
        {
            return true;
        }
        next = error.source();
    }
    false
}
