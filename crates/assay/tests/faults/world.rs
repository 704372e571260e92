//! A review under nine policies, each run of it in an engine of its own, and what must hold of every
//! run.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use assay_api::{CompileOptions, GivenSources, compile, read_documents};
use assay_engine::{CacheConfig, Executor, Ports, SharedSnapshot};
use assay_policy::{Effect, Request, Verdict};
use assay_testkit::cosign::SigningKey;
use assay_webhook::{Handler, Judge};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::faults::{Fault, Faults, Port, hush};
use crate::ports::{Faulty, Nobody, Outside};

/// What the API server gives the webhook, as it says it.
const TIMEOUT: &str = "10s";

/// Within this the answer must be on its way.
const ANSWERED: Duration = Duration::from_millis(9_100);

/// Longer than anything goes on behind an answer.
const SETTLED: Duration = Duration::from_secs(200);

/// How long everything is cached: longer than what goes on, so that nothing wrong is forgotten.
const TTL: Duration = Duration::from_secs(3600);

/// Each action, and the least that a policy with it does where it is violated.
const ACTIONS: [(&str, Effect); 3] =
    [("deny", Effect::Undecided), ("warn", Effect::Warn), ("dryrun", Effect::Dryrun)];

const ON_ERROR: [&str; 3] = ["deny", "warn", "allow"];

/// One review.
pub(crate) struct World {
    outside: Arc<Outside>,
    snapshot: SharedSnapshot,
    review: Bytes,
    /// Whether nothing is wrong with it.
    is_good: bool,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq)]
struct Answer {
    allowed: bool,
    code: Value,
    reasons: Value,
    /// Of each image and policy; nothing where there was no verdict.
    policies: Vec<Said>,
}

/// What one policy said about one image.
#[derive(Clone, Debug, PartialEq)]
struct Said {
    policy: String,
    effect: Effect,
    is_violated: bool,
}

/// The engine, listened to.
#[derive(Clone)]
struct Tap {
    executor: Arc<Executor>,
    heard: Arc<Mutex<Vec<Said>>>,
}

impl Judge for Tap {
    async fn judge(&self, request: &Request) -> Verdict {
        let verdict = self.executor.judge(request).await;
        let policies = verdict.images.iter().flat_map(|image| &image.policies);
        let said = policies.map(|policy| Said {
            policy: policy.policy.name.clone(),
            effect: policy.effect,
            is_violated: !policy.violations.is_empty(),
        });
        *self.heard.lock().unwrap() = said.collect();
        verdict
    }
}

impl World {
    /// A review of `images` where every policy has this `match`, this glob, and trusts `key`.
    pub(crate) fn new(
        outside: Outside,
        (matching, glob): (&str, &str),
        key: &SigningKey,
        images: &[String],
        is_good: bool,
    ) -> Self {
        hush();
        let key = json!(key.public_key_pem().unwrap());
        let mut text = format!(
            "apiVersion: assay.dev/v1alpha1\nkind: ClusterTrustStore\nmetadata: {{name: keys}}\n\
             spec: {{publicKeys: {{inline: {key}}}}}\n"
        );
        for (name, (action, _), on_error) in policies() {
            text.push_str(&format!(
                "---\napiVersion: assay.dev/v1alpha1\nkind: ClusterImageAdmissionPolicy\n\
                 metadata: {{name: {name}}}\n\
                 spec:\n  enforcementAction: {action}\n  onError: {on_error}\n  match: {matching}\n  \
                 verifiers: [{{name: signature, cosign: {{keys: [{{trustStore: keys}}]}}}}]\n  \
                 rules: [{{images: ['{glob}'], require: {{all: [signature]}}}}]\n"
            ));
        }
        let documents = read_documents(Path::new("policies.yaml"), text.as_bytes());
        let sources = GivenSources { documents: &documents, read: &|_| Err(String::new()) };
        let options = CompileOptions {
            registries: [outside.registry.host()].into(),
            ..CompileOptions::default()
        };
        let factory = Faulty(outside.faults.clone());
        let compiled = compile(&documents, &options, &sources, &factory, None);
        assert_eq!(compiled.problems, []);
        let snapshot = Arc::new(Arc::new(compiled.snapshot).into());
        Self { outside: Arc::new(outside), snapshot, review: review(images), is_good }
    }

    /// Tries every fault at every call, and every two of different kinds at every two.
    pub(crate) async fn check(&self) {
        let (right, calls) = self.check_run(&[], None).await;
        assert_eq!(right.allowed, self.is_good, "{right:?}");
        assert!(calls > 5, "{calls} calls");
        for first in 0..calls {
            for fault in Fault::all() {
                let is_of_two = Fault::kinds().contains(&fault);
                let first = (first, fault);
                let (_, calls) = self.check_run(std::slice::from_ref(&first), Some(&right)).await;
                for second in (first.0 + 1..calls).filter(|_| is_of_two) {
                    for fault in Fault::kinds() {
                        let faults = [first.clone(), (second, fault)];
                        self.check_run(&faults, Some(&right)).await;
                    }
                }
            }
        }
    }

