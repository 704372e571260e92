//! Stands between clients and servers on loopback, in threads that end with it: in place of a Service
//! before replicas, and of a network that is slow.

use std::io::{Read, Write, copy};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::Result;

use crate::cluster::Cluster;
use crate::webhook::{FailurePolicy, Ports, Webhook, register};

/// The replicas of a webhook behind one address. Each new connection goes to the next one that is
/// ready, as kube-proxy's do.
#[derive(Debug)]
pub struct Balancer(Relay);

/// A registry's address whose answers take their time while it is told to.
#[derive(Debug)]
pub struct SlowLine {
    relay: Relay,
    delay_ms: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Relay {
    port: u16,
    closed: Arc<AtomicBool>,
}

impl Balancer {
    /// The replicas behind a port.
    ///
    /// # Errors
    /// When none is free.
    pub fn start(replicas: &[&Webhook]) -> Result<Self> {
        let replicas: Vec<Ports> = replicas.iter().map(|replica| replica.ports()).collect();
        let next = AtomicU64::new(0);
        let choose = move || {
            let ready: Vec<&Ports> = replicas.iter().filter(|ports| ports.is_ready()).collect();
            let next = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap_or_default();
            Some(ready.get(next.checked_rem(ready.len())?)?.webhook)
        };
        Ok(Self(Relay::start(choose, Arc::default())?))
    }

    /// Registers the replicas as the webhook.
    ///
    /// # Errors
    /// When the registration is refused.
    pub fn register(&self, cluster: &Cluster) -> Result<()> {
        register(cluster, self.0.port, FailurePolicy::Fail)
    }
}

impl SlowLine {
    /// A line to a `host:port` of loopback, which is quick at first.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start(host: &str) -> Result<Self> {
        let port: u16 = host.rsplit(':').next().unwrap_or_default().parse()?;
        let delay_ms = Arc::<AtomicU64>::default();
        Ok(Self { relay: Relay::start(move || Some(port), delay_ms.clone())?, delay_ms })
    }

    /// The host and port at this end.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.relay.port)
    }

    /// From now on each piece of an answer comes so much later.
    pub fn delay(&self, delay: Duration) {
        let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.delay_ms.store(delay, Ordering::Relaxed);
    }
}

impl Relay {
    /// Takes connections on a free port and hands each to the port that `choose` says, if any.
    fn start(
        choose: impl Fn() -> Option<u16> + Send + 'static,
        delay_ms: Arc<AtomicU64>,
    ) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let closed = Arc::<AtomicBool>::default();
        let is_closed = closed.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if is_closed.load(Ordering::Relaxed) {
                    break;
                }
                let server = choose().and_then(|port| TcpStream::connect(("127.0.0.1", port)).ok());
                // Nobody to hand it to: it is closed.
                if let Some(server) = server {
                    join(&client, &server, &delay_ms);
                }
            }
        });
        Ok(Self { port, closed })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        // So that it is looked at.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Carries what each of the two says to the other, until one has nothing more to say.
fn join(client: &TcpStream, server: &TcpStream, delay_ms: &Arc<AtomicU64>) {
    let (Ok(mut up), Ok(mut down)) = (duplicate(client, server), duplicate(server, client)) else {
        return;
    };
    let delay_ms = delay_ms.clone();
    thread::spawn(move || {
        let _ = copy(&mut up.0, &mut up.1);
        let _ = up.1.shutdown(Shutdown::Write);
    });
    thread::spawn(move || {
        let mut piece = [0; 16 * 1024];
        while let Ok(length @ 1..) = down.0.read(&mut piece) {
            sleep(Duration::from_millis(delay_ms.load(Ordering::Relaxed)));
            if down.1.write_all(piece.get(..length).unwrap_or_default()).is_err() {
                break;
            }
        }
        let _ = down.1.shutdown(Shutdown::Write);
    });
}

fn duplicate(from: &TcpStream, to: &TcpStream) -> std::io::Result<(TcpStream, TcpStream)> {
    Ok((from.try_clone()?, to.try_clone()?))
}
