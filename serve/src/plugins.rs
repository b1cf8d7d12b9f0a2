//! The socket where plugins ask: a message each, with descriptors, and an answer. Let in by the server's
//! thread; what is asked runs on its few threads for calls.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use control::Calls;
use engine::plugin::{Answer, Ask};
use tokio::net::UnixListener;

use crate::daemon::Daemon;
use crate::passing;

/// How long a plugin may take to say what it wants, and to hear what became of it.
const PATIENCE: Duration = Duration::from_secs(10);
/// After a connection could not be accepted: out of descriptors, as a rule.
const PAUSE: Duration = Duration::from_millis(100);

/// Lets plugins in, for as long as it is not dropped.
pub(crate) async fn listen(listener: UnixListener, daemon: Arc<Daemon>, calls: Arc<Calls>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream.into_std(),
            Err(error) => Err(error),
        };
        match stream {
            Ok(stream) => {
                let (daemon, calls) = (Arc::clone(&daemon), Arc::clone(&calls));
                tokio::spawn(async move {
                    let answered = calls.run(move || answer(&daemon, &stream));
                    if let Ok(Err(error)) = answered.await {
                        tracing::debug!("a plugin's call: {error}");
                    }
                });
            }
            Err(error) => {
                tracing::warn!("a plugin is not heard: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn answer(daemon: &Daemon, stream: &UnixStream) -> io::Result<()> {
    passing::check_peer(stream)?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let (body, fds) = passing::receive(stream)?;
    let answer = match Ask::read(&body) {
        Ok(ask) => daemon.plugin(ask, fds),
        Err(why) => Answer::from(why),
    };
    tracing::debug!("{} -> {answer:?}", String::from_utf8_lossy(&body));
    passing::send(stream, &serde_json::to_vec(&answer)?, &[])
}
