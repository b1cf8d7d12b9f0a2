//! A speaker and the calls to it, by gRPC over HTTP/2 on one connection. Each has its time; whoever calls
//! decides what a failure means, and asks again.

use std::net::SocketAddr;
use std::time::Duration;

use http::uri::PathAndQuery;
use overlay::evpn::{Heard, Of, Site};
use prost::Message;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::messages::{
    AddPathRequest, DeletePathRequest, GetBgpResponse, GlobalConf, ListPathRequest,
    ListPathResponse, Nothing, WatchEventRequest, WatchEventResponse, WatchFilter, WatchTable,
};
use crate::routes::{self, EVPN};

/// For an answer to come in.
const PATIENCE: Duration = Duration::from_secs(1);
/// For a whole list.
const LIST: Duration = Duration::from_secs(10);
/// Bytes of one message: what is told at once, when a neighbour goes, is all its routes.
const MESSAGE: usize = 256 << 20;
/// GoBGP 3's service, and the one that GoBGP 4 has instead.
const API: &str = "apipb.GobgpApi";
const NEXT_API: &str = "api.GoBgpService";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The speaker cannot be asked now.
    #[error("{0}: {1}")]
    Silent(SocketAddr, String),
    /// It says no.
    #[error("{0} says: {1}")]
    Refused(SocketAddr, String),
    /// It is none that is spoken with here.
    #[error("{0} {1}")]
    Strange(SocketAddr, String),
    /// It knows a higher number for this hardware address.
    #[error("{0} has a higher sequence number")]
    Low(SocketAddr),
}

/// What a speaker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Global {
    /// Its AS.
    pub asn: u32,
    /// What it is called by others.
    pub router_id: String,
    /// The API that answered.
    pub api: &'static str,
}

/// A speaker, by a connection that is kept.
#[derive(Clone, Debug)]
pub struct Speaker {
    at: SocketAddr,
    grpc: Grpc<Channel>,
}

/// What the speaker tells of its table.
#[derive(Debug)]
pub struct Watching {
    at: SocketAddr,
    stream: Streaming<WatchEventResponse>,
}

impl Speaker {
    /// Asks who is there.
    ///
    /// # Errors
    /// [`Failed`] where nobody answers in time, BGP does not run there, or it is no GoBGP 3.
    pub async fn connect(at: SocketAddr) -> Result<(Self, Global), Failed> {
        let silent = |error: &dyn std::error::Error| Failed::Silent(at, innermost(error));
        let endpoint = Endpoint::from_shared(format!("http://{at}")).map_err(|e| silent(&e))?;
        let connected = within(at, PATIENCE, endpoint.connect()).await?;
        let grpc = Grpc::new(connected.map_err(|error| silent(&error))?);
        let grpc = grpc.max_decoding_message_size(MESSAGE);
        let mut speaker = Self { at, grpc };
        let global = speaker.ask().await?;
        Ok((speaker, global))
    }

    /// Asks again who is there: whether it still answers.
    ///
    /// # Errors
    /// Those of [`Speaker::connect`].
    pub async fn ask(&mut self) -> Result<Global, Failed> {
        let at = self.at;
        let answer = self.unary::<_, GetBgpResponse>(API, "GetBgp", Nothing {}, PATIENCE).await?;
        let answer = match answer {
            Err(status) if status.code() == Code::Unimplemented => {
                let next =
                    self.unary::<_, GetBgpResponse>(NEXT_API, "GetBgp", Nothing {}, PATIENCE);
                let what = match next.await? {
                    Ok(_) => format!("answers by {NEXT_API}, as GoBGP 4 does: GoBGP 3 has {API}"),
                    Err(_) => format!("has neither {API} nor {NEXT_API}: that is no gobgpd"),
                };
                return Err(Failed::Strange(at, what));
            }
            answer => answer.map_err(|status| self.refused(&status))?,
        };
        match answer.global {
            Some(GlobalConf { asn, router_id }) if asn != 0 => {
                Ok(Global { asn, router_id, api: API })
            }
            _ => {
                Err(Failed::Strange(at, "runs without BGP: give its [global.config] an AS".into()))
            }
        }
    }

    /// Says a route.
    ///
    /// # Errors
    /// [`Failed::Low`] where it knows a higher number for the address, else what it says.
    pub async fn say(&mut self, site: &Site, of: Of, sequence: u32) -> Result<(), Failed> {
        let ask = AddPathRequest { path: Some(routes::path(site, of, sequence, false)) };
        let said = self.unary::<_, Nothing>(API, "AddPath", ask, PATIENCE).await?;
        said.map(drop).map_err(|status| match status.message() {
            text if text.contains("sequence number") => Failed::Low(self.at),
            _ => self.refused(&status),
        })
    }

