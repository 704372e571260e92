use std::collections::BTreeSet;
use std::sync::Arc;

use assay_core::ReasonCode;
use assay_policy::{
    EnforcementAction, Match, OnError, Policy, PolicyId, RequireDigest, Rule, RuleBody, Tier,
};

use super::*;

fn stats() -> Stats {
    let cache = |name, entries, bytes| CacheStats { name, entries, bytes };
    Stats {
        verifications_in_flight: 3,
        caches: vec![cache("tag", 5, 500), cache("referrers", 1, 10), cache("referrers", 2, 20)],
    }
}

/// The samples of a page, without buckets and numbers.
fn series(page: &str) -> BTreeSet<&str> {
    let samples = page.lines().filter(|line| !line.starts_with('#') && !line.contains("_bucket{"));
    samples.filter_map(|line| line.rsplit_once(' ').map(|(series, _)| series)).collect()
}

#[track_caller]
fn check_page(page: &str, expect: &[&str]) {
    for line in expect {
        assert!(page.lines().any(|found| found == *line), "{line} is not in\n{page}");
    }
}

#[test]
fn tells_the_first_strangers_apart_and_whoever_is_known() {
    let label = OpenLabel::default();
    label.know(HashSet::from(["known".to_owned()]));
    for index in 0..OPEN_LABEL_VALUES_MAX {
        let value = format!("host-{index}");
        assert_eq!(label.value(&value), value);
    }
    assert_eq!(label.value("one-more"), OTHER);
    assert_eq!(label.value("host-0"), "host-0");
    assert_eq!(label.value("known"), "known");

    label.know(HashSet::from(["host-0".to_owned(), "known-now".to_owned()]));
    assert_eq!(label.value("known-now"), "known-now");
    assert_eq!(label.value("host-0"), "host-0");
    assert_eq!(label.value("one-more"), "one-more", "host-0 gave its place");
    assert_eq!(label.value("known"), OTHER);
}

