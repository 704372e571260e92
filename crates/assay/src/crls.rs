//! CRLs kept fresh beside the verifications, so that no admission waits for a large one.

use std::sync::Arc;
use std::time::Duration;

use assay_core::ports::{Clock, Fetch};
use assay_verifiers::Factory;

/// How often CRLs that end soon are looked for: five times in the ten minutes before their end.
const REFRESH_INTERVAL: Duration = Duration::from_secs(120);

/// What keeps CRLs fresh.
pub(crate) struct Crls {
    /// The factory of the process, which remembers them.
    pub(crate) factory: Factory,
    /// What reads them from servers.
    pub(crate) fetch: Arc<dyn Fetch>,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
}

impl Crls {
    /// Fetches anew, again and again, what ends soon. One that fails stays until its end, and is
    /// told of.
    pub(crate) async fn keep_fresh(self) {
        loop {
            tokio::time::sleep(REFRESH_INTERVAL).await;
            let Self { factory, fetch, clock } = &self;
            let (factory, fetch, clock) = (factory.clone(), fetch.clone(), clock.clone());
            // A task of its own: a panic, which is a defect, ends this round and not all others.
            let round = async move { factory.refresh_crls(&*fetch, &*clock).await };
            let stale = match tokio::spawn(round).await {
                Ok(stale) => stale,
                Err(error) => {
                    tracing::error!(%error, "fetching CRLs anew has failed");
                    continue;
                }
            };
            for crl in stale {
                let (host, error, ends) = (crl.host, crl.error, crl.ends);
                tracing::warn!(host, error, %ends, "a CRL that ends soon cannot be fetched anew");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use assay_core::StoreError;
    use assay_core::ports::FetchLimits;
    use async_trait::async_trait;
    use bytes::Bytes;
    use jiff::Timestamp;

    use super::*;

    /// A clock that counts how often it is looked at, once for the cluster and once for namespaces in
    /// each round, and a net of nobody.
    #[derive(Default)]
    struct World(AtomicUsize);

    impl Clock for World {
        fn now(&self) -> Timestamp {
            self.0.fetch_add(1, Ordering::SeqCst);
            Timestamp::UNIX_EPOCH
        }

        fn ticks(&self) -> Duration {
            Duration::ZERO
        }
    }

    #[async_trait]
    impl Fetch for World {
        async fn get(&self, _: &str, _: FetchLimits) -> Result<Bytes, StoreError> {
            Err(StoreError::Internal)
        }

        async fn post(
            &self,
            _: &str,
            _: &str,
            _: Bytes,
            _: FetchLimits,
        ) -> Result<Bytes, StoreError> {
            Err(StoreError::Internal)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn looks_every_two_minutes_and_no_oftener() {
        let world = Arc::<World>::default();
        // The timer's own step is a millisecond.
        for (millis, expect) in [(119_999, 0), (120_001, 2), (240_002, 4), (360_003, 6)] {
            let (factory, fetch, clock) = (Factory::default(), world.clone(), world.clone());
            let crls = Crls { factory, fetch, clock };
            world.0.store(0, Ordering::SeqCst);
            let time = Duration::from_millis(millis);
            assert!(tokio::time::timeout(time, crls.keep_fresh()).await.is_err());
            assert_eq!(world.0.load(Ordering::SeqCst), expect, "{millis}");
        }
    }
}