    /// Takes a route back. One that is not there is.
    ///
    /// # Errors
    /// What it says.
    pub async fn take_back(&mut self, site: &Site, of: Of) -> Result<(), Failed> {
        let path = Some(routes::path(site, of, 0, true));
        let ask = DeletePathRequest { family: Some(EVPN), path };
        let done = self.unary::<_, Nothing>(API, "DeletePath", ask, PATIENCE).await?;
        done.map(drop).map_err(|status| self.refused(&status))
    }

    /// All routes that are best, ours among them. Of one that has stopped meanwhile, and so has none, that is
    /// no list.
    ///
    /// # Errors
    /// What it says, or that it takes too long.
    pub async fn list(&mut self) -> Result<Vec<Heard>, Failed> {
        let at = self.at;
        let ask = ListPathRequest { family: Some(EVPN) };
        let all = async {
            let mut stream = match self.stream::<_, ListPathResponse>("ListPath", ask).await? {
                Ok(stream) => stream,
                Err(status) => return Err(self.refused(&status)),
            };
            let mut all = Vec::new();
            while let Some(said) = stream.message().await.map_err(|s| self.refused(&s))? {
                let paths = said.destination.map(|there| there.paths).unwrap_or_default();
                all.extend(paths.iter().filter(|path| path.best).filter_map(routes::heard));
            }
            Ok(all)
        };
        let all = tokio::time::timeout(LIST, all).await.map_err(|_| late(at, LIST))??;
        self.ask().await.map(|_| all)
    }

    /// Has it tell what changes from now on.
    ///
    /// # Errors
    /// What it says.
    pub async fn watch(&mut self) -> Result<Watching, Failed> {
        let at = self.at;
        // Neighbours are asked for so that there is a first word, by which the watch has begun.
        let table = WatchTable { filters: vec![WatchFilter { kind: 0, init: false }] };
        let ask = WatchEventRequest { peer: Some(Nothing {}), table: Some(table) };
        let stream = within(at, PATIENCE, self.stream("WatchEvent", ask)).await??;
        let stream = stream.map_err(|status| self.refused(&status))?;
        Ok(Watching { at, stream })
    }

    async fn unary<Q, A>(
        &mut self,
        api: &str,
        call: &str,
        ask: Q,
        patience: Duration,
    ) -> Result<Result<A, Status>, Failed>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let (at, path) = (self.at, path(self.at, api, call)?);
        within(at, patience, self.grpc.ready())
            .await?
            .map_err(|e| Failed::Silent(at, innermost(&e)))?;
        let answer = self.grpc.unary(Request::new(ask), path, ProstCodec::<Q, A>::default());
        Ok(within(at, patience, answer).await?.map(tonic::Response::into_inner))
    }

    async fn stream<Q, A>(
        &mut self,
        call: &str,
        ask: Q,
    ) -> Result<Result<Streaming<A>, Status>, Failed>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let (at, path) = (self.at, path(self.at, API, call)?);
        within(at, PATIENCE, self.grpc.ready())
            .await?
            .map_err(|e| Failed::Silent(at, innermost(&e)))?;
        let codec = ProstCodec::<Q, A>::default();
        let answer = self.grpc.server_streaming(Request::new(ask), path, codec).await;
        Ok(answer.map(tonic::Response::into_inner))
    }

    fn refused(&self, status: &Status) -> Failed {
        refused(self.at, status)
    }
}

impl Watching {
    /// What it tells next: routes that came, are others, or have gone.
    ///
    /// # Errors
    /// [`Failed`] where it tells no more.
    pub async fn next(&mut self) -> Result<Vec<Heard>, Failed> {
        match self.stream.message().await {
            Ok(Some(said)) => {
                let paths = said.table.map(|table| table.paths).unwrap_or_default();
                Ok(paths.iter().filter_map(routes::heard).collect())
            }
            Ok(None) => Err(Failed::Silent(self.at, "it tells no more".into())),
            Err(status) => Err(refused(self.at, &status)),
        }
    }
}

fn path(at: SocketAddr, api: &str, call: &str) -> Result<PathAndQuery, Failed> {
    let path = PathAndQuery::try_from(format!("/{api}/{call}"));
    path.map_err(|error| Failed::Silent(at, error.to_string()))
}

async fn within<T>(
    at: SocketAddr,
    patience: Duration,
    answer: impl Future<Output = T>,
) -> Result<T, Failed> {
    tokio::time::timeout(patience, answer).await.map_err(|_| late(at, patience))
}

fn late(at: SocketAddr, patience: Duration) -> Failed {
    Failed::Silent(at, format!("no answer within {} s", patience.as_secs()))
}

/// A status that no speaker has written says that there is none.
fn refused(at: SocketAddr, status: &Status) -> Failed {
    let silent = matches!(status.code(), Code::Unavailable | Code::Cancelled);
    match std::error::Error::source(status) {
        Some(source) => Failed::Silent(at, innermost(source)),
        None if silent => Failed::Silent(at, status.message().into()),
        None => Failed::Refused(at, status.message().into()),
    }
}

/// The cause of causes: the others say that something went wrong.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
