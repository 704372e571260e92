//! Who of the replicas writes: whoever holds a Lease. Two may think so for a moment, which does no
//! harm here: they write the same.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use assay_core::ports::Clock;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};

/// The Lease's name, in Assay's own namespace.
pub(crate) const LEASE: &str = "assay-status-writer";

/// How long a Lease that nobody renews stays its holder's (as in client-go).
const LEASE_TIME: Duration = Duration::from_secs(15);
/// How long a holder that cannot renew goes on, which is shorter, so that it stops before another
/// starts (as in client-go).
const HOLD_TIME: Duration = Duration::from_secs(10);
/// How often it is renewed or looked at.
pub(crate) const RENEW_INTERVAL: Duration = Duration::from_secs(5);
/// How long one request may take.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(4);

/// One replica's view of the Lease.
pub(crate) struct Leadership {
    api: Api<Lease>,
    identity: String,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When the Lease was last ours, in ticks of the clock.
    held: Option<Duration>,
    /// Another's Lease as it was seen, by version, and when that was new. Its own time of renewal is
    /// not looked at: the clocks of two machines may differ.
    seen: Option<(String, Duration)>,
}

impl Leadership {
    /// A replica called `identity`, which no other is called.
    pub(crate) fn new(
        client: Client,
        namespace: &str,
        identity: String,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { api: Api::namespaced(client, namespace), identity, clock, state: Mutex::default() }
    }

    /// Whether this replica writes.
    pub(crate) fn is_held(&self) -> bool {
        let held = self.state.lock().unwrap_or_else(PoisonError::into_inner).held;
        held.is_some_and(|held| self.clock.ticks().saturating_sub(held) < HOLD_TIME)
    }

    /// Renews the Lease for good, or takes it when it is free.
    pub(crate) async fn run(&self) {
        loop {
            self.step().await;
            tokio::time::sleep(RENEW_INTERVAL).await;
        }
    }

    /// Looks at the Lease once.
    pub(crate) async fn step(&self) {
        let before = self.is_held();
        // What is written counts from before the request: it may have taken effect at once.
        let start = self.clock.ticks();
        let result = tokio::time::timeout(REQUEST_TIME_MAX, self.try_hold()).await;
        match result {
            Ok(Ok(held)) => {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                state.held = held.then_some(start);
            }
            // Held until the time is up: the API server may be back before.
            Ok(Err(error)) => tracing::debug!(%error, "the Lease cannot be had"),
            Err(_) => tracing::debug!("the Lease cannot be had in time"),
        }
        if before != self.is_held() {
            tracing::info!(writes_status = !before, identity = self.identity, "status writer");
        }
    }

    async fn try_hold(&self) -> kube::Result<bool> {
        let written = match self.api.get_opt(LEASE).await? {
            None => self.api.create(&PostParams::default(), &self.lease(None)).await,
            Some(lease) if self.may_take(&lease) => {
                // With the version that was read, so that of two replicas one succeeds.
                let lease = self.lease(Some(lease));
                self.api.replace(LEASE, &PostParams::default(), &lease).await
            }
            Some(_) => return Ok(false),
        };
        match written {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the Lease is ours, or nobody's: given up, or not renewed for as long as we looked.
    fn may_take(&self, lease: &Lease) -> bool {
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
        if holder.is_none_or(|holder| holder.is_empty() || holder == self.identity) {
            return true;
        }
        let now = self.clock.ticks();
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &state.seen {
            Some((seen, since)) if *seen == version => now.saturating_sub(*since) >= LEASE_TIME,
            _ => {
                state.seen = Some((version, now));
                false
            }
        }
    }

    /// The Lease as we hold it from now on.
    fn lease(&self, before: Option<Lease>) -> Lease {
        let now = MicroTime(self.clock.now());
        let Lease { metadata, spec } = before.unwrap_or_else(|| Lease {
            metadata: ObjectMeta { name: Some(LEASE.to_owned()), ..ObjectMeta::default() },
            spec: None,
        });
        let before = spec.unwrap_or_default();
        let own = before.holder_identity.as_deref() == Some(&self.identity);
        let transitions = before.lease_transitions.unwrap_or_default();
        let spec = LeaseSpec {
            acquire_time: if own { before.acquire_time } else { Some(now.clone()) },
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(LEASE_TIME.as_secs()).ok(),
            lease_transitions: Some(if own { transitions } else { transitions.saturating_add(1) }),
            renew_time: Some(now),
            ..LeaseSpec::default()
        };
        Lease { metadata, spec: Some(spec) }
    }
}
