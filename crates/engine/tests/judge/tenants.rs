//! Tenants with credentials of their own: in whose name each is answered, and that none sees what
//! another was told, cached or under way.

use std::sync::{Arc, Mutex};

use assay_core::ReasonCode::{ImageNotFound, Internal, RegistryDenied, SignatureNotFound};
use assay_core::ports::{Context, CredentialError, PullIdentity, Verifier};
use assay_core::{Credential, Digest, Outcome, Repository, State, StoreError, Subject};
use assay_policy::{CacheUse, Quorum, Verdict};
use async_trait::async_trait;
use tokio::task::JoinHandle;

use crate::fakes::{FakeVerifier, accepted, credential, descriptor, digest_of, name_of};
use crate::world::{
    IMAGE, World, assert_admitted, assert_denied, assert_undecided, policy, requirement, rule,
    until_idle,
};

const HOST: &str = "registry.example";

fn denied() -> StoreError {
    StoreError::Denied { host: HOST.to_owned(), status: 403 }
}

fn not_found() -> StoreError {
    StoreError::NotFound { host: HOST.to_owned() }
}

/// The credential by the name of each pull Secret.
fn of_secrets(identity: &PullIdentity) -> Vec<Credential> {
    identity.secrets.iter().map(|secret| credential(secret)).collect()
}

fn spawn(world: &World, namespace: &str, secrets: &[&str], image: &str) -> JoinHandle<Verdict> {
    let request = world.request_with(namespace, secrets, &[image]);
    let executor = world.executor.clone();
    tokio::spawn(async move { executor.judge(&request).await })
}

/// A registry that shows Alice one image and Bob another, and neither the other's, with a verifier that
/// accepts Alice's only.
fn private() -> World {
    let verifier = FakeVerifier::new("a");
    verifier.finds(|subject| match name_of(&subject.access) {
        "alice" => accepted(),
        _ => Outcome::new(State::Missing(SignatureNotFound), ""),
    });
    let world = World::asking(&verifier);
    world.credentials.answer(|_, identity| Ok(of_secrets(identity)));
    world.store.resolves(|_, at, access| {
        let own = match name_of(access) {
            "alice" => digest_of("alice"),
            "bob" => digest_of("bob"),
            _ => return Err(denied()),
        };
        match at {
            assay_core::ports::Selector::Digest(digest) if *digest != own => Err(not_found()),
            _ => Ok(descriptor(own)),
        }
    });
    world
}

#[tokio::test(start_paused = true)]
async fn one_tenant_sees_nothing_that_another_was_told() {
    let by_digest = |of: &str| format!("{HOST}/app@{}", digest_of(of));
    let (alices, bobs) = (by_digest("alice"), by_digest("bob"));
    // The tenant; its Secret; the image; what it is told.
    let requests = [
        ("a", "alice", IMAGE, None),
        ("b", "bob", IMAGE, Some(SignatureNotFound)),
        ("c", "carol", IMAGE, Some(RegistryDenied)),
        ("a", "alice", &alices, None),
        ("b", "bob", &alices, Some(ImageNotFound)),
        ("c", "carol", &alices, Some(RegistryDenied)),
        ("a", "alice", &bobs, Some(ImageNotFound)),
        ("b", "bob", &bobs, Some(SignatureNotFound)),
        // A name is worth only what its own namespace's Secret holds: here as much as the same one.
        ("b", "alice", IMAGE, None),
    ];
    let check = |verdict: &Verdict, expect: Option<_>, name: &str| match expect {
        None => assert!(verdict.is_admitted(), "{name}: {verdict:#?}"),
        Some(reason) => assert_denied(verdict, &[reason]),
    };

    // One after the other, twice: nothing that was kept answers another.
    let world = private();
    for (namespace, secret, image, expect) in requests.iter().chain(&requests) {
        let request = world.request_with(namespace, &[secret], &[image]);
        check(&world.executor.judge(&request).await, *expect, &format!("{namespace} {image}"));
    }

    // All at once, held up wherever they may join.
    for hold in [0, 1] {
        let world = private();
        let gate = [&world.credentials.gate, &world.store.gate][hold];
        gate.shut();
        let verdicts: Vec<_> = requests
            .iter()
            .map(|(namespace, secret, image, _)| spawn(&world, namespace, &[secret], image))
            .collect();
        until_idle().await;
        gate.open();
        for (verdict, (namespace, _, image, expect)) in verdicts.into_iter().zip(&requests) {
            check(&verdict.await.unwrap(), *expect, &format!("{hold} {namespace} {image}"));
        }
    }
}

