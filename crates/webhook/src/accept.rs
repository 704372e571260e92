//! Takes connections, a bounded number at once, until told to stop; then lets them finish.
//!
//! Whoever only holds connections keeps nobody out: where all are taken, the oldest on which nothing
//! was asked yet makes room for the next.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper_util::server::graceful::GracefulConnection;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long connections are waited for at the end, for answers to reach whoever asked: a few round
/// trips, for the slowest.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// The pause after a connection could not be taken: what is missing (file descriptors, memory) is
/// not there again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How far a server is on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It serves.
    Serving,
    /// It serves, and clients are told to go elsewhere.
    Leaving,
    /// It takes no more requests.
    Ended,
}

/// A socket that is listened on.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    connections_max: usize,
}

/// The connections on which nothing was asked yet, in the order of their coming.
#[derive(Debug, Default)]
struct Silent(Mutex<BTreeMap<u64, Arc<Notify>>>);

/// A connection's place, which it may have to leave for another until something was asked over it.
#[derive(Debug)]
pub(crate) struct Seat {
    number: u64,
    silent: Arc<Silent>,
}

impl Silent {
    /// The place of connection `number`, and what tells when it is to be left.
    fn seat(self: &Arc<Self>, number: u64) -> (Seat, Arc<Notify>) {
        let leave = Arc::<Notify>::default();
        self.lock().insert(number, leave.clone());
        (Seat { number, silent: self.clone() }, leave)
    }

    /// Has the oldest leave, where there is one.
    fn make_room(&self) {
        if let Some((_, leave)) = self.lock().pop_first() {
            leave.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Keeps the place: something was asked, by somebody who may.
    pub(crate) fn keep(&self) {
        self.silent.lock().remove(&self.number);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.keep();
    }
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
    /// those that are open by `phase`, and waits until they let go of it.
    pub(crate) async fn serve<S, C>(
        self,
        phase: &watch::Sender<Phase>,
        shutdown: impl Future<Output = ()>,
        serve: S,
    ) where
        S: Fn(TcpStream, watch::Receiver<Phase>, Seat) -> C,
        C: Future<Output = ()> + Send + 'static,
    {
        let slots = Arc::new(Semaphore::new(self.connections_max));
        let silent = Arc::<Silent>::default();
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        for number in 0.. {
            let (stream, slot) = tokio::select! {
                biased;
                () = &mut shutdown => break,
                accepted = self.accept(&slots, &silent) => accepted,
            };
            let (seat, leave) = silent.seat(number);
            let connection = serve(stream, phase.subscribe(), seat);
            connections.spawn(async move {
                tokio::select! {
                    () = connection => {}
                    () = leave.notified() => tracing::debug!("a silent connection makes room"),
                }
                drop(slot);
            });
            while connections.try_join_next().is_some() {}
        }
        drop(self.socket);
        phase.send_replace(Phase::Ended);
        if timeout(CLOSE_MAX, phase.closed()).await.is_err() {
            tracing::warn!(open = connections.len(), "connections cut off at the end");
        }
    }

    /// The next connection, once there is room for it. Beyond the bound one waits here, and the
    /// others in the kernel's queue.
    async fn accept(
        &self,
        slots: &Arc<Semaphore>,
        silent: &Silent,
    ) -> (TcpStream, Option<OwnedSemaphorePermit>) {
        let stream = self.take().await;
        if slots.available_permits() == 0 {
            silent.make_room();
        }
        // The semaphore is never closed, so that there always is a slot in the end.
        (stream, slots.clone().acquire_owned().await.ok())
    }

    async fn take(&self) -> TcpStream {
        loop {
            match self.socket.accept().await {
                Ok((stream, _)) => {
                    // Without it an answer may wait for the acknowledgement of what went before.
                    let _ = stream.set_nodelay(true);
                    return stream;
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// What `connection` ends in. Once it is `told`, it finishes the requests in flight and takes no
/// others.
pub(crate) async fn finish_once<C: GracefulConnection>(
    told: impl Future<Output = ()>,
    connection: C,
) -> C::Output {
    let mut connection = pin!(connection);
    tokio::select! {
        ended = &mut connection => return ended,
        () = told => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

/// Waits for the end.
pub(crate) async fn ended(phase: &mut watch::Receiver<Phase>) {
    // A server that is gone has ended as well.
    let _ = phase.wait_for(|phase| *phase == Phase::Ended).await;
}

#[cfg(test)]
mod tests;
