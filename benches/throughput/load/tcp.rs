//! Bulk TCP, request/response and short connections between two nodes. Receivers count; a sender
//! that cannot go on ends the measurement with its error.
//!
//! Bulk writes and reads are of 128 KiB, as iperf3's; nothing else is tuned, so that the kernel's
//! own choices (GSO sizes, autotuned windows) meet every forwarder alike.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::measure::Window;
use crate::topology::{Node, finish};

const CHUNK: usize = 128 * 1024;
const PATIENCE: Duration = Duration::from_millis(200);
const WARM: Duration = Duration::from_millis(300);
const CONNECT: Duration = Duration::from_secs(3);

/// One direction of bulk load: `flows` connections from the first node to the second.
pub struct Direction<'a> {
    pub from: &'a Node,
    pub to: &'a Node,
    pub flows: usize,
}

/// Runs all directions at once; bits a second in sum, and the machine's CPU seconds a gigabyte.
///
/// # Errors
/// When a connection cannot be made or breaks.
pub fn bulk(directions: &[Direction<'_>], window: Duration) -> Result<(f64, f64)> {
    let stop = Arc::new(AtomicBool::new(false));
    let bytes = Arc::new(AtomicU64::new(0));
    let mut threads = Vec::new();
    for direction in directions {
        let (listener, target) = direction.to.listen()?;
        for _ in 0..direction.flows {
            let (done, count) = (stop.clone(), bytes.clone());
            let out = direction.from.run(move || connect(target))?;
            let (inward, _) = listener.accept().context("accepting a bulk flow")?;
            threads.push(std::thread::spawn(move || receive(inward, &count, &done)));
            let done = stop.clone();
            threads.push(std::thread::spawn(move || send(out, &done)));
        }
    }
    std::thread::sleep((window / 4).max(Duration::from_millis(300)));
    let before = bytes.load(Relaxed);
    let measured = Window::measure(window)?;
    let moved = (bytes.load(Relaxed) - before) as f64;
    stop.store(true, Relaxed);
    for thread in threads {
        finish(thread)?;
    }
    Ok((moved * 8.0 / measured.seconds, measured.busy_seconds / (moved / 1e9)))
}

fn connect(target: SocketAddr) -> Result<TcpStream> {
    TcpStream::connect_timeout(&target, CONNECT).with_context(|| format!("connecting to {target}"))
}

fn send(mut stream: TcpStream, stop: &AtomicBool) -> Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let chunk = vec![0x5a; CHUNK];
    while !stop.load(Relaxed) {
        match stream.write(&chunk) {
            Ok(_) => {}
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) if stop.load(Relaxed) => break,
            Err(e) => return Err(e).context("bulk sender"),
        }
    }
    Ok(())
}

fn receive(mut stream: TcpStream, count: &AtomicU64, stop: &AtomicBool) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut chunk = vec![0; CHUNK];
    while !stop.load(Relaxed) {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => _ = count.fetch_add(n as u64, Relaxed),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) if stop.load(Relaxed) => break,
            Err(e) => return Err(e).context("bulk receiver"),
        }
    }
    Ok(())
}

/// One byte there, one byte back, over one connection; transactions a second.
///
/// # Errors
/// When the connection cannot be made or breaks.
pub fn request_response(from: &Node, to: &Node, window: Duration) -> Result<f64> {
    let (listener, target) = to.listen()?;
    let server = std::thread::spawn(move || -> Result<()> {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut byte = [0];
        while stream.read(&mut byte)? == 1 {
            stream.write_all(&byte)?;
        }
        Ok(())
    });
    let client = from.spawn(move || {
        let mut stream = connect(target)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(CONNECT))?;
        let mut byte = [0x5a];
        let mut turn = || -> Result<()> {
            stream.write_all(&byte)?;
            stream.read_exact(&mut byte).context("waiting for a response")
        };
        let warm = Instant::now();
        while warm.elapsed() < Duration::from_millis(100) {
            turn()?;
        }
        let (start, mut turns) = (Instant::now(), 0u64);
        while start.elapsed() < window {
            turn()?;
            turns += 1;
        }
        Ok(turns as f64 / start.elapsed().as_secs_f64())
    });
    let rate = finish(client);
    let rate = rate?;
    finish(server)?;
    Ok(rate)
}

/// Connections a second: connect, one byte each way, close; `workers` clients at once. Counted when
/// they have run for a moment, as bulk flows are.
///
/// # Errors
/// When a connection cannot be made or breaks.
pub fn connections(from: &Node, to: &Node, workers: usize, window: Duration) -> Result<f64> {
    from.run(|| Ok(std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "1025 65535")?))?;
    let mut servers = Vec::new();
    let mut clients = Vec::new();
    let stop = Arc::new(AtomicBool::new(false));
    for _ in 0..workers {
        let (listener, target) = to.listen()?;
        let own = listener.local_addr()?;
        let done = stop.clone();
        servers.push((own, std::thread::spawn(move || serve_short(&listener, &done))));
        clients.push(from.spawn(move || {
            let warm = Instant::now();
            while warm.elapsed() < WARM {
                one_connection(target)?;
            }
            let (start, mut made) = (Instant::now(), 0u64);
            while start.elapsed() < window {
                one_connection(target)?;
                made += 1;
            }
            Ok(made as f64 / start.elapsed().as_secs_f64())
        }));
    }
    let rates: Result<Vec<f64>> = clients.into_iter().map(finish).collect();
    stop.store(true, Relaxed);
    for (own, server) in servers {
        let _ = to.run(move || Ok(TcpStream::connect(own)?)); // wakes the accept
        finish(server)?;
    }
    Ok(rates?.iter().sum())
}

fn serve_short(listener: &TcpListener, stop: &AtomicBool) -> Result<()> {
    while !stop.load(Relaxed) {
        let (mut stream, _) = listener.accept()?;
        let mut byte = [0];
        if matches!(stream.read(&mut byte), Ok(1)) {
            let _ = stream.write_all(&byte);
        }
    }
    Ok(())
}

fn one_connection(target: SocketAddr) -> Result<()> {
    let mut stream = connect(target)?;
    stream.set_read_timeout(Some(CONNECT))?;
    stream.write_all(&[1])?;
    stream.read_exact(&mut [0]).context("a short connection got no answer")
}
