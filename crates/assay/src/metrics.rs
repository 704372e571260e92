//! The metrics page. Label sets are closed: no image, digest, pod, user or error text ever becomes
//! a label, and what tenants and registries choose is capped.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use assay_core::State;
use assay_core::ports::{AdmissionRecord, Recorder, ViolationRecord};
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

/// Everything that is counted.
pub(crate) struct Metrics {
    registry: Registry,
    admissions: IntCounterVec,
    admission_seconds: HistogramVec,
    denials: IntCounterVec,
    verifications: IntCounterVec,
    verification_seconds: HistogramVec,
    registry_requests: IntCounterVec,
    registry_seconds: HistogramVec,
    cache_requests: IntCounterVec,
    coalesced: IntCounterVec,
    policies: IntGaugeVec,
    namespaces: OpenLabel,
    registries: OpenLabel,
}

/// The values of a label that are not ours to choose: the first so many, as they come.
#[derive(Default)]
struct OpenLabel {
    known: Mutex<HashSet<String>>,
}

impl OpenLabel {
    fn value<'a>(&self, value: &'a str) -> &'a str {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(value) {
            return value;
        }
        if known.len() >= OPEN_LABEL_VALUES_MAX {
            return "other";
        }
        known.insert(value.to_owned());
        value
    }
}

impl Metrics {
    /// Metrics at zero.
    ///
    /// # Errors
    /// Where two metrics share a name: a defect.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help).namespace("assay"), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let histogram = |name: &str, help: &str, labels: &[&str]| {
            let options =
                HistogramOpts::new(name, help).namespace("assay").buckets(SECONDS.to_vec());
            let histogram = HistogramVec::new(options, labels)?;
            registry.register(Box::new(histogram.clone()))?;
            Ok::<_, prometheus::Error>(histogram)
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let gauge = IntGaugeVec::new(Opts::new(name, help).namespace("assay"), labels)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        build_info(&gauge("build_info", "The build, as labels.", &["version", "revision"])?);
        Ok(Self {
            admissions: counter(
                "admission_requests_total",
                "Admission requests.",
                &["resource", "operation", "decision", "dry_run"],
            )?,
            admission_seconds: histogram(
                "admission_duration_seconds",
                "From the last byte of the request to the answer.",
                &["resource", "decision", "cache"],
            )?,
            denials: counter(
                "admission_denials_total",
                "Violations by policy; dryrun and warn count too.",
                &["namespace", "policy", "enforcement_action", "reason", "registry"],
            )?,
            verifications: counter(
                "image_verifications_total",
                "Verifications that were not answered from a cache.",
                &["verifier", "result", "reason"],
            )?,
            verification_seconds: histogram(
                "verification_duration_seconds",
                "Verifications that were not answered from a cache.",
                &["verifier", "result"],
            )?,
            registry_requests: counter(
                "registry_requests_total",
                "Requests to registries; code 0 is no answer.",
                &["registry", "operation", "code"],
            )?,
            registry_seconds: histogram(
                "registry_request_duration_seconds",
                "Requests to registries, up to the answer's head.",
                &["registry", "operation"],
            )?,
            cache_requests: counter(
                "cache_requests_total",
                "Cache lookups.",
                &["cache", "result"],
            )?,
            coalesced: counter(
                "singleflight_coalesced_total",
                "Callers that waited for another's computation.",
                &["cache"],
            )?,
            policies: gauge("policies", "Policies in force.", &["kind", "status"])?,
            namespaces: OpenLabel::default(),
            registries: OpenLabel::default(),
            registry,
        })
    }

    /// Says how many policies of `kind` compiled and how many did not.
    pub(crate) fn policies(&self, kind: &str, ready: usize, invalid: usize) {
        for (status, count) in [("ready", ready), ("invalid", invalid)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.policies.with_label_values(&[kind, status]).set(count);
        }
    }

    /// The page, in Prometheus' text format.
    ///
    /// # Errors
    /// Where a metric cannot be encoded: a defect.
    pub(crate) fn page(&self) -> Result<String, prometheus::Error> {
        let mut page = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut page)?;
        Ok(String::from_utf8_lossy(&page).into_owned())
    }
}

/// Says which build this is.
fn build_info(gauge: &IntGaugeVec) {
    let revision = option_env!("ASSAY_REVISION").unwrap_or("unknown");
    gauge.with_label_values(&[env!("CARGO_PKG_VERSION"), revision]).set(1);
}

impl Recorder for Metrics {
    fn admission(&self, record: &AdmissionRecord<'_>) {
        let dry_run = if record.dry_run { "true" } else { "false" };
        let labels = [record.resource, record.operation, record.decision, dry_run];
        self.admissions.with_label_values(&labels).inc();
        let labels = [record.resource, record.decision, record.cache];
        self.admission_seconds.with_label_values(&labels).observe(record.duration.as_secs_f64());
    }

    fn violation(&self, record: &ViolationRecord<'_>) {
        let labels = [
            self.namespaces.value(record.namespace),
            record.policy,
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
        let code = code.to_string();
        self.registry_requests.with_label_values(&[registry, operation, code.as_str()]).inc();
        let histogram = self.registry_seconds.with_label_values(&[registry, operation]);
        histogram.observe(duration.as_secs_f64());
    }

    fn cache_request(&self, cache: &'static str, hit: bool) {
        let result = if hit { "hit" } else { "miss" };
        self.cache_requests.with_label_values(&[cache, result]).inc();
    }

    fn coalesced(&self, cache: &'static str) {
        self.coalesced.with_label_values(&[cache]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_what_others_choose() {
        let label = OpenLabel::default();
        for index in 0..OPEN_LABEL_VALUES_MAX {
            let value = format!("host-{index}");
            assert_eq!(label.value(&value), value);
        }
        assert_eq!(label.value("one-more"), "other");
        assert_eq!(label.value("host-0"), "host-0");
    }

    #[test]
    fn shows_each_metric_that_was_touched() {
        let metrics = Metrics::new().unwrap();
        metrics.cache_request("tag", true);
        metrics.policies("ClusterImageAdmissionPolicy", 2, 1);
        let page = metrics.page().unwrap();
        for line in [
            r#"assay_cache_requests_total{cache="tag",result="hit"} 1"#,
            r#"assay_policies{kind="ClusterImageAdmissionPolicy",status="invalid"} 1"#,
            r#"assay_build_info{"#,
        ] {
            assert!(page.contains(line), "{line} is not in\n{page}");
        }
    }
}
