//! Docker's `config.json`, and helpers as programs.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use assay_core::ports::{CredentialError, CredentialSource, PullIdentity};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::DockerConfig;
use crate::credential_helper::Helpers;

/// A file that is gone when dropped.
struct TempFile(PathBuf);

impl TempFile {
    fn new(content: &str) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("assay-registry-{}-{number}.json", std::process::id());
        let file = Self(std::env::temp_dir().join(name));
        std::fs::write(&file.0, content).unwrap();
        file
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn helpers() -> Helpers {
    let mut search_path = OsString::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data:"));
    search_path.push(std::env::var_os("PATH").unwrap_or_default());
    Helpers { search_path: Some(search_path), ..Helpers::default() }
}

async fn credentials(
    content: &str,
    repository: &str,
    helpers: Helpers,
) -> Result<Vec<String>, CredentialError> {
    let file = TempFile::new(content);
    let clock = Arc::<FixedClock>::default();
    let config = DockerConfig::with_helpers(file.0.clone(), clock, helpers);
    let (host, path) = repository.split_once('/').unwrap();
    let found = config.credentials(&Repository::new(host, path), &PullIdentity::default()).await?;
    Ok(found.into_iter().map(plain).collect())
}

/// A credential as a test may read it.
pub(super) fn plain(credential: Credential) -> String {
    match credential {
        Credential::Basic { username, password } => format!("{username}:{password}"),
        Credential::IdentityToken(token) => format!("token {token}"),
    }
}

#[track_caller]
fn check(config: &Value, repository: &str, expect: &[&str]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let found = runtime.block_on(credentials(&config.to_string(), repository, helpers()));
    assert_eq!(found.unwrap(), expect, "{repository} in {config}");
}

#[test]
fn finds_the_entry_of_the_host() {
    let auth = |text: &str| json!({"auth": STANDARD.encode(text)});
    for (server, repository, found) in [
        ("registry.example", "registry.example/app", true),
        ("registry.example", "registry.example:5000/app", false),
        ("registry.example", "sub.registry.example/app", false),
        ("registry.example:5000", "registry.example:5000/app", true),
        ("registry.example:443", "registry.example/app", true),
        ("Registry.Example", "registry.example/app", true),
        ("https://registry.example", "registry.example/app", true),
        ("https://registry.example/v1/", "registry.example/app", true),
        ("http://registry.example/v2/", "registry.example/app", true),
        ("localhost:5000", "localhost:5000/app", true),
        ("localhost", "localhost/app", true),
        ("https://index.docker.io/v1/", "docker.io/library/busybox", true),
        ("docker.io", "docker.io/library/busybox", true),
        ("index.docker.io", "docker.io/corp/app", true),
        ("https://index.docker.io/v1/", "registry.example/app", false),
        ("registry.example/team", "registry.example/team", true),
        ("registry.example/team", "registry.example/team/app", true),
        ("registry.example/team", "registry.example/teams/app", false),
        ("registry.example/team", "registry.example/app", false),
        ("busybox", "docker.io/library/busybox", false),
    ] {
        let config = json!({"auths": {server: auth("robot:secret")}});
        let expect: &[&str] = if found { &["robot:secret"] } else { &[] };
        check(&config, repository, expect);
    }
}

#[test]
fn tries_the_longest_path_first() {
    let config = json!({"auths": {
        "registry.example": {"username": "a", "password": "1"},
        "registry.example/team/app": {"username": "c", "password": "3"},
        "registry.example/team": {"username": "b", "password": "2"},
    }});
    check(&config, "registry.example/team/app", &["c:3", "b:2", "a:1"]);
    check(&config, "registry.example/team/other", &["b:2", "a:1"]);
    check(&config, "registry.example/other", &["a:1"]);
}

#[test]
fn reads_each_kind_of_entry() {
    let auth = STANDARD.encode("robot:a:b\0\0");
    for (entry, expect) in [
        (json!({"auth": auth}), vec!["robot:a:b"]),
        (json!({"username": "robot", "password": "secret"}), vec!["robot:secret"]),
        (json!({"auth": auth, "username": "x", "password": "y"}), vec!["robot:a:b"]),
        (json!({"auth": auth, "identitytoken": "refresh"}), vec!["token refresh"]),
        (json!({"auth": null, "email": "a@b.example"}), vec![]),
        (json!({}), vec![]),
    ] {
        check(&json!({"auths": {"registry.example": entry}}), "registry.example/app", &expect);
    }
    for empty in [json!({}), json!({"auths": null, "credHelpers": null, "HttpHeaders": {"a": "b"}})]
    {
        check(&empty, "registry.example/app", &[]);
    }
}

#[test]
fn asks_helpers_before_the_file() {
    let auths = json!({
        "user.example": {"username": "file", "password": "1"},
        "other.example": {"username": "file", "password": "2"},
    });
    let own = |server: &str| json!({"credHelpers": {server: "fake"}, "auths": auths});
    check(&own("user.example"), "user.example/app", &["robot:helper-secret"]);
    check(&own("https://user.example/v2/"), "user.example/app", &["robot:helper-secret"]);
    check(&own("user.example"), "other.example/app", &["file:2"]);
    check(&own("token.example"), "token.example/app", &["token refresh"]);
    check(&own("docker.io"), "docker.io/corp/app", &["hub:helper-secret"]);
    let common = json!({"credsStore": "fake", "auths": auths});
    check(&common, "user.example/app", &["robot:helper-secret"]);
    check(&common, "other.example/app", &["file:2"]);
    check(&common, "unknown.example/app", &[]);
    // The host's own helper goes first: the other one is not even there.
    let both = json!({"credHelpers": {"user.example": "fake"}, "credsStore": "absent"});
    check(&both, "user.example/app", &["robot:helper-secret"]);
}

#[track_caller]
fn check_error(content: &str, repository: &str, limit: Duration, expect: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let helpers = Helpers { limit, ..helpers() };
    let error = runtime.block_on(credentials(content, repository, helpers)).unwrap_err();
    let shown = error.to_string();
    assert!(shown.contains(expect), "{shown}");
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn rejects_malformed_files_by_field_and_shows_no_secret() {
    let base64 = STANDARD.encode("secret");
    let auths = |entry: Value| json!({"auths": {"a.example": entry}}).to_string();
    for (content, expect) in [
        (String::new(), "line 1"),
        ("[]".to_owned(), "not a JSON object"),
        (r#"{"auths": {"a.example": {"auth": "secret"#.to_owned(), "line 1, column"),
        (r#"{"auths": "secret"}"#.to_owned(), "auths is not an object"),
        (auths(json!("secret")), "auths[\"a.example\"] is not an object"),
        (auths(json!({"auth": 7})), "auths[\"a.example\"].auth is not a string"),
        (auths(json!({"auth": "!secret"})), "auths[\"a.example\"].auth is not base64"),
        (
            auths(json!({"auth": base64})),
            "auths[\"a.example\"].auth is not base64 of user:password",
        ),
        (auths(json!({"identitytoken": []})), "auths[\"a.example\"].identitytoken"),
        (r#"{"credsStore": 7}"#.to_owned(), "credsStore is not a string"),
        (r#"{"credHelpers": {"a.example": 7}}"#.to_owned(), "credHelpers[\"a.example\"]"),
    ] {
        check_error(&content, "other.example/app", Duration::from_secs(10), expect);
        check_error(&content, "other.example/app", Duration::from_secs(10), "assay-registry-");
    }
}

#[test]
fn rejects_helpers_that_fail_and_shows_nothing_of_theirs() {
    let limit = Duration::from_secs(10);
    let config = |server: &str, name: &str| json!({"credHelpers": {server: name}}).to_string();
    let check = |host: &str, name: &str, limit, expect| {
        check_error(&config(host, name), &format!("{host}/app"), limit, expect);
    };
    check("fails.example", "fake", limit, "docker-credential-fake failed: exit status: 1");
    check("garbage.example", "fake", limit, "malformed answer");
    check("long.example", "fake", limit, "at too great a length");
    check("hangs.example", "fake", Duration::from_millis(50), "did not answer in time");
    check("user.example", "absent", limit, "docker-credential-absent failed");
    check("user.example", "../data/docker-credential-fake", limit, "not one");
}

#[test]
fn accepts_helper_answer_at_its_limit() {
    let config = json!({"credHelpers": {"bound.example": "fake"}});
    check(&config, "bound.example/app", &["robot:helper-secret"]);
}

#[tokio::test]
async fn a_missing_file_is_no_credentials_and_a_long_one_is_an_error() {
    let clock = Arc::<FixedClock>::default();
    let missing = DockerConfig::new("/nonexistent/config.json", clock);
    let repository = Repository::new("registry.example", "app");
    assert_eq!(missing.credentials(&repository, &PullIdentity::default()).await, Ok(Vec::new()));

    for (size, expect) in [(1024 * 1024, true), (1024 * 1024 + 1, false)] {
        let content = padded("{}", size);
        let found = credentials(&content, "registry.example/app", helpers()).await;
        assert_eq!(found.is_ok(), expect, "{size}");
    }
}

#[tokio::test]
async fn an_answer_stands_for_ten_seconds() {
    let content = |password: &str| {
        let entry = json!({"username": "robot", "password": password});
        json!({"auths": {"registry.example": entry}}).to_string()
    };
    let file = TempFile::new(&content("1"));
    let clock = Arc::<FixedClock>::default();
    let config = DockerConfig::new(&file.0, clock.clone());
    let read = async || {
        let repository = Repository::new("registry.example", "app");
        let found = config.credentials(&repository, &PullIdentity::default()).await;
        found.unwrap().into_iter().map(plain).collect::<Vec<_>>()
    };
    assert_eq!(read().await, ["robot:1"]);
    std::fs::write(&file.0, content("2")).unwrap();
    clock.advance(Duration::from_millis(9_999));
    assert_eq!(read().await, ["robot:1"]);
    clock.advance(Duration::from_millis(1));
    assert_eq!(read().await, ["robot:2"]);
}

#[tokio::test]
async fn an_error_is_not_remembered() {
    let file = TempFile::new("{");
    let config = DockerConfig::new(&file.0, Arc::<FixedClock>::default());
    let repository = Repository::new("registry.example", "app");
    assert!(config.credentials(&repository, &PullIdentity::default()).await.is_err());
    std::fs::write(&file.0, "{}").unwrap();
    assert!(config.credentials(&repository, &PullIdentity::default()).await.is_ok());
}
