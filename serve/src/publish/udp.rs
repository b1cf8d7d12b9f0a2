//! A published port of UDP: each client has a socket of its own to the container, by which answers are
//! told apart. One that is silent for [`SILENCE`] is forgotten; of [`CLIENTS`] the one that was silent
//! longest gives way to a newcomer.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::datagram::{self, Ends};

/// Clients at once, a port.
const CLIENTS: usize = 1024;
/// As long as docker-proxy waits.
const SILENCE: Duration = Duration::from_secs(90);
/// From one look for silent clients to the next.
const LOOK: Duration = Duration::from_secs(10);
/// The longest datagram.
const LONGEST: usize = 65_535;

/// A client's way.
struct Client {
    socket: Arc<UdpSocket>,
    heard: Instant,
    answers: tokio::task::AbortHandle,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.answers.abort();
    }
}

/// Leads datagrams to `to` and back, for as long as it is not dropped.
pub(super) async fn lead(socket: UdpSocket, to: SocketAddr) {
    let socket = Arc::new(socket);
    let mut clients: HashMap<Ends, Client> = HashMap::new();
    let mut tasks = JoinSet::new();
    let mut datagram = vec![0; LONGEST];
    let mut look = tokio::time::interval(LOOK);
    loop {
        let (length, from) = tokio::select! {
            received = datagram::receive(&socket, &mut datagram) => match received {
                Ok(received) => received,
                // What the kernel tells of a datagram sent before.
                Err(_) => continue,
            },
            now = look.tick() => {
                clients.retain(|_, client| now.saturating_duration_since(client.heard) < SILENCE);
                while tasks.try_join_next().is_some() {}
                continue;
            }
        };
        if !clients.contains_key(&from) {
            make_room(&mut clients);
            match connect(to).await {
                Ok(own) => {
                    let own = Arc::new(own);
                    let answering = answer(Arc::clone(&own), Arc::clone(&socket), from);
                    let answers = tasks.spawn(answering);
                    let heard = Instant::now();
                    clients.insert(from, Client { socket: own, heard, answers });
                }
                Err(error) => {
                    tracing::debug!("{} to {to}: {error}", from.client);
                    continue;
                }
            }
        }
        if let Some(client) = clients.get_mut(&from) {
            client.heard = Instant::now();
            // Lost, as a datagram may be.
            let _ = client.socket.send(&datagram[..length]).await;
        }
    }
}

fn make_room(clients: &mut HashMap<Ends, Client>) {
    if clients.len() >= CLIENTS {
        let oldest = clients.iter().min_by_key(|(_, client)| client.heard);
        if let Some(oldest) = oldest.map(|(from, _)| *from) {
            clients.remove(&oldest);
        }
    }
}

async fn connect(to: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match to {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(to).await?;
    Ok(socket)
}

/// What comes back goes to the client.
async fn answer(own: Arc<UdpSocket>, socket: Arc<UdpSocket>, client: Ends) {
    let mut datagram = vec![0; LONGEST];
    loop {
        // The container's port may be closed for now; it is told, and the client goes on asking.
        if let Ok(length) = own.recv(&mut datagram).await {
            let _ = datagram::send(&socket, &datagram[..length], client).await;
        }
    }
}
