//! Takes connections, a bounded number at once, until told to stop; then lets them finish.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long requests in flight are waited for at the end: as long as the API server waits for one.
const FINISH_MAX: Duration = Duration::from_secs(30);

/// The pause after a connection could not be taken: what is missing (file descriptors, memory) is
/// not there again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A socket that is listened on.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    connections_max: usize,
}

impl Listener {
    pub(crate) async fn bind(listen: SocketAddr, connections_max: usize) -> io::Result<Self> {
        let socket = TcpListener::bind(listen).await?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address, connections_max })
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves each connection in a task of its own until `shutdown`; then takes no more, tells
    /// those that are open to end after the request in flight, and waits for them.
    pub(crate) async fn serve<S, C>(self, shutdown: impl Future<Output = ()>, serve: S)
    where
        S: Fn(TcpStream, Watcher) -> C,
        C: Future<Output = ()> + Send + 'static,
    {
        let slots = Arc::new(Semaphore::new(self.connections_max));
        let ending = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            let (stream, slot) = tokio::select! {
                biased;
                () = &mut shutdown => break,
                accepted = self.accept(&slots) => accepted,
            };
            let connection = serve(stream, ending.watcher());
            connections.spawn(async move {
                connection.await;
                drop(slot);
            });
            while connections.try_join_next().is_some() {}
        }
        drop(self.socket);
        if timeout(FINISH_MAX, ending.shutdown()).await.is_err() {
            tracing::warn!(open = connections.len(), "connections cut off at the end");
        }
    }

    /// The next connection, once there is room for it: those beyond the bound wait in the kernel's
    /// queue.
    async fn accept(&self, slots: &Arc<Semaphore>) -> (TcpStream, Option<OwnedSemaphorePermit>) {
        // The semaphore is never closed, so that there always is a slot in the end.
        let slot = slots.clone().acquire_owned().await.ok();
        loop {
            match self.socket.accept().await {
                Ok((stream, _)) => {
                    // Without it an answer may wait for the acknowledgement of what went before.
                    let _ = stream.set_nodelay(true);
                    return (stream, slot);
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
