//! The configuration file: each field has its effect, and each error says where and what instead.

use std::path::Path;
use std::time::Duration;

use assay_api::{Configuration, CredentialProvider, read_credential_providers};

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
        "credentials: {pullSecrets: all}",
        "credentials: {pullSecrets: {namespaces: [team]}}",
        "credentials: {pullSecrets: {namespaces: [team, \"web-*\"]}}",
        "credentials: {providerConfigFile: a, providerBinDir: b}",
        "credentials: {providerConfigFile: b, providerBinDir: a}",
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
fn rejects_what_does_not_fit() {
    for (rest, field, reason) in [
        ("polices: []", "polices", "unknown field `polices`, expected"),
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
        ("health: {listen: localhost}", "health.listen", "IP:PORT"),
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
fn rejects_a_webhook_that_does_not_fit() {
    for (rest, field, reason) in [
        ("webhook: {port: 1}", "webhook.port", "unknown field"),
        ("webhook: {listen: \":10250\"}", "webhook.listen", "IP:PORT"),
        ("webhook: {certFile: a}", "webhook.keyFile", "beside certFile"),
        ("webhook: {keyFile: a}", "webhook.certFile", "beside keyFile"),
        ("webhook: {clientCaFile: a}", "webhook.clientCaFile", "unknown field"),
        ("webhook: {drainDelay: 10}", "webhook.drainDelay", ""),
        ("webhook: {drainDelay: soon}", "webhook.drainDelay", "as in 30s"),
        ("webhook: {pathToken: \"\"}", "webhook.pathToken", "at least 16 letters"),
        ("webhook: {pathToken: guess}", "webhook.pathToken", "at least 16 letters"),
        ("webhook: {pathToken: 0123456789/abcdef}", "webhook.pathToken", "at least 16 letters"),
        ("webhook: {pathToken: 1234567890123456}", "webhook.pathToken", "at least 16 letters"),
    ] {
        check_rejects(rest, field, reason);
    }
}

#[test]
fn rejects_credentials_that_do_not_fit() {
    for (rest, field, reason) in [
        (
            "credentials: {pullSecrets: some}",
            "credentials.pullSecrets",
            "\"some\" is no grant: write",
        ),
        ("credentials: {pullSecrets: true}", "credentials.pullSecrets", "true is no grant"),
        ("credentials: {pullSecrets: [team]}", "credentials.pullSecrets", "is no grant"),
        ("credentials: {pullSecrets: {}}", "credentials.pullSecrets", "missing field `namespaces`"),
        (
            "credentials: {pullSecrets: {namespaces: []}}",
            "credentials.pullSecrets.namespaces",
            "write none for nobody",
        ),
        (
            "credentials: {pullSecrets: {namespaces: [a, \"t*m\"]}}",
            "credentials.pullSecrets.namespaces[1]",
            "is not a wildcard",
        ),
        (
            "credentials: {pullSecrets: {namespaces: [a], names: [b]}}",
            "credentials.pullSecrets.names",
            "unknown field",
        ),
        (
            "kubernetes: false\ncredentials: {pullSecrets: all}",
            "credentials.pullSecrets",
            "kubernetes: false",
        ),
        (
            "credentials: {providerConfigFile: a}",
            "credentials.providerBinDir",
            "beside providerConfigFile",
        ),
        (
            "credentials: {providerBinDir: a}",
            "credentials.providerConfigFile",
            "beside providerBinDir",
        ),
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

#[test]
fn grants_pull_secrets_to_whom_it_names() {
    for (grant, granted, refused) in [
        ("none", vec![], vec!["", "team", "default"]),
        ("all", vec!["team", "kube-system"], vec![]),
        ("{namespaces: [team, \"web-*\"]}", vec!["team", "web-1"], vec!["", "teams", "web"]),
    ] {
        let text = format!("credentials: {{pullSecrets: {grant}}}");
        let secrets = parse(&text).unwrap().pull_secrets;
        assert!(granted.iter().all(|namespace| secrets.grants(namespace)), "{grant}");
        assert!(!refused.iter().any(|namespace| secrets.grants(namespace)), "{grant}");
    }
    assert_eq!(
        parse("kubernetes: false\ncredentials: {pullSecrets: none}").unwrap().pull_secrets,
        parse("").unwrap().pull_secrets
    );
}

/// A provider that a node may have, as its documentation writes it.
const PROVIDERS: &str = r#"
apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: ecr-credential-provider
  matchImages: ["*.dkr.ecr.*.amazonaws.com", "registry.io:8080/path"]
  defaultCacheDuration: "12h0m0s"
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  args: [get-credentials]
  env: [{name: AWS_PROFILE, value: example}]
- name: gcp
  matchImages: [gcr.io]
  defaultCacheDuration: 0s
  apiVersion: credentialprovider.kubelet.k8s.io/v1beta1
"#;

fn providers(text: &str) -> Result<Vec<CredentialProvider>, String> {
    let file = Path::new("/etc/kubernetes/providers.yaml");
    read_credential_providers(text, file).map_err(|error| error.to_string())
}

#[test]
fn reads_the_kubelets_file_as_it_is() {
    let [ecr, gcp] = providers(PROVIDERS).unwrap().try_into().unwrap();
    assert_eq!(ecr.name, "ecr-credential-provider");
    assert_eq!(ecr.match_images, ["*.dkr.ecr.*.amazonaws.com", "registry.io:8080/path"]);
    assert_eq!(ecr.default_cache_duration, Duration::from_hours(12));
    assert_eq!(ecr.api_version, "credentialprovider.kubelet.k8s.io/v1");
    assert_eq!(ecr.args, ["get-credentials"]);
    assert_eq!(ecr.env, [("AWS_PROFILE".to_owned(), "example".to_owned())]);
    assert_eq!(format!("{ecr:?}"), "CredentialProvider(ecr-credential-provider)", "no variable");
    assert_eq!((gcp.default_cache_duration, gcp.args.len(), gcp.env.len()), Default::default());
    let json = serde_json::json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "CredentialProviderConfig",
        "providers": [{
            "name": "gcp", "matchImages": ["gcr.io"], "defaultCacheDuration": "0s",
            "apiVersion": "credentialprovider.kubelet.k8s.io/v1beta1", "args": null, "env": null,
        }],
    });
    assert_eq!(providers(&json.to_string()).unwrap(), [gcp]);
}

#[test]
fn rejects_providers_that_the_kubelet_would_not_take() {
    let name = "name: ecr-credential-provider";
    let lists = "matchImages: [\"*.dkr.ecr.*.amazonaws.com\", \"registry.io:8080/path\"]";
    for (from, to, field, reason) in [
        ("config.k8s.io/v1", "config.k8s.io/v2", "apiVersion", "must be kubelet.config.k8s.io/v1"),
        ("CredentialProviderConfig", "KubeletConfiguration", "kind", "CredentialProviderConfig"),
        (name, "name: a/b", "providers[0].name", "no name of a program"),
        (name, "name: ..", "providers[0].name", "no name of a program"),
        (name, "name: a b", "providers[0].name", "no name of a program"),
        (name, "name: \"\"", "providers[0].name", "no name of a program"),
        (name, "name: gcp", "providers[1].name", "given twice"),
        (lists, "matchImages: []", "providers[0].matchImages", "is empty"),
        (lists, "args2: []", "providers[0].args2", "unknown field"),
        ("12h0m0s", "12", "providers[0].defaultCacheDuration", "no duration"),
        ("12h0m0s", "-1h", "providers[0].defaultCacheDuration", "no duration"),
        ("defaultCacheDuration: 0s\n", "\n", "providers[1]", "missing field"),
        ("k8s.io/v1\n  args", "k8s.io/v2\n  args", "providers[0].apiVersion", "must be"),
        ("value: example", "values: example", "providers[0].env[0].values", "unknown field"),
        (
            "args: [get-credentials]",
            "tokenAttributes: {serviceAccountTokenAudience: a}",
            "providers[0].tokenAttributes",
            "identity of Assay's own",
        ),
    ] {
        let text = PROVIDERS.replacen(from, to, 1);
        assert_ne!(text, PROVIDERS, "{from}");
        let error = providers(&text).unwrap_err();
        let before = format!("/etc/kubernetes/providers.yaml: {field}: ");
        assert!(error.starts_with(&before) && error.contains(reason), "{to}: {error}");
    }
    assert!(providers("").unwrap_err().contains("is empty"));
    let (head, _) = PROVIDERS.split_once("providers:").unwrap();
    assert!(
        providers(&format!("{head}providers: []")).unwrap_err().contains("providers: is empty")
    );
    let long = |bytes: usize| format!("{PROVIDERS}#{}", "x".repeat(bytes - PROVIDERS.len() - 1));
    assert!(providers(&long(1024 * 1024)).is_ok());
    assert!(providers(&long(1024 * 1024 + 1)).unwrap_err().contains("more than 1048576 bytes"));
}
