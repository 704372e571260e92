//! The metrics page. Label sets are closed: no image, digest, pod, user or error text ever becomes
//! a label, and what tenants and registries choose is capped.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use assay_control::Activity;
use assay_core::ports::{AdmissionRecord, Recorder, ViolationRecord};
use assay_core::{ImageReference, State};
use assay_engine::{CacheStats, Stats};
use assay_policy::{ImageGlob, Snapshot};
use jiff::Timestamp;
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// Distinct values of a label that others than the administrator choose; further ones are `other`.
const OPEN_LABEL_VALUES_MAX: usize = 50;

/// Seconds: from a warm verdict to the longest admission deadline.
const SECONDS: [f64; 18] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0,
    20.0, 25.0, 30.0,
];

/// The resources whose objects have images, as the metrics name them; any other is [`OTHER`].
const RESOURCES: [&str; 9] = [
    "cronjobs",
    "daemonsets",
    "deployments",
    "jobs",
    "pods",
    "podtemplates",
    "replicasets",
    "replicationcontrollers",
    "statefulsets",
];

/// The operations of admission requests.
const OPERATIONS: [&str; 4] = ["CONNECT", "CREATE", "DELETE", "UPDATE"];

/// The HTTP status codes that registries have reason to send; 0 is no answer.
const CODES: [&str; 27] = [
    "0", "200", "202", "206", "301", "302", "303", "304", "307", "308", "400", "401", "403", "404",
    "405", "406", "408", "410", "413", "416", "429", "451", "500", "501", "502", "503", "504",
];

/// What stands for every value that is not told apart.
const OTHER: &str = "other";

/// Everything that is counted.
pub(crate) struct Metrics {
    registry: Registry,
    admissions: IntCounterVec,
    admission_seconds: HistogramVec,
    denials: IntCounterVec,
    verifications: IntCounterVec,
    verification_seconds: HistogramVec,
    in_flight: IntGaugeVec,
    registry_requests: IntCounterVec,
    registry_seconds: HistogramVec,
    caches: Caches,
    policies: IntGaugeVec,
    certificate_expiry: IntGaugeVec,
    snapshot_age: IntGaugeVec,
    trust_material_expiry: IntGaugeVec,
    events: IntCounterVec,
    activity: OnceLock<Arc<Activity>>,
    namespaces: OpenLabel,
    registries: OpenLabel,
    tenant_policies: OpenLabel,
    tenant_stores: OpenLabel,
}

/// What is counted of caches.
struct Caches {
    requests: IntCounterVec,
    entries: IntGaugeVec,
    bytes: IntGaugeVec,
    coalesced: IntCounterVec,
}

/// The values of a label that are not ours to choose: those that the administrator named, and of
/// others the first so many, as they come.
#[derive(Default)]
struct OpenLabel(Mutex<Values>);

#[derive(Default)]
struct Values {
    known: HashSet<String>,
    strangers: HashSet<String>,
}

impl OpenLabel {
    /// Tells these values apart whatever else comes, and no longer those that it was told before.
    fn know(&self, values: HashSet<String>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.strangers.retain(|value| !values.contains(value));
        all.known = values;
    }

    fn value<'a>(&self, value: &'a str) -> &'a str {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.known.contains(value) || all.strangers.contains(value) {
            return value;
        }
        if all.strangers.len() >= OPEN_LABEL_VALUES_MAX {
            return OTHER;
        }
        all.strangers.insert(value.to_owned());
        value
    }
}

/// `value` where it is one of these.
fn closed<'a>(values: &[&'a str], value: &str) -> &'a str {
    values.iter().find(|known| **known == value).copied().unwrap_or(OTHER)
}

/// The host that `glob` names; nothing where it is a pattern.
fn host(glob: &ImageGlob) -> Option<String> {
    let text = glob.to_string();
    let host = text.split('/').next().filter(|host| !host.contains('*'))?;
    let reference: ImageReference = format!("{host}/any").parse().ok()?;
    Some(reference.repository().host().to_owned())
}

