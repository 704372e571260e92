//! In whose name evidence is read that is in another repository than its subject.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use assay_core::ReasonCode::RegistryDenied;
use assay_core::ports::{Context, CredentialError, Verifier};
use assay_core::{Digest, Outcome, Repository, StoreError, Subject};
use async_trait::async_trait;

use crate::fakes::{accepted, descriptor, digest_of, name_of};
use crate::world::{IMAGE, World, assert_denied, assert_undecided};

const HOST: &str = "registry.example";
const ELSEWHERE: &str = "signatures";

/// A verifier that accepts where it is let in.
struct Reader {
    fingerprint: Digest,
    repository: Repository,
    name: Mutex<Option<String>>,
}

#[async_trait]
impl Verifier for Reader {
    fn kind(&self) -> &'static str {
        "reader"
    }

    fn fingerprint(&self) -> &Digest {
        &self.fingerprint
    }

    fn repositories(&self) -> &[Repository] {
        std::slice::from_ref(&self.repository)
    }

    async fn verify(&self, subject: &Subject, context: &dyn Context) -> Outcome {
        match context.access(subject, &self.repository).await {
            Ok(access) => {
                *self.name.lock().unwrap() = Some(name_of(&access).to_owned());
                accepted()
            }
            Err(outcome) => outcome,
        }
    }
}

/// A registry that denies `denied` in the repository of the signatures and shows the image to Bob.
fn world(
    path: &str,
    users: &'static [&'static str],
    denied: &'static [&str],
) -> (World, Arc<Reader>) {
    let reader = Arc::new(Reader {
        fingerprint: Digest::sha256(b"reader"),
        repository: Repository::new(HOST, path),
        name: Mutex::default(),
    });
    let world = World::asking(&reader);
    world.credentials.of(users);
    world.store.resolves(move |repository, _, access| {
        let name = name_of(access);
        let refused = match repository.path() {
            ELSEWHERE => denied.contains(&name),
            _ => !["bob", "public"].contains(&name),
        };
        match (refused, repository.path()) {
            (true, _) => Err(StoreError::Denied { host: HOST.to_owned(), status: 403 }),
            (false, ELSEWHERE) => Err(StoreError::NotFound { host: HOST.to_owned() }),
            (false, _) => Ok(descriptor(digest_of("v1"))),
        }
    });
    (world, reader)
}

#[tokio::test(start_paused = true)]
async fn reads_another_repository_with_the_credentials_for_it() {
    for (name, path, users, denied, expect, requests) in [
        ("none", ELSEWHERE, [].as_slice(), [].as_slice(), "public", 1),
        ("one, and nothing is tried", ELSEWHERE, &["bob"], &[], "bob", 1),
        ("the first that is let in", ELSEWHERE, &["alice", "bob"], &[], "alice", 3),
        ("the second", ELSEWHERE, &["alice", "bob"], &["alice"], "bob", 4),
        ("the image's own, as the image", "app", &["alice", "bob"], &[], "bob", 2),
    ] {
        let (world, reader) = world(path, users, denied);
        assert!(world.judge(&[IMAGE]).await.is_admitted(), "{name}");
        assert_eq!(reader.name.lock().unwrap().as_deref(), Some(expect), "{name}");
        assert_eq!(world.resolves(), requests, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn refuses_where_no_credential_is_let_in() {
    let (world, reader) = world(ELSEWHERE, &["alice", "bob"], &["alice", "bob"]);
    assert_denied(&world.judge(&[IMAGE]).await, &[RegistryDenied]);
    assert_eq!(*reader.name.lock().unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn is_undecided_without_the_credentials_for_the_other_repository() {
    let (world, _) = world(ELSEWHERE, &[], &[]);
    let asked = AtomicUsize::new(0);
    world.credentials.are(move || match asked.fetch_add(1, Ordering::Relaxed) {
        0 => Ok(Vec::new()),
        _ => Err(CredentialError::Unavailable {
            host: HOST.to_owned(),
            reason: "helper failed".to_owned(),
        }),
    });
    assert_undecided(&world.judge(&[IMAGE]).await, &[RegistryDenied]);
}
