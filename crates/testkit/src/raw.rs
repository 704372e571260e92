//! A server that writes scripted bytes, for answers that no HTTP library would send.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What one connection to a [`RawServer`] gets once its request head was read.
#[derive(Debug, Clone)]
pub enum RawAnswer {
    /// These bytes, then an orderly end.
    Close(Vec<u8>),
    /// These bytes one by one, with this much time between two, then an orderly end.
    Drip(Vec<u8>, Duration),
    /// These bytes, then silence for as long as the server lives.
    Hang(Vec<u8>),
    /// These bytes, then a TCP reset, which may overtake them.
    Reset(Vec<u8>),
}

/// A TCP server on loopback that ends when dropped.
#[derive(Debug)]
pub struct RawServer {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl RawServer {
    /// A server whose n-th connection gets the n-th answer, and every later one the last.
    ///
    /// # Errors
    /// When no loopback port can be bound.
    pub async fn start(script: Vec<RawAnswer>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let connections = Arc::<AtomicUsize>::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, script, Arc::clone(&connections)));
        Ok(Self { address, connections, _tasks: tasks })
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, script: Vec<RawAnswer>, connections: Arc<AtomicUsize>) {
    let mut tasks = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let turn = connections.fetch_add(1, Ordering::SeqCst);
        if let Some(answer) = script.get(turn).or(script.last()) {
            tasks.spawn(play(stream, answer.clone()));
        }
        while tasks.try_join_next().is_some() {}
    }
}

/// Plays one answer. A client that goes away early ends it, which is no fault of the server's.
async fn play(mut stream: TcpStream, answer: RawAnswer) -> io::Result<()> {
    read_request_head(&mut stream).await?;
    match answer {
        RawAnswer::Close(bytes) => {
            stream.write_all(&bytes).await?;
            stream.shutdown().await
        }
        RawAnswer::Drip(bytes, pause) => {
            for byte in bytes {
                stream.write_u8(byte).await?;
                tokio::time::sleep(pause).await;
            }
            stream.shutdown().await
        }
        RawAnswer::Hang(bytes) => {
            stream.write_all(&bytes).await?;
            std::future::pending().await
        }
        RawAnswer::Reset(bytes) => {
            stream.write_all(&bytes).await?;
            stream.set_zero_linger()
        }
    }
}

/// Bytes of a request head read before answering anyway; heads of our own clients are below 2 KiB.
const REQUEST_HEAD_BYTES_MAX: usize = 64 * 1024;

async fn read_request_head(stream: &mut TcpStream) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < REQUEST_HEAD_BYTES_MAX {
        if stream.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client reads until the end, and how the connection ended.
    async fn read(host: &str) -> (Vec<u8>, Option<io::ErrorKind>) {
        let mut stream = TcpStream::connect(host).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let end = stream.read_to_end(&mut answer).await;
        (answer, end.err().map(|error| error.kind()))
    }

    #[tokio::test]
    async fn plays_the_script_then_repeats_its_end() {
        let script = [b"one", b"two"].map(|bytes| RawAnswer::Close(bytes.to_vec()));
        let server = RawServer::start(script.into()).await.unwrap();
        for expect in [b"one", b"two", b"two"] {
            assert_eq!(read(&server.host()).await, (expect.to_vec(), None));
        }
        assert_eq!(server.connections(), 3);
    }

    #[tokio::test]
    async fn resets_when_told_to() {
        let server = RawServer::start(vec![RawAnswer::Reset(Vec::new())]).await.unwrap();
        let (_, end) = read(&server.host()).await;
        assert_eq!(end, Some(io::ErrorKind::ConnectionReset));
    }
}
