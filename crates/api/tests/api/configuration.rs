//! The configuration file: each field has its effect, and each error says where and what instead.

use std::path::Path;
use std::time::Duration;

use assay_api::Configuration;

fn parse(rest: &str) -> Result<Configuration, String> {
    let text = format!("apiVersion: assay.dev/v1alpha1\nkind: Configuration\n{rest}");
    Configuration::parse(&text, Path::new("/etc/assay/assay.yaml"))
        .map_err(|error| error.to_string())
}

#[test]
fn accepts_nothing_but_the_head() {
    assert_eq!(parse("").unwrap(), Configuration::default());
}

#[test]
fn every_field_has_its_effect() {
    let fields = [
        "policies: [p]",
        "kubernetes: true",
        "kubernetes: false",
        "defaultAction: warn",
        "defaultAction: deny",
        "webhook: {listen: \"[::]:1\"}",
        "webhook: {certFile: a, keyFile: b}",
        "webhook: {certFile: b, keyFile: a}",
        "webhook: {clientCAFile: a}",
        "webhook: {pathToken: 0123456789abcdef}",
        "webhook: {pathToken: fedcba9876543210}",
        "webhook: {drainDelay: 0s}",
        "metrics: {listen: \"127.0.0.1:1\"}",
        "health: {listen: \"127.0.0.1:1\"}",
        "cache: {tagTtl: 1s}",
        "cache: {referrersTtl: 1s}",
        "cache: {verdictTtl: 1s}",
        "cache: {negativeTtl: 1s}",
        "cache: {maxBytes: 1}",
        "registries: [{host: r.example}]",
        "registries: [{host: r.example, plainHttp: true}]",
        "registries: [{host: r.example, caFile: a}]",
        "registries: [{host: r.example, clientCertFile: a, clientKeyFile: b}]",
        "registries: [{host: r.example, clientCertFile: b, clientKeyFile: a}]",
        "registries: [{host: r.example, mirrors: [m.example/path]}]",
        "registries: [{host: r.example, tokenRealms: [auth.example]}]",
        "registries: [{host: r.example, maxConcurrent: 1}]",
        "credentials: {dockerConfigFile: c}",
        "log: {level: debug}",
        "log: {format: text}",
    ];
    let mut seen = vec![Configuration::default()];
    for field in fields {
        let configuration = parse(field).unwrap();
        assert!(!seen.contains(&configuration), "{field} has no effect of its own");
        seen.push(configuration);
    }
}

#[test]
fn reads_values() {
    let configuration = parse(
        "policies: [policies, /srv/p]\n\
         registries: [{host: \"Index.Docker.io\"}, {host: \"R.Example:443\", tokenRealms: [AUTH.example], caFile: ca.pem}]\n\
         cache: {tagTtl: 0s, verdictTtl: 1h30m, negativeTtl: 250ms}\n",
    )
    .unwrap();
    assert_eq!(configuration.policies, [Path::new("/etc/assay/policies"), Path::new("/srv/p")]);
    let hosts: Vec<&str> =
        configuration.registries.iter().map(|registry| &*registry.host).collect();
    assert_eq!(hosts, ["docker.io", "r.example"]);
    assert_eq!(configuration.registries[1].token_realms, ["auth.example"]);
    assert_eq!(
        configuration.registries[1].ca_file.as_deref(),
        Some(Path::new("/etc/assay/ca.pem"))
    );
    assert_eq!(configuration.cache.tag_ttl, Duration::ZERO);
    assert_eq!(configuration.cache.verdict_ttl, Duration::from_mins(90));
    assert_eq!(configuration.cache.negative_ttl, Duration::from_millis(250));
    assert_eq!(configuration.cache.referrers_ttl, Duration::from_mins(1));
}

#[track_caller]
fn check_rejects(rest: &str, field: &str, reason: &str) {
    let error = parse(rest).unwrap_err();
    assert!(error.starts_with(&format!("/etc/assay/assay.yaml: {field}: ")), "{rest}: {error}");
    assert!(error.contains(reason), "{rest}: {error}");
}

