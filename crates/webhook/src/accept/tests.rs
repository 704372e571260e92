use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::*;

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// A listener that serves each connection by telling of it and holding it until it may end. What
/// a connection sends keeps its place.
struct Held {
    address: SocketAddr,
    started: mpsc::UnboundedReceiver<()>,
    kept: mpsc::UnboundedReceiver<()>,
    may_end: Arc<Semaphore>,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<()>,
}

async fn hold(connections_max: usize) -> Held {
    let listener = Listener::bind(ANY, connections_max).await.unwrap();
    let address = listener.local_addr();
    let (starts, started) = mpsc::unbounded_channel();
    let (keeps, kept) = mpsc::unbounded_channel();
    let may_end = Arc::new(Semaphore::new(0));
    let (stop, stopped) = oneshot::channel::<()>();
    let held = may_end.clone();
    let serve = move |mut stream: TcpStream, phase, seat: Seat| {
        let (starts, keeps, may_end) = (starts.clone(), keeps.clone(), held.clone());
        async move {
            starts.send(()).unwrap();
            let asked = async {
                stream.read_exact(&mut [0]).await.unwrap();
                seat.keep();
                keeps.send(()).unwrap();
                std::future::pending().await
            };
            tokio::select! {
                () = asked => {}
                may = may_end.acquire() => may.unwrap().forget(),
            }
            drop((stream, phase));
        }
    };
    let stopped = async move { stopped.await.unwrap() };
    let phase = watch::Sender::new(Phase::Serving);
    let ended = tokio::spawn(async move { listener.serve(&phase, stopped, serve).await });
    Held { address, started, kept, may_end, stop, ended }
}

impl Held {
    async fn connect(&mut self) -> TcpStream {
        let client = TcpStream::connect(self.address).await.unwrap();
        self.started.recv().await.unwrap();
        client
    }

    /// A connection over which something was asked.
    async fn ask(&mut self) -> TcpStream {
        let mut client = self.connect().await;
        client.write_all(b"?").await.unwrap();
        self.kept.recv().await.unwrap();
        client
    }
}

/// Lets everything go on that can.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn serves_as_many_connections_at_once_as_are_allowed() {
    let mut held = hold(2).await;
    let _clients = [held.ask().await, held.ask().await];
    let _third = TcpStream::connect(held.address).await.unwrap();
    settle().await;
    assert!(held.started.try_recv().is_err(), "the third must wait");
    held.may_end.add_permits(1);
    held.started.recv().await.unwrap();
}

#[tokio::test]
async fn oldest_silent_connection_makes_room() {
    let mut held = hold(3).await;
    let _asked = held.ask().await;
    let (mut oldest, mut younger) = (held.connect().await, held.connect().await);
    for silent in [&mut oldest, &mut younger] {
        held.ask().await;
        assert_eq!(silent.read(&mut [0]).await.unwrap(), 0, "closed for the next");
    }
    assert!(held.may_end.available_permits() == 0, "none ended by itself");
}

#[tokio::test]
async fn ends_once_the_connections_have() {
    let mut held = hold(2).await;
    let mut client = TcpStream::connect(held.address).await.unwrap();
    held.started.recv().await.unwrap();
    held.stop.send(()).unwrap();
    while TcpStream::connect(held.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    settle().await;
    assert!(!held.ended.is_finished());
    held.may_end.add_permits(1);
    held.ended.await.unwrap();
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn cuts_off_connections_that_do_not_end() {
    let mut held = hold(2).await;
    let mut client = TcpStream::connect(held.address).await.unwrap();
    held.started.recv().await.unwrap();
    tokio::time::pause();
    let start = Instant::now();
    held.stop.send(()).unwrap();
    held.ended.await.unwrap();
    assert!(start.elapsed() >= CLOSE_MAX && start.elapsed() < CLOSE_MAX * 2);
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
}
