//! `uswitch capture`: frames as they pass the switch, as pcapng or as lines.
//!
//! Reads the lab's stream as fast as its own output takes it; what does not fit is lost at the lab,
//! which counts it. Whole blocks are written, so that a file is readable wherever it ends.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use control::api::CaptureAsk;
use control::{ByteStream, ClientError};
use observe::pcapng::{Block, Direction, Reader, Stored};
use serde_json::json;
use wire::Summary;

use crate::clock;
use crate::door::Which;
use crate::look;
use crate::say;
use crate::signals::{self, Signals};
use crate::units;

/// Record frames as they pass the switch, each with what became of it
///
/// FILTER is tcpdump's language for Ethernet, pcap-filter(7), byte tests included: `icmp`, `tcp[tcpflags]
/// & tcp-syn != 0`, `len > 1000`, `inbound`. A node's name stands for its addresses: `host net1 and port
/// 80`. What is not read (`geneve`, `vxlan`, `ifindex`, words about links a lab does not have) is refused
/// with what to write instead; docs/filter.md lists it.
///
/// A frame is recorded where it came in (`in`) and again where it left (`out`). Ends with Ctrl-C; how
/// many frames were recorded, and lost for want of room, is said on stderr.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Ports, nodes or NODE:NETWORK (none: all), then a filter
    #[arg(value_name = "PORT… FILTER", add = crate::complete::ports())]
    words: Vec<String>,
    /// Write pcapng to FILE, or to standard output with `-`, instead of a line for each frame
    #[arg(short, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Stop after COUNT frames
    #[arg(short, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Keep the first BYTES of each frame
    #[arg(short, value_name = "BYTES", value_parser = snaplen)]
    snaplen: Option<usize>,
    /// Cut segments that travel as one frame into the packets a wire would carry
    #[arg(long)]
    segment: bool,
    /// Lines of JSON; times are nanoseconds since 1970, UTC
    #[arg(short, long, conflicts_with = "write")]
    json: bool,
    #[command(flatten)]
    which: Which,
}

fn snaplen(text: &str) -> Result<usize, String> {
    let bytes: usize = text.parse().map_err(|_| format!("{text} is no number of bytes"))?;
    // As tcpdump has it: 0 is all.
    Ok(if bytes == 0 { usize::MAX } else { bytes })
}

/// Runs the verb.
pub(crate) fn main(args: Args) -> anyhow::Result<ExitCode> {
    let signals = Signals::catch(signals::block()?)?;
    let client = args.which.client()?;
    let (ports, filter) = look::split(&args.which, &args.words)?;
    let Args { count, snaplen, segment, .. } = args;
    let ask = CaptureAsk { ports, filter, snaplen, segment, count };
    let stream = args.which.answer(client.capture(&ask))?;
    // What is in the file already is lost for a capture that begins, not for a slip in its filter.
    let mut output = Output::to(args.write.as_deref(), args.json)?;
    look::end_on(signals, args.which.clone(), stream.id())?;
    let zone = match output {
        Output::Lines { json: false, .. } => format!("; times are {}", clock::zone_name()),
        _ => String::new(),
    };
    say::note(&format!("recording frames in lab {}, until Ctrl-C{zone}", args.which.name));
    let Recorded { frames, lost, cut } = record(stream, &mut output)?;
    let frames = units::count(frames, "frame", "frames");
    say::note(&match lost {
        Some(lost) => format!("{frames} recorded, {lost} lost for want of room"),
        None => format!("{frames} recorded"),
    });
    if cut { Err(args.which.ended()) } else { Ok(ExitCode::SUCCESS) }
}

/// Where a capture goes.
pub(crate) enum Output {
    /// A line for each frame.
    Lines {
        /// As JSON.
        json: bool,
        /// The interfaces so far.
        names: Vec<String>,
    },
    /// A pipe: whoever reads may stop.
    Pipe(Box<dyn Write>),
    /// A file.
    File {
        /// It.
        file: File,
        /// Bytes of whole blocks in it.
        whole: u64,
        /// Its name.
        path: PathBuf,
    },
}

/// How much was recorded.
pub(crate) struct Recorded {
    frames: u64,
    /// Lost for want of room, where the lab came to say it.
    lost: Option<u64>,
    /// The lab ended before all of them had come.
    cut: bool,
}

/// Records until the lab ends the stream, or whoever reads has enough.
pub(crate) fn record(stream: ByteStream<'_>, output: &mut Output) -> anyhow::Result<Recorded> {
    let (mut reader, mut recorded) =
        (Reader::new(), Recorded { frames: 0, lost: None, cut: false });
    for bytes in stream {
        match bytes {
            Err(ClientError::Ended(_)) => {
                recorded.cut = true;
                break;
            }
            bytes => reader.feed(&bytes?),
        }
        let mut raw = Vec::new();
        while let Some((block, bytes)) = reader.block()? {
            raw.extend(bytes);
            match block {
                Block::Packet(packet) => {
                    recorded.frames += 1;
                    output.line(&packet);
                }
                Block::Interface { name } => output.name(name),
                Block::Statistics { lost, .. } => {
                    recorded.lost = Some(recorded.lost.unwrap_or(0) + lost);
                }
                Block::Other => {}
            }
        }
        if !output.write(&raw)? {
            break;
        }
    }
    Ok(recorded)
}

impl Output {
    /// Where it is asked to go; a file is begun anew.
    fn to(place: Option<&Path>, json: bool) -> anyhow::Result<Self> {
        let Some(path) = place else { return Ok(Self::Lines { json, names: Vec::new() }) };
        if path.as_os_str() != "-" {
            let file = File::create(path).with_context(|| format!("making {}", path.display()))?;
            return Ok(Self::File { file, whole: 0, path: path.into() });
        }
        if io::stdout().is_terminal() {
            bail!("standard output is a terminal: -w - is for a pipe, as in `| tcpdump -r -`");
        }
        say::writable()?;
        Ok(Self::Pipe(Box::new(io::stdout())))
    }

    fn name(&mut self, name: String) {
        if let Self::Lines { names, .. } = self {
            names.push(name);
        }
    }

    fn line(&self, packet: &Stored) {
        let Self::Lines { json, names } = self else { return };
        let port = names.get(packet.interface).map_or("?", String::as_str);
        let direction = if packet.direction == Direction::In { "in" } else { "out" };
        let summary = Summary::new(&packet.bytes).to_string();
        say::line(&if *json {
            let Stored { time, length, comment, .. } = packet;
            json!({
                "time": time, "port": port, "direction": direction, "length": length,
                "summary": summary, "comment": comment,
            })
            .to_string()
        } else {
            let what = packet.comment.split(';').next().unwrap_or_default();
            format!("{} {port} {direction} {summary} ({what})", clock::micros(packet.time))
        });
    }

    /// Writes whole blocks; false where whoever was reading has what they wanted.
    fn write(&mut self, blocks: &[u8]) -> anyhow::Result<bool> {
        match self {
            Self::Lines { .. } => {}
            Self::Pipe(pipe) => match pipe.write_all(blocks).and_then(|()| pipe.flush()) {
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(false),
                other => other.context("writing to standard output")?,
            },
            Self::File { file, whole, path } => {
                if let Err(error) = file.write_all(blocks) {
                    // What is there stays readable: no block is left half.
                    let _ = file.set_len(*whole);
                    return Err(error).with_context(|| format!("writing {}", path.display()));
                }
                *whole += blocks.len() as u64;
            }
        }
        Ok(true)
    }
}
