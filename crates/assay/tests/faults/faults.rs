//! What goes wrong, and at which call to the world.

use std::future;
use std::panic;
use std::sync::{Mutex, Once};
use std::time::Duration;

use assay_core::{Digest, StoreError};

/// Longer than any review may take, and shorter than what runs behind it.
const LATE: Duration = Duration::from_secs(20);

/// What a panic says, so that the hook knows it for one of these.
const INJECTED: &str = "injected";

/// One way in which a call goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    /// It ends in this error; for credentials and namespaces, in one of their own.
    Error(StoreError),
    /// It never ends.
    Hang,
    /// It ends well, but too late.
    Late,
    /// It panics.
    Panic,
}

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    Credentials,
    Fetch,
    Namespaces,
    Store,
    Verifier,
}

/// The faults of one run, by the number of the call that each strikes.
#[derive(Default)]
pub(crate) struct Faults {
    run: Mutex<Run>,
}

#[derive(Default)]
struct Run {
    planned: Vec<(usize, Fault)>,
    calls: usize,
    struck: Vec<(Port, Fault)>,
}

impl Fault {
    /// Each error of each class, and what is no error.
    pub(crate) fn all() -> Vec<Self> {
        let host = || "registry.example".to_owned();
        let errors = [
            StoreError::Blocked { host: host(), reason: "loopback" },
            StoreError::Denied { host: host(), status: 403 },
            StoreError::DigestMismatch { expected: Digest::sha256(b"") },
            StoreError::Internal,
            StoreError::Malformed { host: host(), reason: "no JSON" },
            StoreError::NotFound { host: host() },
            StoreError::Overloaded { host: host() },
            StoreError::Throttled { host: host() },
            StoreError::Timeout { host: host() },
            StoreError::TooLarge { limit: 1 },
            StoreError::TooMany { what: "referrers", limit: 1 },
            StoreError::Unreachable { host: host(), reason: "cut off" },
        ];
        let others = [Self::Hang, Self::Late, Self::Panic];
        errors.map(Self::Error).into_iter().chain(others).collect()
    }

    /// One of each kind, of which two at a time are tried: it is not there, it is cut off, it is late,
    /// it breaks.
    pub(crate) fn kinds() -> Vec<Self> {
        let host = || "registry.example".to_owned();
        vec![
            Self::Error(StoreError::NotFound { host: host() }),
            Self::Error(StoreError::Unreachable { host: host(), reason: "cut off" }),
            Self::Late,
            Self::Panic,
        ]
    }

    /// Whether `port` may leave a verdict undecided for it, so that `onError` decides.
    pub(crate) fn is_unavailable(&self, port: Port) -> bool {
        match self {
            Self::Error(StoreError::Overloaded { .. }) => port == Port::Credentials,
            Self::Error(error) => port == Port::Credentials || is_transient(error),
            Self::Hang | Self::Late => true,
            Self::Panic => false,
        }
    }

    /// Whether a cache may keep what `port` says: what a registry answers, and not that it does not.
    pub(crate) fn is_answer(&self, port: Port) -> bool {
        match self {
            Self::Error(StoreError::Internal) | Self::Hang | Self::Late | Self::Panic => false,
            Self::Error(error) => {
                !matches!(port, Port::Credentials | Port::Namespaces) && !is_transient(error)
            }
        }
    }
}

/// Whether the next try may well end otherwise, by the contract: timeout, connection, TLS, 429, 5xx,
/// and what was not even tried.
fn is_transient(error: &StoreError) -> bool {
    use StoreError::{Overloaded, Throttled, Timeout, Unreachable};
    matches!(error, Overloaded { .. } | Throttled { .. } | Timeout { .. } | Unreachable { .. })
}

impl Faults {
    /// Begins a run with these faults.
    pub(crate) fn plan(&self, planned: &[(usize, Fault)]) {
        *self.run.lock().unwrap() = Run { planned: planned.to_vec(), ..Run::default() };
    }

    /// How many calls there were in this run.
    pub(crate) fn calls(&self) -> usize {
        self.run.lock().unwrap().calls
    }

    /// What has gone wrong in this run.
    pub(crate) fn struck(&self) -> Vec<(Port, Fault)> {
        self.run.lock().unwrap().struck.clone()
    }

    /// A call to `port`, which may go wrong.
    pub(crate) async fn call(&self, port: Port) -> Result<(), StoreError> {
        match self.strike(port) {
            None => Ok(()),
            Some(Fault::Error(error)) => Err(error),
            Some(Fault::Hang) => future::pending().await,
            Some(Fault::Late) => {
                tokio::time::sleep(LATE).await;
                Ok(())
            }
            Some(Fault::Panic) => panic::panic_any(INJECTED),
        }
    }

    fn strike(&self, port: Port) -> Option<Fault> {
        let mut run = self.run.lock().unwrap();
        let number = run.calls;
        run.calls += 1;
        let fault = run.planned.iter().find(|(planned, _)| *planned == number)?.1.clone();
        run.struck.push((port, fault.clone()));
        Some(fault)
    }
}

/// Lets injected panics pass in silence: there are thousands.
pub(crate) fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref() != Some(&INJECTED) {
                usual(info);
            }
        }));
    });
}
