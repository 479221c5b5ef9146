//! What a command writes to stderr, in mcpmux's own log and among its last lines.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt};
use tracing::info;

use crate::{
    backend::Tail,
    protocol::frame::{Line, Lines},
};

/// The longest line that is logged whole, in bytes.
const LONGEST: usize = 8 * 1024;

/// Reads stderr without end, so that the child never blocks on it.
pub(super) async fn log_lines(
    backend: Arc<str>,
    mut stderr: impl AsyncRead + Unpin,
    tail: Arc<Tail>,
) {
    let mut lines = Lines::new(LONGEST);
    while matches!(stderr.read_buf(lines.buffer()).await, Ok(1..)) {
        while let Some(line) = lines.next_line() {
            let text = match line {
                Line::Whole(line) => printable(&line),
                Line::TooLong => format!("(a line of more than {LONGEST} bytes)"),
            };
            tail.put(&text);
            info!(target: "mcpmux::stderr", %backend, "{text}");
        }
    }
}

/// What a terminal can be given: no control characters but tab.
pub(super) fn printable(line: &[u8]) -> String {
    String::from_utf8_lossy(line)
        .chars()
        .filter(|c| *c == '\t' || !c.is_control())
        .collect()
}
