//! What a client hears over stdio that launched mcpmux in vain. Clients show how a
//! server answered, and seldom what it wrote to stderr.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use crate::protocol::{
    Kind, Message, RpcError,
    error::UNAVAILABLE,
    frame::{Line, Lines, one_line},
    method,
};

/// How long a client may take to ask.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest question.
const LONGEST: usize = 1 << 20;

/// Tells the client on stdin and stdout `why` it is not served; nothing where there
/// is a person in its place.
pub(super) async fn tell(why: &str) {
    if io::stdin().is_terminal() {
        return;
    }
    let _ = timeout(
        PATIENCE,
        answer(tokio::io::stdin(), tokio::io::stdout(), why),
    )
    .await;
}

/// Answers what is asked until the handshake has failed: a client of the modern era
/// asks for `initialize` once it is refused otherwise.
async fn answer(
    mut input: impl AsyncRead + Unpin,
    mut output: impl AsyncWrite + Unpin,
    why: &str,
) -> io::Result<()> {
    let error = RpcError::new(UNAVAILABLE, why);
    let mut lines = Lines::new(LONGEST);
    while input.read_buf(lines.buffer()).await? > 0 {
        while let Some(line) = lines.next_line() {
            let Line::Whole(line) = line else { continue };
            let Ok(message) = Message::parse(line) else {
                continue;
            };
            if let Kind::Request { .. } = message.kind() {
                let refusal = Message::failure(message.id(), &error).into_bytes();
                output.write_all(&one_line(&refusal)).await?;
                output.write_all(b"\n").await?;
                output.flush().await?;
            }
            if message.method() == Some(method::INITIALIZE) {
                return Ok(());
            }
        }
    }
    Ok(())
}
