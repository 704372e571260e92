//! The kubelet's credential providers: what they are asked, what their answers are for, and for how
//! long.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use assay_core::ports::{Clock, CredentialError, CredentialSource, PullIdentity};
use serde_json::{Value, json};

use super::docker_config::plain;
use super::*;
use crate::credential_provider::{ANSWERS_MAX, PROCESSES_MAX, PROVIDER_BYTES_MAX};
use crate::{CredentialProviders, ProviderConfig};

const V1: &str = "credentialprovider.kubelet.k8s.io/v1";

/// Files of one test, gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("assay-provider-{}-{number}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        std::fs::create_dir(&folder.0).unwrap();
        folder
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A provider, and what it was asked.
struct World {
    folder: Folder,
    clock: Arc<FixedClock>,
    providers: CredentialProviders,
}

/// The provider of the tests, which answers `answer`.
fn config(answer: &str) -> ProviderConfig {
    ProviderConfig {
        name: "fake".to_owned(),
        program: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/credential-provider-fake").into(),
        args: Vec::new(),
        env: vec![("ANSWER".to_owned(), answer.to_owned())],
        api_version: V1.to_owned(),
        match_images: vec!["*.example".to_owned()],
        default_cache_duration: Duration::ZERO,
    }
}

/// An answer about `*.example`, changed by `more`.
fn answer(more: &Value) -> String {
    let mut answer = json!({
        "apiVersion": V1, "kind": "CredentialProviderResponse", "cacheKeyType": "Image",
        "auth": {"*.example": {"username": "robot", "password": "hunter2"}},
    });
    for (field, value) in more.as_object().unwrap() {
        answer[field] = value.clone();
    }
    answer.to_string()
}

impl World {
    fn new(mut config: ProviderConfig) -> Self {
        let folder = Folder::new();
        config.env.push(("LOG".to_owned(), folder.path("log")));
        let clock = Arc::<FixedClock>::default();
        let shared: Arc<dyn Clock> = clock.clone();
        let providers = CredentialProviders::new(vec![config], &shared).unwrap();
        Self { folder, clock, providers }
    }

    async fn ask(&self, repository: &str) -> Result<Vec<String>, CredentialError> {
        ask(&self.providers, repository).await
    }