#[test]
fn says_when_trust_stores_expire() {
    let metrics = Metrics::new().unwrap();
    let at = |second| Timestamp::from_second(second).unwrap();
    let in_force = |expiries: BTreeMap<String, Timestamp>| {
        metrics.in_force(&Snapshot { expiries, ..Snapshot::default() });
        metrics.page(&stats()).unwrap()
    };
    let tenants = (0..OPEN_LABEL_VALUES_MAX + 2)
        .map(|index| (format!("team/store-{index:02}"), at(i64::try_from(1_000 - index).unwrap())));
    let page = in_force(tenants.chain([("release-keys".to_owned(), at(7))]).collect());
    let line = |store: &str, second: usize| {
        format!(r#"assay_trust_material_expiry_timestamp_seconds{{store="{store}"}} {second}"#)
    };
    check_page(
        &page,
        &[
            &line("release-keys", 7),
            &line("team/store-00", 1_000),
            &line(OTHER, 1_000 - OPEN_LABEL_VALUES_MAX - 1),
        ],
    );
    let page = in_force(BTreeMap::from([("release-keys".to_owned(), at(8))]));
    check_page(&page, &[&line("release-keys", 8)]);
    assert!(!page.contains("team/store"), "what is gone does not expire: {page}");
}

#[test]
fn shows_what_is_held_right_now() {
    let metrics = Metrics::new().unwrap();
    let page = metrics.page(&stats()).unwrap();
    assert!(!page.contains("tls_certificate_expiry"));
    metrics.policies("ClusterImageAdmissionPolicy", 2, 1);
    metrics.certificate_expiry(Some("2026-01-02T03:04:05Z".parse().unwrap()));
    assert!(!metrics.page(&stats()).unwrap().contains("snapshot_age"), "there is no cluster");
    metrics.snapshot_age(Duration::from_millis(12_900));
    check_page(
        &metrics.page(&stats()).unwrap(),
        &[
            r#"assay_policies{kind="ClusterImageAdmissionPolicy",status="ready"} 2"#,
            r#"assay_policies{kind="ClusterImageAdmissionPolicy",status="invalid"} 1"#,
            "assay_inflight_verifications 3",
            r#"assay_cache_entries{cache="tag"} 5"#,
            r#"assay_cache_entries{cache="referrers"} 3"#,
            r#"assay_cache_bytes{cache="referrers"} 30"#,
            "assay_tls_certificate_expiry_timestamp_seconds 1767323045",
            "assay_snapshot_age_seconds 12",
        ],
    );
    metrics.certificate_expiry(None);
    assert!(!metrics.page(&stats()).unwrap().contains("tls_certificate_expiry"));
}

/// A cluster policy, or one of a namespace, over these images.
fn policy(namespace: Option<&str>, globs: &[&str]) -> Arc<Policy> {
    let images = globs.iter().map(|glob| ImageGlob::parse(glob).unwrap()).collect();
    Arc::new(Policy {
        id: PolicyId { namespace: namespace.map(str::to_owned), name: "p".to_owned() },
        tier: if namespace.is_some() { Tier::Namespace } else { Tier::Mandatory },
        enforcement_action: EnforcementAction::Deny,
        matcher: Ok(Match::default()),
        rules: Ok(vec![Rule { images, body: RuleBody::Allow }]),
        on_error: OnError::Deny,
        require_digest: RequireDigest::Allow,
    })
}

#[test]
fn knows_the_registries_that_the_administrator_names() {
    let metrics = Metrics::new().unwrap();
    metrics.know_registries(&Snapshot {
        policies: vec![
            policy(None, &["named.example/**", "index.docker.io/library/a", "*.example/**", "**"]),
            policy(Some("shop"), &["tenant.example/**"]),
        ]
        .into(),
        registries: BTreeSet::from(["configured.example:5000".to_owned()]),
        ..Snapshot::default()
    });
    for index in 0..OPEN_LABEL_VALUES_MAX {
        metrics.registry_request(&format!("host-{index}"), "head", 200, Duration::ZERO);
    }
    for (host, expect) in [
        ("configured.example:5000", "configured.example:5000"),
        ("named.example", "named.example"),
        ("docker.io", "docker.io"),
        ("other.example", OTHER),
        ("tenant.example", OTHER),
    ] {
        assert_eq!(metrics.registries.value(host), expect);
    }
}

/// Everything that others choose, chosen to do harm: each label keeps to its list, or to so many.
#[test]
fn keeps_label_sets_closed() {
    let metrics = Metrics::new().unwrap();
    let values = 2 * OPEN_LABEL_VALUES_MAX;
    for index in 0..values {
        let evil = format!("evil-{index}\"\n");
        metrics.admission(&AdmissionRecord {
            resource: &evil,
            operation: &evil,
            decision: "deny",
            dry_run: false,
            cache: "none",
            duration: Duration::ZERO,
        });
        for policy in [format!("{evil}/{evil}"), "release-images".to_owned()] {
            metrics.violation(&ViolationRecord {
                namespace: &evil,
                policy: &policy,
                enforcement_action: "deny",
                reason: ReasonCode::ImageDenied,
                registry: &evil,
            });
        }
        let code = u16::try_from(index).unwrap() + 600;
        metrics.registry_request(&evil, "head", code, Duration::ZERO);
    }
    let page = metrics.page(&stats()).unwrap();
    let found = series(&page);
    let count = |name: &str, label: &str| {
        let of_metric = found.iter().filter(|line| line.starts_with(&format!("assay_{name}{{")));
        let values = of_metric.filter_map(|line| line.split_once(&format!("{label}=\"evil-")));
        values
            .map(|(_, rest)| rest.split('\\').next().unwrap_or_default())
            .collect::<BTreeSet<_>>()
            .len()
    };
    for (name, label, expect) in [
        ("admission_requests_total", "resource", 0),
        ("admission_requests_total", "operation", 0),
        ("admission_duration_seconds_count", "resource", 0),
        ("admission_denials_total", "namespace", OPEN_LABEL_VALUES_MAX),
        ("admission_denials_total", "policy", OPEN_LABEL_VALUES_MAX),
        ("admission_denials_total", "registry", OPEN_LABEL_VALUES_MAX),
        ("registry_requests_total", "registry", OPEN_LABEL_VALUES_MAX),
    ] {
        assert_eq!(count(name, label), expect, "{name} {label}");
    }
    check_page(
        &page,
        &[&format!(
            r#"assay_admission_requests_total{{decision="deny",dry_run="false",operation="other",resource="other"}} {values}"#
        )],
    );
    assert!(!page.contains(r#"code="6"#), "{page}");
    assert!(page.contains(r#"policy="release-images""#));
}

/// Every metric with its labels: what dashboards are built on.
#[test]
fn has_the_metrics_and_labels_of_the_contract() {
    let metrics = Metrics::new().unwrap();
    metrics.admission(&AdmissionRecord {
        resource: "pods",
        operation: "CREATE",
        decision: "allow",
        dry_run: true,
        cache: "hit",
        duration: Duration::ZERO,
    });
    metrics.violation(&ViolationRecord {
        namespace: "shop",
        policy: "release-images",
        enforcement_action: "warn",
        reason: ReasonCode::ImageDenied,
        registry: "docker.io",
    });
    metrics.verification("cosign", State::Missing(ReasonCode::SignatureNotFound), Duration::ZERO);
    metrics.registry_request("docker.io", "head", 0, Duration::ZERO);
    metrics.cache_request("tag", true);
    metrics.coalesced("tag");
    metrics.events("sent", 2);
    metrics.policies("ImageAdmissionPolicy", 1, 0);
    metrics.certificate_expiry(Some(Timestamp::UNIX_EPOCH));
    let expiries = BTreeMap::from([("release-keys".to_owned(), Timestamp::UNIX_EPOCH)]);
    metrics.expiries(&Snapshot { expiries, ..Snapshot::default() });
    let page = metrics.page(&stats()).unwrap();
    let found: BTreeSet<String> = series(&page)
        .into_iter()
        .filter(|line| !line.contains("_sum"))
        .map(|line| line.replace(env!("CARGO_PKG_VERSION"), "VERSION"))
        .collect();
    let expect = [
        r#"assay_admission_denials_total{enforcement_action="warn",namespace="shop",policy="release-images",reason="IMAGE_DENIED",registry="docker.io"}"#,
        r#"assay_admission_duration_seconds_count{cache="hit",decision="allow",resource="pods"}"#,
        r#"assay_admission_requests_total{decision="allow",dry_run="true",operation="CREATE",resource="pods"}"#,
        r#"assay_build_info{revision="unknown",version="VERSION"}"#,
        r#"assay_cache_bytes{cache="referrers"}"#,
        r#"assay_cache_bytes{cache="tag"}"#,
        r#"assay_cache_entries{cache="referrers"}"#,
        r#"assay_cache_entries{cache="tag"}"#,
        r#"assay_cache_requests_total{cache="tag",result="hit"}"#,
        r#"assay_events_total{result="sent"}"#,
        r#"assay_image_verifications_total{reason="SIGNATURE_NOT_FOUND",result="missing",verifier="cosign"}"#,
        "assay_inflight_verifications",
        r#"assay_policies{kind="ImageAdmissionPolicy",status="invalid"}"#,
        r#"assay_policies{kind="ImageAdmissionPolicy",status="ready"}"#,
        r#"assay_registry_request_duration_seconds_count{operation="head",registry="docker.io"}"#,
        r#"assay_registry_requests_total{code="0",operation="head",registry="docker.io"}"#,
        r#"assay_singleflight_coalesced_total{cache="tag"}"#,
        "assay_tls_certificate_expiry_timestamp_seconds",
        r#"assay_trust_material_expiry_timestamp_seconds{store="release-keys"}"#,
        r#"assay_verification_duration_seconds_count{result="missing",verifier="cosign"}"#,
    ];
    let expect: BTreeSet<String> = expect.map(str::to_owned).into();
    assert_eq!(found, expect);
}