/// Neither where it does nor where it does not.
#[test]
fn never_shows_the_path_token() {
    for token in ["1234567890123456", "0123456789/abcdef", "[s3cret]", "0123456789abcdef"] {
        let shown = format!("{:?}", parse(&format!("webhook: {{pathToken: {token}}}")));
        assert!(!shown.contains(token.trim_matches(['[', ']'])), "{shown}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn rejects_what_does_not_fit() {
    for (rest, field, reason) in [
        ("polices: []", "polices", "unknown field `polices`, expected"),
        ("webhook: {port: 1}", "webhook.port", "unknown field"),
        ("metrics: {port: 1}", "metrics.port", "unknown field"),
        ("cache: {ttl: 1s}", "cache.ttl", "unknown field"),
        (
            "registries: [{host: r.example, insecure: true}]",
            "registries[0].insecure",
            "unknown field",
        ),
        ("credentials: {password: x}", "credentials.password", "unknown field"),
        ("log: {colour: true}", "log.colour", "unknown field"),
        ("defaultAction: refuse", "defaultAction", "expected one of"),
        ("defaultAction: Deny", "defaultAction", "expected one of"),
        ("log: {level: loud}", "log.level", "expected one of"),
        ("log: {format: xml}", "log.format", "expected"),
        ("kubernetes: maybe", "kubernetes", "expected a boolean"),
        ("webhook: {listen: \":10250\"}", "webhook.listen", "IP:PORT"),
        ("health: {listen: localhost}", "health.listen", "IP:PORT"),
        ("webhook: {certFile: a}", "webhook.keyFile", "beside certFile"),
        ("webhook: {keyFile: a}", "webhook.certFile", "beside keyFile"),
        ("webhook: {clientCaFile: a}", "webhook.clientCaFile", "unknown field"),
        ("webhook: {drainDelay: 10}", "webhook.drainDelay", ""),
        ("webhook: {drainDelay: soon}", "webhook.drainDelay", "as in 30s"),
        ("webhook: {pathToken: \"\"}", "webhook.pathToken", "at least 16 letters"),
        ("webhook: {pathToken: guess}", "webhook.pathToken", "at least 16 letters"),
        ("webhook: {pathToken: 0123456789/abcdef}", "webhook.pathToken", "at least 16 letters"),
        ("webhook: {pathToken: 1234567890123456}", "webhook.pathToken", "at least 16 letters"),
        ("cache: {tagTtl: \"30\"}", "cache.tagTtl", "as in 30s"),
        ("cache: {tagTtl: \"\"}", "cache.tagTtl", "as in 30s"),
        ("cache: {tagTtl: -1s}", "cache.tagTtl", "as in 30s"),
        ("cache: {tagTtl: 1.5s}", "cache.tagTtl", "as in 30s"),
        ("cache: {tagTtl: 1d}", "cache.tagTtl", "as in 30s"),
        ("cache: {tagTtl: 99999999999h}", "cache.tagTtl", "as in 30s"),
        ("cache: {maxBytes: -1}", "cache.maxBytes", "invalid value"),
        ("registries: [{plainHttp: true}]", "registries[0]", "missing field `host`"),
        ("registries: [{host: \"https://r.example\"}]", "registries[0].host", "without scheme"),
        ("registries: [{host: r.example/path}]", "registries[0].host", "without scheme"),
        ("registries: [{host: registry}]", "registries[0].host", "HOST or HOST:PORT"),
        ("registries: [{host: \"*.example\"}]", "registries[0].host", "HOST or HOST:PORT"),
        (
            "registries: [{host: r.example, clientCertFile: a}]",
            "registries[0].clientKeyFile",
            "beside clientCertFile",
        ),
        (
            "registries: [{host: r.example, clientKeyFile: a}]",
            "registries[0].clientCertFile",
            "beside clientKeyFile",
        ),
        (
            "registries: [{host: r.example, maxConcurrent: 0}]",
            "registries[0].maxConcurrent",
            "nonzero",
        ),
        (
            "registries: [{host: r.example, maxConcurrent: 65536}]",
            "registries[0].maxConcurrent",
            "nonzero",
        ),
        (
            "registries: [{host: r.example, tokenRealms: [\"https://a.example/t\"]}]",
            "registries[0].tokenRealms[0]",
            "without scheme",
        ),
        (
            "registries: [{host: r.example}, {host: \"R.example:443\"}]",
            "registries[1].host",
            "given twice",
        ),
        ("log: [", "document", "line "),
        ("log: {level: info}\nlog: {level: info}", "document", "line 4"),
    ] {
        check_rejects(rest, field, reason);
    }
}

#[test]
fn rejects_other_kinds_of_document() {
    for (text, expect) in [
        ("", "x.yaml: document: is empty"),
        ("kind: Configuration", "x.yaml: apiVersion: must be assay.dev/v1alpha1"),
        (
            "apiVersion: assay.dev/v1alpha1\nkind: TrustStore\nspec: {}",
            "x.yaml: kind: must be Configuration",
        ),
    ] {
        let error = Configuration::parse(text, Path::new("x.yaml")).unwrap_err();
        assert_eq!(error.to_string(), expect);
    }
}
