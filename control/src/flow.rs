//! Bytes on their way to one client for as long as it listens: captures and traces.
//!
//! The lab writes from a thread of its own, which waits where the client is slow: what then does
//! not fit is lost, and counted, in the lab's own bounded queue. At most [`CHUNKS`] chunks wait here.
//! When the client goes, or the server ends, writing fails and the lab's thread ends.

use tokio::sync::mpsc;

/// Chunks written and not yet sent.
const CHUNKS: usize = 4;
/// The size a chunk should have at most; a single frame may be more.
pub const CHUNK: usize = 64 * 1024;

/// The client's end.
#[derive(Debug)]
pub struct Flow {
    /// By which the flow can be ended in an orderly way.
    pub id: u64,
    pub(crate) chunks: mpsc::Receiver<Vec<u8>>,
}

/// The lab's end.
#[derive(Clone, Debug)]
pub struct FlowWriter(mpsc::Sender<Vec<u8>>);

/// A flow and its writer.
#[must_use]
pub fn flow(id: u64) -> (FlowWriter, Flow) {
    let (sender, chunks) = mpsc::channel(CHUNKS);
    (FlowWriter(sender), Flow { id, chunks })
}

impl FlowWriter {
    /// Writes a chunk, waiting for room; false where nobody listens any more. Not to be called
    /// from within the server's own tasks.
    #[must_use]
    pub fn write(&self, chunk: Vec<u8>) -> bool {
        self.0.blocking_send(chunk).is_ok()
    }

    /// Whether nobody listens any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}