fn number(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

/// Makes metrics and puts them on the page.
struct Page(Registry);

impl Page {
    fn counter(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, prometheus::Error> {
        let counter = IntCounterVec::new(Opts::new(name, help).namespace("assay"), labels)?;
        self.0.register(Box::new(counter.clone()))?;
        Ok(counter)
    }

    fn gauge(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntGaugeVec, prometheus::Error> {
        let gauge = IntGaugeVec::new(Opts::new(name, help).namespace("assay"), labels)?;
        self.0.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }

    fn seconds(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<HistogramVec, prometheus::Error> {
        let options = HistogramOpts::new(name, help).namespace("assay").buckets(SECONDS.to_vec());
        let histogram = HistogramVec::new(options, labels)?;
        self.0.register(Box::new(histogram.clone()))?;
        Ok(histogram)
    }
}

impl Caches {
    fn new(page: &Page) -> Result<Self, prometheus::Error> {
        Ok(Self {
            requests: page.counter(
                "cache_requests_total",
                "Cache lookups.",
                &["cache", "result"],
            )?,
            entries: page.gauge("cache_entries", "Entries of caches.", &["cache"])?,
            bytes: page.gauge("cache_bytes", "About the bytes of caches.", &["cache"])?,
            coalesced: page.counter(
                "singleflight_coalesced_total",
                "Callers that waited for another's computation.",
                &["cache"],
            )?,
        })
    }
}

impl Metrics {
    /// Metrics at zero.
    ///
    /// # Errors
    /// Where two metrics share a name: a defect.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let page = Page(Registry::new());
        let build = page.gauge("build_info", "The build, as labels.", &["version", "revision"])?;
        let revision = option_env!("ASSAY_REVISION").unwrap_or("unknown");
        build.with_label_values(&[env!("CARGO_PKG_VERSION"), revision]).set(1);
        Ok(Self {
            admissions: page.counter(
                "admission_requests_total",
                "Admission requests.",
                &["resource", "operation", "decision", "dry_run"],
            )?,
            admission_seconds: page.seconds(
                "admission_duration_seconds",
                "From the last byte of the request to the answer.",
                &["resource", "decision", "cache"],
            )?,
            denials: page.counter(
                "admission_denials_total",
                "Violations by policy; dryrun and warn count too.",
                &["namespace", "policy", "enforcement_action", "reason", "registry"],
            )?,
            verifications: page.counter(
                "image_verifications_total",
                "Verifications that were not answered from a cache.",
                &["verifier", "result", "reason"],
            )?,
            verification_seconds: page.seconds(
                "verification_duration_seconds",
                "Verifications that were not answered from a cache.",
                &["verifier", "result"],
            )?,
            in_flight: page.gauge("inflight_verifications", "Verifications under way.", &[])?,
            registry_requests: page.counter(
                "registry_requests_total",
                "Requests to registries; code 0 is no answer.",
                &["registry", "operation", "code"],
            )?,
            registry_seconds: page.seconds(
                "registry_request_duration_seconds",
                "Requests to registries, up to the answer's head.",
                &["registry", "operation"],
            )?,
            caches: Caches::new(&page)?,
            policies: page.gauge("policies", "Policies in force.", &["kind", "status"])?,
            certificate_expiry: page.gauge(
                "tls_certificate_expiry_timestamp_seconds",
                "When the webhook's certificate expires.",
                &[],
            )?,
            snapshot_age: page.gauge(
                "snapshot_age_seconds",
                "For how long the policies in force have been out of step with the cluster.",
                &[],
            )?,
            trust_material_expiry: page.gauge(
                "trust_material_expiry_timestamp_seconds",
                "When the keys of a trust store expire, where they do.",
                &["store"],
            )?,
            events: page.counter(
                "events_total",
                "Refused pods, by what became of the Kubernetes Event about them.",
                &["result"],
            )?,
            activity: OnceLock::new(),
            namespaces: OpenLabel::default(),
            registries: OpenLabel::default(),
            tenant_policies: OpenLabel::default(),
            tenant_stores: OpenLabel::default(),
            registry: page.0,
        })
    }

    /// Takes `snapshot` as what is in force.
    pub(crate) fn in_force(&self, snapshot: &Snapshot) {
        for (kind, is_cluster) in
            [("ClusterImageAdmissionPolicy", true), ("ImageAdmissionPolicy", false)]
        {
            let policies = snapshot.policies.iter();
            let own = policies.filter(|policy| policy.is_cluster() == is_cluster);
            let (ready, invalid): (Vec<_>, Vec<_>) =
                own.partition(|policy| policy.problems().is_empty());
            self.policies(kind, ready.len(), invalid.len());
        }
        self.know_registries(snapshot);
        self.expiries(snapshot);
    }

    /// Says when trust stores expire: of tenants' beyond the bound, when the first of them does.
    fn expiries(&self, snapshot: &Snapshot) {
        let mut expiries: BTreeMap<&str, i64> = BTreeMap::new();
        for (store, expiry) in &snapshot.expiries {
            let is_tenants = store.contains('/');
            let label = if is_tenants { self.tenant_stores.value(store) } else { store };
            let first = expiries.entry(label).or_insert(i64::MAX);
            *first = expiry.as_second().min(*first);
        }
        self.trust_material_expiry.reset();
        for (store, expiry) in expiries {
            self.trust_material_expiry.with_label_values(&[store]).set(expiry);
        }
    }

    /// Tells the registries apart that the administrator named: in the configuration, or by a
    /// cluster policy.
    fn know_registries(&self, snapshot: &Snapshot) {
        let policies = snapshot.policies.iter().filter(|policy| policy.is_cluster());
        let rules = policies.flat_map(|policy| policy.rules.iter().flatten());
        let named = rules.flat_map(|rule| &rule.images).filter_map(host);
        self.registries.know(snapshot.registries.iter().cloned().chain(named).collect());
    }

    /// Says when the webhook's certificate expires, where that can be told.
    pub(crate) fn certificate_expiry(&self, expiry: Option<Timestamp>) {
        let labels: [&str; 0] = [];
        match expiry {
            Some(expiry) => {
                self.certificate_expiry.with_label_values(&labels).set(expiry.as_second());
            }
            // A gauge that is not there is seen; one that stays where it was is not.
            None => self.certificate_expiry.reset(),
        }
    }

    /// Says for how long the policies in force have been out of step with the cluster; never called
    /// where there is none.
    pub(crate) fn snapshot_age(&self, age: Duration) {
        let labels: [&str; 0] = [];
        self.snapshot_age.with_label_values(&labels).set(number(age.as_secs()));
    }

    /// Counts refused pods by what became of their Events: `sent`, `aggregated`, `dropped` or
    /// `failed`.
    pub(crate) fn events(&self, result: &'static str, times: u64) {
        self.events.with_label_values(&[result]).inc_by(times);
    }

    /// Counts violations in `activity` too, from now on.
    pub(crate) fn count_in(&self, activity: Arc<Activity>) {
        let _ = self.activity.set(activity);
    }

    /// Says how many policies of `kind` compiled and how many did not.
    fn policies(&self, kind: &str, ready: usize, invalid: usize) {
        for (status, count) in [("ready", ready), ("invalid", invalid)] {
            self.policies.with_label_values(&[kind, status]).set(number(count));
        }
    }

    /// The page, in Prometheus' text format, with what the engine holds right now.
    ///
    /// # Errors
    /// Where a metric cannot be encoded: a defect.
    pub(crate) fn page(&self, stats: &Stats) -> Result<String, prometheus::Error> {
        self.show(stats);
        let mut page = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut page)?;
        Ok(String::from_utf8_lossy(&page).into_owned())
    }

    fn show(&self, stats: &Stats) {
        let no_labels: [&str; 0] = [];
        self.in_flight.with_label_values(&no_labels).set(number(stats.verifications_in_flight));
        let mut caches: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for CacheStats { name, entries, bytes } in &stats.caches {
            let (all_entries, all_bytes) = caches.entry(name).or_default();
            *all_entries = all_entries.saturating_add(*entries);
            *all_bytes = all_bytes.saturating_add(*bytes);
        }
        for (name, (entries, bytes)) in caches {
            self.caches.entries.with_label_values(&[name]).set(number(entries));
            self.caches.bytes.with_label_values(&[name]).set(number(bytes));
        }
    }
}

impl Recorder for Metrics {
    fn admission(&self, record: &AdmissionRecord<'_>) {
        let dry_run = if record.dry_run { "true" } else { "false" };
        let resource = closed(&RESOURCES, record.resource);
        let operation = closed(&OPERATIONS, record.operation);
        let labels = [resource, operation, record.decision, dry_run];
        self.admissions.with_label_values(&labels).inc();
        let labels = [resource, record.decision, record.cache];
        self.admission_seconds.with_label_values(&labels).observe(record.duration.as_secs_f64());
    }

    fn violation(&self, record: &ViolationRecord<'_>) {
        if let Some(activity) = self.activity.get() {
            activity.record(record.policy, record.enforcement_action);
        }
        // What a cluster policy is called is the administrator's choice, what one of a namespace
        // (`namespace/name`) is called is not.
        let policy = match record.policy.contains('/') {
            true => self.tenant_policies.value(record.policy),
            false => record.policy,
        };
        let labels = [
            self.namespaces.value(record.namespace),
            policy,
            record.enforcement_action,
            record.reason.as_str(),
            self.registries.value(record.registry),
        ];
        self.denials.with_label_values(&labels).inc();
    }

    fn verification(&self, verifier: &'static str, state: State, duration: Duration) {
        let reason = state.reason().map_or("", |code| code.as_str());
        self.verifications.with_label_values(&[verifier, state.as_str(), reason]).inc();
        let histogram = self.verification_seconds.with_label_values(&[verifier, state.as_str()]);
        histogram.observe(duration.as_secs_f64());
    }

    fn registry_request(
        &self,
        registry: &str,
        operation: &'static str,
        code: u16,
        duration: Duration,
    ) {
        let registry = self.registries.value(registry);
        let code = closed(&CODES, &code.to_string());
        self.registry_requests.with_label_values(&[registry, operation, code]).inc();
        let histogram = self.registry_seconds.with_label_values(&[registry, operation]);
        histogram.observe(duration.as_secs_f64());
    }

    fn cache_request(&self, cache: &'static str, hit: bool) {
        let result = if hit { "hit" } else { "miss" };
        self.caches.requests.with_label_values(&[cache, result]).inc();
    }

    fn coalesced(&self, cache: &'static str) {
        self.caches.coalesced.with_label_values(&[cache]).inc();
    }
}

#[cfg(test)]
mod tests;
