//! A sign of life that goes the way of a client: each socket's loop is given a
//! connection as if it had accepted it, and a request is answered over it.

use std::{
    io,
    sync::{Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::mpsc,
};

use super::endpoint::HEALTH;

/// The way to every loop that accepts connections.
#[derive(Debug, Default)]
pub struct Pulse(Mutex<Vec<mpsc::Sender<UnixStream>>>);

impl Pulse {
    /// Where one loop is given connections.
    pub(super) fn felt(&self) -> mpsc::Receiver<UnixStream> {
        let (sender, felt) = mpsc::channel(1);
        let mut loops = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        loops.push(sender);
        felt
    }

    /// Waits until every loop that is there has had a request answered; for ever if
    /// one of them does not. Error: it was answered otherwise than it should be.
    pub async fn beat(&self) -> io::Result<()> {
        let loops = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for one in loops {
            // Without descriptors nobody is served, and a new start would not help.
            let Ok((mut own, theirs)) = UnixStream::pair() else {
                return Ok(());
            };
            if one.send(theirs).await.is_err() {
                // It has stopped accepting.
                continue;
            }
            let request =
                format!("GET {HEALTH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            own.write_all(request.as_bytes()).await?;
            let mut answer = Vec::new();
            own.read_to_end(&mut answer).await?;
            if !answer.starts_with(b"HTTP/1.1 200 ") {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::timeout,
    };

    use super::*;

    /// Answers like the loop of a socket.
    async fn serve(mut felt: mpsc::Receiver<UnixStream>, answer: &'static [u8]) {
        while let Some(mut stream) = felt.recv().await {
            let mut request = [0; 512];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /healthz "));
            stream.write_all(answer).await.unwrap();
        }
    }

    #[tokio::test]
    async fn every_loop_must_answer() {
        let pulse = Pulse::default();
        let first = tokio::spawn(serve(pulse.felt(), b"HTTP/1.1 200 OK\r\n\r\nok"));
        assert!(pulse.beat().await.is_ok());
        let stuck = pulse.felt();
        let beat = timeout(Duration::from_millis(100), pulse.beat()).await;
        assert!(beat.is_err(), "one of them is stuck");
        // What has stopped accepting need not answer.
        drop(stuck);
        assert!(pulse.beat().await.is_ok());
        first.abort();
        let _ = first.await;
        assert!(pulse.beat().await.is_ok());
    }

    #[tokio::test]
    async fn another_answer_is_none() {
        let pulse = Pulse::default();
        tokio::spawn(serve(
            pulse.felt(),
            b"HTTP/1.1 503 Service Unavailable\r\n\r\n",
        ));
        assert!(pulse.beat().await.is_err());
    }
}
