//! A look at one image: what is known of it so far, and what that makes of it for whoever cannot
//! wait for the rest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use assay_core::ports::Verifier;
use assay_core::{Access, AccessScope, Digest, ImageReference, Outcome, ReasonCode, State};
use assay_policy::{Finding, Work};
use futures_util::future::join_all;

use crate::accesses::{Elsewhere, Scopes, scopes};
use crate::context::{VERIFICATION_TIME_MAX, Verifications};
use crate::flights::{Ended, Full, Pilot};
use crate::resolve::{Ask, Resolution, Resolver};

/// How long the resolution may take, whoever waits for it: as long as a verification.
const RESOLUTION_TIME_MAX: Duration = VERIFICATION_TIME_MAX;

/// How long a look may take, whoever waits for it.
pub(crate) const LOOK_TIME_MAX: Duration =
    RESOLUTION_TIME_MAX.saturating_add(VERIFICATION_TIME_MAX);

/// What makes two looks the same: image and tag proof, verifiers by fingerprint, and scopes. Nobody
/// joins a look of other scopes than his own.
pub(crate) type LookKey = (ImageReference, bool, Vec<Digest>, Vec<AccessScope>, Scopes);

/// One look at one image.
pub(crate) struct Look {
    pub(crate) work: Work,
    /// Tried in turn; never empty.
    pub(crate) accesses: Arc<[Access]>,
    pub(crate) elsewhere: Arc<Elsewhere>,
    pub(crate) verifications: Arc<Verifications>,
}

/// What is known so far.
#[derive(Clone, Default)]
pub(crate) struct Progress {
    resolution: Option<Resolution>,
    /// By the verifier's fingerprint.
    outcomes: BTreeMap<Digest, Arc<Outcome>>,
}

/// Why something is not known.
#[derive(Debug)]
pub(crate) enum Gap {
    /// It should be.
    Defect,
    /// There was no room to find it out.
    Full(Full),
    /// It took longer than it may.
    Late,
    /// It is being found out.
    UnderWay,
}

impl Look {
    /// What makes another look the same.
    pub(crate) fn key(&self) -> LookKey {
        let Work { reference, prove_tag, verifiers } = &self.work;
        let fingerprints = verifiers.iter().map(|verifier| verifier.fingerprint().clone());
        let scopes = (scopes(&self.accesses), self.elsewhere.scopes());
        (reference.clone(), *prove_tag, fingerprints.collect(), scopes.0, scopes.1)
    }

    /// What is known without asking anyone.
    pub(crate) async fn known(&self) -> Progress {
        let resolution = self.resolver(Ask::Cache).resolve().await;
        let mut outcomes = BTreeMap::new();
        if let Some(Ok(subject)) = resolution.as_ref().map(|found| &found.subject) {
            for verifier in &self.work.verifiers {
                if let Some(outcome) =
                    self.verifications.known(verifier, subject, &self.elsewhere).await
                {
                    outcomes.insert(verifier.fingerprint().clone(), outcome);
                }
            }
        }
        Progress { resolution, outcomes }
    }

    /// Whether nothing more is to be found out.
    pub(crate) fn is_done(&self, known: &Progress) -> bool {
        match &known.resolution {
            None => false,
            Some(Resolution { subject: Err(_), .. }) => true,
            Some(_) => self.unverified(known).next().is_none(),
        }
    }

    /// Finds out what is not `known`, telling it as soon as it is.
    pub(crate) async fn go_on(self: Arc<Self>, known: Progress, pilot: Pilot<Progress>) {
        let resolution = match known.resolution.clone() {
            Some(resolution) => resolution,
            None => self.resolve().await,
        };
        pilot.tell(|progress| progress.resolution = Some(resolution.clone()));
        let Ok(subject) = &resolution.subject else {
            return;
        };
        let verifications = self.unverified(&known).map(|verifier| {
            let outcome = self.verifications.outcome(verifier, subject, &self.elsewhere, 0);
            async {
                let outcome = outcome.await;
                let fingerprint = verifier.fingerprint().clone();
                pilot.tell(|progress| _ = progress.outcomes.insert(fingerprint, outcome));
            }
        });
        join_all(verifications).await;
    }

    /// The finding that `known` is; what it lacks is undecided, or denied, because of `gap`.
    pub(crate) fn finding(&self, known: Progress, gap: &Gap) -> Finding {
        let unresolved = || Resolution::failed(gap.outcome("resolving the image"));
        let Resolution { subject, tag_proven } = known.resolution.unwrap_or_else(unresolved);
        let outcome = |verifier: &Arc<dyn Verifier>| {
            let fingerprint = verifier.fingerprint().clone();
            let outcome = known.outcomes.get(&fingerprint).map(|outcome| Outcome::clone(outcome));
            (fingerprint, outcome.unwrap_or_else(|| gap.outcome("verification")))
        };
        let verifiers = self.work.verifiers.iter().filter(|_| subject.is_ok());
        let outcomes = verifiers.map(outcome).collect();
        Finding { subject, tag_proven, outcomes, cached: false }
    }

    async fn resolve(&self) -> Resolution {
        let resolver = self.resolver(Ask::Registry);
        let resolved = tokio::time::timeout(RESOLUTION_TIME_MAX, resolver.resolve()).await;
        let late = || Resolution::failed(Gap::Late.outcome("resolving the image"));
        resolved.ok().flatten().unwrap_or_else(late)
    }

    fn resolver(&self, ask: Ask) -> Resolver<'_> {
        let store = self.verifications.store();
        Resolver { store, work: &self.work, accesses: &self.accesses, ask }
    }

    fn unverified<'a>(
        &'a self,
        known: &'a Progress,
    ) -> impl Iterator<Item = &'a Arc<dyn Verifier>> {
        let verifiers = self.work.verifiers.iter();
        verifiers.filter(|verifier| !known.outcomes.contains_key(verifier.fingerprint()))
    }
}

impl Gap {
    /// Why a flight that ended so, or has not ended, does not tell.
    pub(crate) fn of(ended: Option<Ended>) -> Self {
        match ended {
            None => Self::UnderWay,
            Some(Ended::Late) => Self::Late,
            Some(Ended::Done | Ended::Panicked) => Self::Defect,
        }
    }

    /// What takes the place of the outcome of `step`.
    pub(crate) fn outcome(&self, step: &str) -> Outcome {
        let timeout = State::Unavailable(ReasonCode::Timeout);
        match self {
            Self::Defect => Outcome::new(State::Rejected(ReasonCode::Internal), "internal error"),
            Self::Full(full) => {
                Outcome::new(State::Unavailable(ReasonCode::Overloaded), full.to_string())
            }
            Self::Late => Outcome::new(timeout, format!("{step} took too long")),
            Self::UnderWay => Outcome::new(timeout, format!("{step} was still under way")),
        }
    }
}
