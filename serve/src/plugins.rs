//! The socket where plugins ask: a message each, with a container's namespace, and an answer. Let in by the server's
//! thread; what is asked runs on its few threads for calls.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Weak};
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
/// From one look for an engine's sockets to the next, and how many: half a minute.
const LOOK: Duration = Duration::from_millis(20);
const LOOKS: u32 = 1500;

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

fn answer(daemon: &Arc<Daemon>, stream: &UnixStream) -> io::Result<()> {
    passing::check_peer(stream)?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let (body, fds) = passing::receive(stream)?;
    let mut waits = None;
    let answer = match Ask::read(&body) {
        Ok(ask) => {
            if let Ask::Attach(join) = &ask
                && join.binds
                && !join.attach.ports.is_empty()
            {
                waits = Some(join.attach.endpoint.clone());
            }
            daemon.plugin(ask, fds)
        }
        Err(why) => Answer::from(why),
    };
    tracing::debug!("{} -> {answer:?}", String::from_utf8_lossy(&body));
    let waits = waits.filter(|_| matches!(answer, Answer::Attached { .. }));
    // Before the engine has its answer: what it starts then is of this life.
    let waits = waits.map(|endpoint| (daemon.keepers(&endpoint), endpoint));
    let sent = passing::send(stream, &serde_json::to_vec(&answer)?, &[]);
    daemon.answered();
    if let Some((before, endpoint)) = waits {
        let daemon = Arc::downgrade(daemon);
        let wait = move || wait_for_ports(&daemon, &endpoint, &before);
        std::thread::Builder::new().name("ports".into()).spawn(wait)?;
    }
    sent
}

/// Waits until an engine's process holds a container's ports, which it does once the container has its
/// network. Before that podman has them itself, and still changes whether calls on them wait.
fn wait_for_ports(daemon: &Weak<Daemon>, endpoint: &str, before: &[i32]) {
    let mut looks = 0;
    let mut why = "its engine has started no container for its ports".to_owned();
    for _ in 0..LOOKS {
        std::thread::sleep(LOOK);
        let Some(daemon) = daemon.upgrade() else { return };
        match daemon.lead_by_now(endpoint, before, &mut looks) {
            Ok(true) => return,
            Ok(false) => {}
            Err(refused) => why = refused.to_string(),
        }
    }
    tracing::error!("endpoint {endpoint}: {why}");
}
