//! A published port of TCP: each connection is answered by one to the container, and bytes pass until
//! both sides are done. At most [`CONNECTIONS`] at once; further ones wait in the kernel.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Connections at once, a port.
const CONNECTIONS: usize = 4096;
/// How long a container may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// After a connection could not be accepted: out of descriptors, as a rule.
const PAUSE: Duration = Duration::from_millis(100);
/// Bytes on their way in each direction of a connection.
const BUFFER: usize = 64 << 10;

/// Leads connections to `to`, for as long as it is not dropped; they end with it.
pub(super) async fn lead(listener: TcpListener, to: SocketAddr) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((client, from)) => {
                connections.spawn(async move {
                    if let Err(error) = pass(client, to).await {
                        tracing::debug!("{from} to {to}: {error}");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!("for {to}: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn pass(mut client: TcpStream, to: SocketAddr) -> io::Result<()> {
    let connecting = tokio::time::timeout(PATIENCE, TcpStream::connect(to));
    let mut server = match connecting.await {
        Ok(Ok(server)) => server,
        // A reset tells the client what an end would not: that nobody was there.
        refused => {
            client.set_zero_linger()?;
            return refused.map_err(|_| io::ErrorKind::TimedOut)?.map(drop);
        }
    };
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let sizes = (BUFFER, BUFFER);
    tokio::io::copy_bidirectional_with_sizes(&mut client, &mut server, sizes.0, sizes.1).await?;
    Ok(())
}