    fn faults(&self) -> &Faults {
        &self.outside.faults
    }

    /// One run with these faults, and one more when all is well again, which must be `right`: the
    /// answer of the first, and how many calls it made, those behind its back too.
    async fn check_run(
        &self,
        faults: &[(usize, Fault)],
        right: Option<&Answer>,
    ) -> (Answer, usize) {
        let tap = self.tap();
        let handler = Handler::new(tap.clone(), self.outside.clone(), Arc::new(Nobody));
        self.faults().plan(faults);
        let answer = self.ask(&handler, &tap).await;
        tokio::time::sleep(SETTLED).await;
        let (struck, calls) = (self.faults().struck(), self.faults().calls());
        assert_eq!(struck.len(), faults.len(), "{faults:?}");
        self.check_shut(&answer, &struck);

        self.faults().plan(&[]);
        if struck.iter().any(|(port, fault)| fault.is_answer(*port)) {
            tokio::time::sleep(TTL).await;
        }
        let again = self.ask(&handler, &tap).await;
        assert_eq!(&again, right.unwrap_or(&answer), "after {struck:?}");
        (answer, calls)
    }

    /// That no policy lets pass what is wrong, but those that say so where the world is not there.
    fn check_shut(&self, answer: &Answer, struck: &[(Port, Fault)]) {
        if self.is_good {
            return;
        }
        assert!(!answer.allowed, "{struck:?}: {answer:?}");
        let is_unavailable = struck.iter().any(|(port, fault)| fault.is_unavailable(*port));
        for (name, (_, strict), on_error) in policies() {
            let mildest = match on_error {
                "warn" if is_unavailable => strict.min(Effect::Warn),
                "allow" if is_unavailable => Effect::Allow,
                _ => strict,
            };
            let said = answer.policies.iter().filter(|said| said.policy == name);
            let strictest = said.max_by_key(|said| (said.effect, said.is_violated));
            let is_shut = strictest.is_some_and(|said| said.effect >= mildest && said.is_violated);
            assert!(is_shut || answer.policies.is_empty(), "{name}: {struck:?}: {answer:?}");
        }
    }

    /// The answer to the review, in time.
    async fn ask(&self, handler: &Arc<Handler<Tap>>, tap: &Tap) -> Answer {
        let request = hyper::Request::post(format!("/validate?timeout={TIMEOUT}"))
            .header("content-type", "application/json")
            .body(Full::new(self.review.clone()))
            .unwrap();
        tap.heard.lock().unwrap().clear();
        let start = Instant::now();
        let response = handler.respond(request).await;
        assert!(start.elapsed() <= ANSWERED, "{:?}", self.faults().struck());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let review: Value = serde_json::from_slice(&body).unwrap();
        let response = &review["response"];
        Answer {
            allowed: response["allowed"].as_bool().unwrap(),
            code: response["status"]["code"].clone(),
            reasons: response["auditAnnotations"]["reasons"].clone(),
            policies: tap.heard.lock().unwrap().clone(),
        }
    }

    fn tap(&self) -> Tap {
        let outside = &self.outside;
        let ports = Ports {
            store: outside.clone(),
            fetch: outside.clone(),
            credentials: outside.clone(),
            namespaces: outside.clone(),
            clock: outside.clone(),
            recorder: Arc::new(Nobody),
        };
        let cache = CacheConfig {
            tag_ttl: TTL,
            referrers_ttl: TTL,
            verdict_ttl: TTL,
            negative_ttl: TTL,
            ..CacheConfig::default()
        };
        let executor = Executor::new(self.snapshot.clone(), ports, cache);
        Tap { executor, heard: Arc::default() }
    }
}

/// Every action under every `onError`, and the name of the policy that has both.
fn policies() -> impl Iterator<Item = (String, (&'static str, Effect), &'static str)> {
    ACTIONS.into_iter().flat_map(|action| {
        ON_ERROR
            .into_iter()
            .map(move |on_error| (format!("{}-{on_error}", action.0), action, on_error))
    })
}

fn review(images: &[String]) -> Bytes {
    let containers = images.iter().enumerate();
    let containers =
        containers.map(|(index, image)| json!({"name": format!("c{index}"), "image": image}));
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": "shop", "operation": "CREATE",
            "object": {
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
                "spec": {"containers": containers.collect::<Vec<_>>()},
            },
        },
    });
    Bytes::from(review.to_string())
}