    /// What the provider was asked: its arguments and its input.
    fn log(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.folder.path("log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

async fn ask(
    providers: &CredentialProviders,
    repository: &str,
) -> Result<Vec<String>, CredentialError> {
    let (host, path) = repository.split_once('/').unwrap();
    let repository = Repository::new(host, path);
    let found = providers.credentials(&repository, &PullIdentity::default()).await?;
    Ok(found.into_iter().map(plain).collect())
}

#[tokio::test]
async fn asks_as_the_kubelet_does() {
    let own = config(&answer(&json!({})));
    let args = vec!["get-credentials".to_owned(), "--quiet".to_owned()];
    let world = World::new(ProviderConfig { args, ..own });
    assert_eq!(world.ask("a.example/team/app").await.unwrap(), ["robot:hunter2"]);
    let request = json!({
        "apiVersion": V1, "kind": "CredentialProviderRequest", "image": "a.example/team/app",
    });
    assert_eq!(world.log(), [format!("get-credentials --quiet {request}")]);
}

#[tokio::test]
async fn asks_only_about_images_that_match() {
    for (pattern, repository, asked) in [
        ("*.example", "a.example/app", true),
        ("*.example", "a.other/app", false),
        ("a.example:5000", "a.example/app", false),
        ("a.example/team", "a.example/team/app", true),
        ("a.example/team", "a.example/other/app", false),
    ] {
        let match_images = vec!["other.invalid".to_owned(), pattern.to_owned()];
        let world = World::new(ProviderConfig { match_images, ..config(&answer(&json!({}))) });
        let expect: &[&str] = if asked { &["robot:hunter2"] } else { &[] };
        assert_eq!(world.ask(repository).await.unwrap(), expect, "{pattern} {repository}");
        assert_eq!(world.log().len(), usize::from(asked), "{pattern} {repository}");
    }
}

#[tokio::test]
async fn gives_what_the_answer_has_for_the_image() {
    let robot = |name: &str| json!({"username": name, "password": "p"});
    for (auth, expect) in [
        (json!(null), vec![]),
        (json!({}), vec![]),
        (json!({"other.example": robot("a")}), vec![]),
        (json!({"a.example": robot("a"), "*.example": robot("b")}), vec!["a:p", "b:p"]),
        (json!({"a.example/app": robot("a"), "a.example/web": robot("b")}), vec!["a:p"]),
        (json!({"a.example": {"username": "", "password": "p"}}), vec![":p"]),
        (json!({"a.example": {"username": "", "password": ""}}), vec![]),
        (json!({"a.example": {"username": "u", "password": null}}), vec!["u:"]),
    ] {
        let world = World::new(config(&answer(&json!({"auth": auth}))));
        assert_eq!(world.ask("a.example/app").await.unwrap(), expect, "{auth}");
    }
}

/// Which of these images, asked about in turn, the provider is asked for.
async fn check_kept(more: Value, default: u64, asked: &[&str]) {
    let default_cache_duration = Duration::from_secs(default);
    let own = config(&answer(&more));
    let world = World::new(ProviderConfig { default_cache_duration, ..own });
    for image in ["a.example/app", "a.example/app", "a.example/web", "b.example/app"] {
        assert_eq!(world.ask(image).await.unwrap(), ["robot:hunter2"], "{more}");
    }
    let requests = world.log();
    assert_eq!(requests.len(), asked.len(), "{more}: {requests:?}");
    for (request, image) in requests.iter().zip(asked) {
        assert!(request.contains(&format!("\"image\":\"{image}\"")), "{more}: {request}");
    }
}

#[tokio::test]
async fn keeps_an_answer_for_what_it_is_for() {
    let all = ["a.example/app", "a.example/app", "a.example/web", "b.example/app"];
    let of = |kind: &str| json!({"cacheKeyType": kind, "cacheDuration": "1h"});
    check_kept(of("Image"), 0, &all[1..]).await;
    check_kept(of("Registry"), 0, &[all[1], all[3]]).await;
    check_kept(of("Global"), 0, &[all[1]]).await;
    // How long is for the answer to say, and else for the configuration.
    check_kept(json!({"cacheKeyType": "Global", "cacheDuration": "0s"}), 60, &all).await;
    check_kept(json!({"cacheKeyType": "Global", "cacheDuration": null}), 60, &[all[1]]).await;
    check_kept(json!({"cacheKeyType": "Global"}), 0, &all).await;
}

#[tokio::test]
async fn keeps_an_answer_as_long_as_it_says() {
    let world = World::new(config(&answer(&json!({"cacheDuration": "6h0m0s"}))));
    world.ask("a.example/app").await.unwrap();
    world.clock.advance(Duration::from_secs(6 * 3600 - 1));
    world.ask("a.example/app").await.unwrap();
    assert_eq!(world.log().len(), 1);
    world.clock.advance(Duration::from_secs(1));
    world.ask("a.example/app").await.unwrap();
    assert_eq!(world.log().len(), 2);
}

#[tokio::test]
async fn keeps_a_bounded_number_of_answers() {
    for (others, expect) in [(ANSWERS_MAX - 1, ANSWERS_MAX), (ANSWERS_MAX, 1)] {
        let world = World::new(config(&answer(&json!({"cacheDuration": "1h"}))));
        world.providers.keep_others(others);
        world.ask("a.example/app").await.unwrap();
        assert_eq!(world.providers.kept(), expect);
    }
}

#[tokio::test]
async fn one_process_answers_all_who_ask_about_an_image() {
    let world = World::new(config(&answer(&json!({}))));
    let asks = tokio::join!(
        world.ask("a.example/app"),
        world.ask("a.example/app"),
        world.ask("a.example/app"),
    );
    for asked in [asks.0, asks.1, asks.2] {
        assert_eq!(asked.unwrap(), ["robot:hunter2"]);
    }
    assert_eq!(world.log().len(), 1);
    world.ask("a.example/app").await.unwrap();
    assert_eq!(world.log().len(), 2, "nothing said that it may be kept");
}

/// How many processes are at work where so many images wait for theirs.
async fn check_processes(images: usize, expect: usize) {
    let mut own = config(&answer(&json!({})));
    let gate = Folder::new();
    own.env.push(("GATE".to_owned(), gate.path("gate")));
    let world = Arc::new(World::new(own));
    let asks: Vec<_> = (0..images)
        .map(|index| {
            let world = world.clone();
            tokio::spawn(async move { world.ask(&format!("a.example/app{index}")).await })
        })
        .collect();
    while world.log().len() < expect {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(world.providers.idle(), PROCESSES_MAX - expect);
    assert_eq!(world.log().len(), expect);
    std::fs::write(gate.path("gate"), "").unwrap();
    for asked in asks {
        assert_eq!(asked.await.unwrap().unwrap(), ["robot:hunter2"]);
    }
    assert_eq!(world.log().len(), images);
}

#[tokio::test]
async fn runs_a_bounded_number_of_processes() {
    check_processes(PROCESSES_MAX - 1, PROCESSES_MAX - 1).await;
    check_processes(PROCESSES_MAX, PROCESSES_MAX).await;
    check_processes(PROCESSES_MAX + 1, PROCESSES_MAX).await;
}

#[tokio::test]
async fn rejects_answers_that_are_none_and_shows_nothing_of_them() {
    let malformed = "credential provider fake sent a malformed answer";
    let own = answer(&json!({}));
    let with = |more: Value| answer(&more);
    for (answer, expect) in [
        (padded(&own, PROVIDER_BYTES_MAX), None),
        (padded(&own, PROVIDER_BYTES_MAX + 1), Some("answered at too great a length")),
        (String::new(), Some(malformed)),
        ("hunter2".to_owned(), Some(malformed)),
        (with(json!({"apiVersion": "credentialprovider.kubelet.k8s.io/v1beta1"})), Some(malformed)),
        (with(json!({"kind": "CredentialProviderRequest"})), Some(malformed)),
        (with(json!({"cacheKeyType": "Tenant"})), Some(malformed)),
        (with(json!({"cacheKeyType": null})), Some(malformed)),
        (with(json!({"cacheDuration": "hunter2"})), Some(malformed)),
        (with(json!({"cacheDuration": "-1s"})), Some(malformed)),
        (with(json!({"auth": {"a.example": {"token": "hunter2"}}})), Some(malformed)),
        (with(json!({"more": "hunter2"})), Some(malformed)),
    ] {
        let world = World::new(config(&answer));
        let asked = world.ask("a.example/app").await;
        let Some(expect) = expect else {
            assert_eq!(asked.unwrap(), ["robot:hunter2"]);
            continue;
        };
        let error = asked.unwrap_err();
        assert!(matches!(error, CredentialError::Unusable { .. }), "{error:?}");
        let shown = error.to_string();
        assert!(shown.contains(expect) && !shown.contains("hunter2"), "{shown}");
        assert!(shown.starts_with("credentials for a.example: "), "{shown}");
        assert!(world.ask("a.example/app").await.is_err());
        assert_eq!(world.log().len(), 2, "no error is kept");
    }
}

#[tokio::test]
async fn is_unavailable_where_the_provider_fails() {
    let with = |name: &str, value: &str| {
        let mut own = config(&answer(&json!({})));
        own.env.push((name.to_owned(), value.to_owned()));
        own
    };
    let absent = ProviderConfig { program: "/nonexistent/provider".into(), ..config("") };
    let short = Duration::from_millis(50);
    let long = Duration::from_secs(10);
    for (config, limit, expect) in [
        (absent, long, "failed: entity not found"),
        (with("STATUS", "3"), long, "failed: exit status: 3"),
        (with("GATE", "/nonexistent/gate"), short, "did not answer in time"),
    ] {
        let clock: Arc<dyn Clock> = Arc::<FixedClock>::default();
        let providers = CredentialProviders::with_limit(vec![config], &clock, limit).unwrap();
        let error = ask(&providers, "a.example/app").await.unwrap_err();
        assert!(matches!(error, CredentialError::Unavailable { .. }), "{error:?}");
        let shown = error.to_string();
        assert!(shown.contains(expect) && !shown.contains("hunter2"), "{shown}");
    }
}

#[tokio::test]
async fn several_providers_are_tried_in_their_order() {
    let of = |name: &str, key: &str| {
        let auth = json!({key: {"username": name, "password": "p"}});
        config(&answer(&json!({"auth": auth})))
    };
    let clock: Arc<dyn Clock> = Arc::<FixedClock>::default();
    let configs = vec![of("b", "*.example"), of("a", "*.example"), of("c", "a.example")];
    let providers = CredentialProviders::new(configs, &clock).unwrap();
    assert_eq!(ask(&providers, "a.example/app").await.unwrap(), ["c:p", "b:p", "a:p"]);
}

#[test]
fn rejects_patterns_that_are_none() {
    let clock: Arc<dyn Clock> = Arc::<FixedClock>::default();
    let match_images = vec!["*.example".to_owned(), "https://a.example?".to_owned()];
    let wrong = ProviderConfig { match_images, ..config("") };
    let error = CredentialProviders::new(vec![wrong], &clock).err();
    assert_eq!(error.as_deref(), Some("matchImages of fake: 'https://a.example?' is no host"));
}