/// How often credentials are looked up for two requests at once.
async fn check_joined(one: (&str, &[&str]), other: (&str, &[&str]), expect: usize) {
    let world = World::asking(&FakeVerifier::new("a"));
    world.credentials.gate.shut();
    let verdicts =
        [one, other].map(|(namespace, secrets)| spawn(&world, namespace, secrets, IMAGE));
    until_idle().await;
    assert_eq!(world.credentials.log.lines().len(), expect, "{one:?} {other:?}");
    world.credentials.gate.open();
    for verdict in verdicts {
        assert_admitted(&verdict.await.unwrap(), CacheUse::Miss);
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_same_secrets_of_the_same_namespace_are_looked_up_once() {
    check_joined(("a", &["s"]), ("a", &["s"]), 1).await;
    check_joined(("a", &["s"]), ("b", &["s"]), 2).await;
    check_joined(("a", &["s"]), ("a", &["t"]), 2).await;
    check_joined(("a", &["s", "t"]), ("a", &["t", "s"]), 2).await;
    check_joined(("a", &["s"]), ("a", &[]), 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_template_is_looked_up_by_its_service_account() {
    let world = World::asking(&FakeVerifier::new("a"));
    let seen = Arc::<Mutex<Vec<PullIdentity>>>::default();
    let log = seen.clone();
    world.credentials.answer(move |_, identity| {
        log.lock().unwrap().push(identity.clone());
        Ok(Vec::new())
    });
    let mut request = world.request_with("team", &[], &[IMAGE]);
    request.object.as_mut().unwrap().service_account = Some("robot".to_owned());
    world.executor.judge(&request).await;
    let (namespace, service_account) = ("team".to_owned(), Some("robot".to_owned()));
    let expect = PullIdentity { namespace, secrets: Vec::new(), service_account };
    assert_eq!(*seen.lock().unwrap(), [expect]);
}

/// Which of `users` is let in by answers of these kinds: `-` denies, `0` has nothing, `+` has it.
async fn check_turns(answers: &'static str, expect: Option<assay_core::ReasonCode>) {
    const USERS: [&str; 3] = ["one", "two", "three"];
    let world = World::asking(&FakeVerifier::new("a"));
    world.credentials.of(&USERS[..answers.len()]);
    world.store.resolves(move |_, _, access| {
        let turn = USERS.iter().position(|user| *user == name_of(access)).unwrap();
        match answers.as_bytes()[turn] {
            b'-' => Err(denied()),
            b'0' => Err(not_found()),
            _ => Ok(descriptor(digest_of("v1"))),
        }
    });
    let verdict = world.judge(&[IMAGE]).await;
    match expect {
        None => assert_admitted(&verdict, CacheUse::Miss),
        Some(reason) => assert_denied(&verdict, &[reason]),
    }
    let turns = answers.find('+').map_or(answers.len(), |last| last + 1);
    assert_eq!(world.resolves(), turns, "{answers}");
}

#[tokio::test(start_paused = true)]
async fn tries_on_where_there_seems_to_be_nothing() {
    check_turns("0+", None).await;
    check_turns("-0+", None).await;
    check_turns("0-+", None).await;
    check_turns("+00", None).await;
    check_turns("0", Some(ImageNotFound)).await;
    check_turns("00", Some(ImageNotFound)).await;
    check_turns("0-", Some(ImageNotFound)).await;
    check_turns("-0", Some(ImageNotFound)).await;
    check_turns("--", Some(RegistryDenied)).await;
}

#[tokio::test(start_paused = true)]
async fn tries_a_bounded_number_of_credentials() {
    // The distinct ones; how often each.
    for (distinct, times, is_admitted) in [(16, 1, true), (16, 9, true), (17, 1, false)] {
        let world = World::asking(&FakeVerifier::new("a"));
        let users = move || (0..distinct * times).map(move |n| format!("u{}", n % distinct));
        world.credentials.are(move || Ok(users().map(|user| credential(&user)).collect()));
        world.store.resolves(move |_, _, access| match name_of(access) {
            name if name == format!("u{}", distinct - 1) => Ok(descriptor(digest_of("v1"))),
            _ => Err(denied()),
        });
        let verdict = world.judge(&[IMAGE]).await;
        assert_eq!(verdict.is_admitted(), is_admitted, "{distinct} {times}");
        assert_eq!(world.resolves(), if is_admitted { distinct } else { 0 });
    }
}

/// A verifier that reads from another repository, and accepts what Alice finds there.
struct Elsewhere {
    fingerprint: Digest,
    repository: Repository,
    declares: bool,
    /// Asked in its place.
    nested: Option<Arc<dyn Verifier>>,
    runs: Mutex<usize>,
}

#[async_trait]
impl Verifier for Elsewhere {
    fn kind(&self) -> &'static str {
        "elsewhere"
    }

    fn fingerprint(&self) -> &Digest {
        &self.fingerprint
    }

    fn repositories(&self) -> &[Repository] {
        if self.declares { std::slice::from_ref(&self.repository) } else { &[] }
    }

    async fn verify(&self, subject: &Subject, context: &dyn Context) -> Outcome {
        *self.runs.lock().unwrap() += 1;
        if let Some(nested) = &self.nested {
            return context.nested(nested, subject).await;
        }
        match context.access(subject, &self.repository).await {
            Ok(access) if name_of(&access) == "alice" => accepted(),
            Ok(_) => Outcome::new(State::Missing(SignatureNotFound), ""),
            Err(outcome) => outcome,
        }
    }
}

fn elsewhere(declares: bool, nested: Option<Arc<dyn Verifier>>) -> Arc<Elsewhere> {
    Arc::new(Elsewhere {
        fingerprint: Digest::sha256(format!("{declares} {}", nested.is_some()).as_bytes()),
        repository: Repository::new(HOST, "signatures"),
        declares,
        nested,
        runs: Mutex::default(),
    })
}

/// A world with a public image, and signatures that each tenant reads by its Secret.
fn signed_elsewhere(verifier: &Arc<Elsewhere>) -> World {
    let world = World::asking(verifier);
    world.credentials.answer(|repository, identity| match repository.path() {
        "signatures" => Ok(of_secrets(identity)),
        _ => Ok(Vec::new()),
    });
    world
}

#[tokio::test(start_paused = true)]
async fn a_verdict_is_for_who_may_read_what_it_rests_on() {
    for nested in [false, true] {
        let inner = elsewhere(true, None);
        let verifier = if nested { elsewhere(true, Some(inner.clone())) } else { inner.clone() };
        let world = signed_elsewhere(&verifier);
        let judge = async |namespace, secret| {
            let request = world.request_with(namespace, &[secret], &[IMAGE]);
            world.executor.judge(&request).await
        };
        assert_admitted(&judge("a", "alice").await, CacheUse::Miss);
        assert_denied(&judge("b", "bob").await, &[SignatureNotFound]);
        assert_admitted(&judge("a", "alice").await, CacheUse::Hit);
        assert_admitted(&judge("b", "alice").await, CacheUse::Hit);
        assert_eq!(*inner.runs.lock().unwrap(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_verification_under_way_is_for_who_may_read_what_it_rests_on() {
    let verifier = elsewhere(true, None);
    let world = signed_elsewhere(&verifier);
    world.store.gate.shut();
    let verdicts = [("a", "alice"), ("b", "bob"), ("c", "alice")]
        .map(|(namespace, secret)| spawn(&world, namespace, &[secret], IMAGE));
    until_idle().await;
    world.store.gate.open();
    let [alice, bob, too] = verdicts;
    assert_admitted(&alice.await.unwrap(), CacheUse::Miss);
    assert_denied(&bob.await.unwrap(), &[SignatureNotFound]);
    assert_admitted(&too.await.unwrap(), CacheUse::Miss);
    assert_eq!(*verifier.runs.lock().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn refuses_a_verifier_that_does_not_say_where_it_reads() {
    let inner = elsewhere(true, None);
    for verifier in [elsewhere(false, None), elsewhere(false, Some(inner.clone()))] {
        let world = signed_elsewhere(&verifier);
        let request = world.request_with("a", &["alice"], &[IMAGE]);
        assert_denied(&world.executor.judge(&request).await, &[Internal]);
    }
    assert_eq!(*inner.runs.lock().unwrap(), 0);
}

/// A world where the credentials for `path` end in an error, and one of two verifiers is enough: one
/// that reads elsewhere, and one that does not.
fn broken(path: &'static str, unusable: bool, quorum: Quorum) -> World {
    let verifiers = [elsewhere(true, None) as Arc<dyn Verifier>, FakeVerifier::new("a")];
    let world = World::new([policy("one", [rule("**", requirement(quorum, verifiers))])]);
    world.credentials.answer(move |repository, identity| {
        let (host, reason) = (HOST.to_owned(), format!("as {}", identity.namespace));
        match (repository.path() == path, unusable) {
            (false, _) => Ok(Vec::new()),
            (true, true) => Err(CredentialError::Unusable { host, reason }),
            (true, false) => Err(CredentialError::Unavailable { host, reason }),
        }
    });
    world
}

#[tokio::test(start_paused = true)]
async fn what_a_tenant_broke_is_no_missing_infrastructure() {
    for path in ["app", "signatures"] {
        let world = broken(path, true, Quorum::All);
        assert_denied(&world.judge(&[IMAGE]).await, &[RegistryDenied]);
        let world = broken(path, false, Quorum::All);
        assert_undecided(&world.judge(&[IMAGE]).await, &[RegistryDenied]);
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_elsewhere_close_only_who_needs_them() {
    let world = broken("signatures", true, Quorum::Any);
    assert!(world.judge(&[IMAGE]).await.is_admitted());
    let world = broken("app", true, Quorum::Any);
    assert_denied(&world.judge(&[IMAGE]).await, &[RegistryDenied]);
}

#[tokio::test(start_paused = true)]
async fn an_error_is_told_to_nobody_else() {
    let world = broken("signatures", true, Quorum::All);
    for _ in 0..2 {
        for namespace in ["a", "b"] {
            let verdict = world.judge_in(namespace, &[IMAGE]).await;
            let shown = format!("{verdict:?}");
            assert!(shown.contains(&format!("as {namespace}")), "{shown}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_revoked_secret_opens_nothing_that_it_did() {
    let world = private();
    let request = || world.request_with("a", &["alice"], &[IMAGE]);
    assert_admitted(&world.executor.judge(&request()).await, CacheUse::Miss);
    assert_admitted(&world.executor.judge(&request()).await, CacheUse::Hit);
    world.credentials.of(&[]);
    assert_denied(&world.executor.judge(&request()).await, &[RegistryDenied]);
}
