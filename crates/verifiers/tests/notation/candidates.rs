//! Where signatures are found, and what hides none.

use assay_core::{Digest, ReasonCode, State};
use assay_testkit::media_type;
use bytes::Bytes;
use notation_rs::signer::Pki;
use notation_rs::{ARTIFACT_TYPE, EnvelopeFormat, THUMBPRINTS_ANNOTATION};
use serde_json::{Value, json};

use crate::world::{World, config, pki, timeout, verifier};

const NOT_FOUND: State = State::Missing(ReasonCode::SignatureNotFound);
const INVALID: State = State::Rejected(ReasonCode::EvidenceInvalid);

#[test]
fn takes_both_formats() {
    let pki = pki();
    for format in [EnvelopeFormat::Cose, EnvelopeFormat::Jws] {
        let mut world = World::new();
        let envelope = world.envelope(&pki, |request| request.format = format);
        world.push(&envelope, format);
        world.check(format.media_type(), &*verifier(config(), &pki), State::Accepted);
    }
}

#[test]
fn takes_two_shapes_of_manifests_and_no_other() {
    let pki = pki();
    let other = json!({"mediaType": "application/x", "digest": Digest::sha256(b""), "size": 0});
    let older = json!({"mediaType": ARTIFACT_TYPE, "digest": Digest::sha256(b"{}"), "size": 2});
    let mut about_another = json!(World::new().subject.descriptor);
    about_another["digest"] = json!(Digest::sha256(b"another"));
    type Change = (&'static str, Value);
    let cases: [(&str, &[Change], State); 9] = [
        ("newer", &[], State::Accepted),
        ("older", &[("artifactType", Value::Null), ("config", older)], State::Accepted),
        ("neither", &[("artifactType", Value::Null)], NOT_FOUND),
        ("another config", &[("config", other.clone())], NOT_FOUND),
        ("another artifact type", &[("artifactType", json!("application/x"))], NOT_FOUND),
        ("no subject", &[("subject", Value::Null)], INVALID),
        ("another subject", &[("subject", about_another)], INVALID),
        ("no layer", &[("layers", json!([]))], INVALID),
        ("a layer of another type", &[("layers", json!([other]))], INVALID),
    ];
    for (name, changes, expect) in cases {
        let mut world = World::new();
        let envelope = world.envelope(&pki, |_| {});
        let mut manifest = world.manifest(&envelope, EnvelopeFormat::Cose);
        for (field, value) in changes {
            manifest[*field] = value.clone();
        }
        world.push_manifest(&manifest);
        world.check(name, &*verifier(config(), &pki), expect);
    }
    let mut world = World::new();
    let envelope = world.envelope(&pki, |_| {});
    let mut manifest = world.manifest(&envelope, EnvelopeFormat::Cose);
    manifest["layers"] = json!([manifest["layers"][0], manifest["layers"][0]]);
    world.push_manifest(&manifest);
    world.check("two layers", &*verifier(config(), &pki), INVALID);
}

#[test]
fn takes_artifact_manifests_of_signatures_and_no_other() {
    let pki = pki();
    let envelope = World::new().envelope(&pki, |_| {});
    let blob = World::new().blob(EnvelopeFormat::Cose.media_type(), &envelope);
    let other = json!({"mediaType": "application/x", "digest": Digest::sha256(b""), "size": 0});
    let mut about_another = json!(World::new().subject.descriptor);
    about_another["digest"] = json!(Digest::sha256(b"another"));
    for (name, field, value, expect) in [
        ("a signature", "blobs", json!([blob]), State::Accepted),
        ("another artifact type", "artifactType", json!("application/x"), NOT_FOUND),
        ("no artifact type", "artifactType", Value::Null, INVALID),
        ("another media type", "mediaType", json!("application/x"), INVALID),
        ("an image's media type", "mediaType", json!(media_type::MANIFEST), INVALID),
        ("no subject", "subject", Value::Null, INVALID),
        ("another subject", "subject", about_another, INVALID),
        ("no blob", "blobs", json!([]), INVALID),
        ("two blobs", "blobs", json!([blob, blob]), INVALID),
        ("a blob of another type", "blobs", json!([other]), INVALID),
    ] {
        let mut world = World::new();
        let mut manifest = json!({
            "mediaType": "application/vnd.oci.artifact.manifest.v1+json",
            "artifactType": ARTIFACT_TYPE,
            "blobs": [world.blob(EnvelopeFormat::Cose.media_type(), &envelope)],
            "subject": world.subject.descriptor,
        });
        manifest[field] = value;
        world.push_manifest(&manifest);
        world.check(name, &*verifier(config(), &pki), expect);
    }
}

#[test]
fn says_that_there_is_none() {
    let pki = pki();
    let mut world = World::new();
    let outcome = world.check("nothing", &*verifier(config(), &pki), NOT_FOUND);
    assert_eq!(outcome.message, "no signature by a certificate of roots");
    world.sign(&pki);
    world.referrers.as_mut().unwrap()[0].artifact_type = Some("application/x".to_owned());
    world.check("listed as something else", &*verifier(config(), &pki), NOT_FOUND);
    world.referrers = Err(timeout());
    world.check("no list", &*verifier(config(), &pki), State::Unavailable(ReasonCode::Timeout));
}

#[test]
fn one_that_cannot_be_had_hides_no_other() {
    let (pki, stranger) = (pki(), pki());
    type Break = fn(&mut World, Digest);
    let cases: [(&str, Break, State); 4] = [
        (
            "no manifest",
            |world, digest| {
                world.manifests.insert(digest.to_string(), Err(timeout()));
            },
            State::Unavailable(ReasonCode::Timeout),
        ),
        (
            "no envelope",
            |world, _| world.blobs.values_mut().for_each(|blob| *blob = Err(timeout())),
            State::Unavailable(ReasonCode::Timeout),
        ),
        (
            "junk",
            |world, digest| {
                world.manifests.insert(digest.to_string(), Ok(Bytes::from_static(b"{")));
            },
            INVALID,
        ),
        ("a stranger's", |_, _| {}, State::Rejected(ReasonCode::KeyMismatch)),
    ];
    for (name, spoil, alone) in cases {
        let mut world = World::new();
        let first = world.sign(&stranger);
        spoil(&mut world, first);
        world.check(name, &*verifier(config(), &pki), alone);
        world.sign(&pki);
        let outcome = world.check(name, &*verifier(config(), &pki), State::Accepted);
        assert_eq!(outcome.signers.len(), 1, "{name}");
    }
}

#[test]
fn looks_at_50_and_no_more() {
    let pki = pki();
    for (junk, expect) in
        [(49, State::Accepted), (50, State::Rejected(ReasonCode::TooManyCandidates))]
    {
        let mut world = World::new();
        for index in 0..junk {
            world.list(&Digest::sha256(format!("{index}").as_bytes()));
        }
        world.sign(&pki);
        world.check(&junk.to_string(), &*verifier(config(), &pki), expect);
        assert_eq!(*world.asked.lock().unwrap(), 50);
    }
}

#[test]
fn reads_first_what_says_that_a_trusted_certificate_signed_it() {
    let (pki, stranger) = (pki(), pki());
    let thumbprints = |pki: &Pki| -> Vec<String> {
        let chain = pki.chain();
        let hex = chain.iter().map(|one| Digest::sha256(one.der()).hex().to_uppercase());
        hex.collect()
    };
    let too_many = State::Rejected(ReasonCode::TooManyCandidates);
    let ours = json!(thumbprints(&pki)).to_string();
    for (name, text, expect) in [
        ("ours", ours.clone(), State::Accepted),
        ("a stranger's", json!(thumbprints(&stranger)).to_string(), too_many),
        ("no list", json!({"a": ours}).to_string(), too_many),
        ("no JSON", "[".to_owned(), too_many),
    ] {
        let mut world = World::new();
        for index in 0..50 {
            world.list(&Digest::sha256(format!("{index}").as_bytes()));
        }
        world.sign(&pki);
        let listed = world.referrers.as_mut().unwrap().last_mut().unwrap();
        listed.annotations = [(THUMBPRINTS_ANNOTATION.to_owned(), text)].into();
        world.check(name, &*verifier(config(), &pki), expect);
    }
    let mut world = World::new();
    world.sign(&stranger);
    let listed = world.referrers.as_mut().unwrap().last_mut().unwrap();
    listed.annotations = [(THUMBPRINTS_ANNOTATION.to_owned(), ours)].into();
    let mismatch = State::Rejected(ReasonCode::KeyMismatch);
    world.check("a liar's", &*verifier(config(), &pki), mismatch);
}

#[test]
fn reads_envelopes_up_to_the_limit() {
    let pki = pki();
    const MAX: usize = 4 * 1024 * 1024;
    for (size, expect) in [(MAX, INVALID), (MAX + 1, State::Rejected(ReasonCode::EvidenceTooLarge))]
    {
        let mut world = World::new();
        world.push(&vec![0; size], EnvelopeFormat::Cose);
        world.check(&size.to_string(), &*verifier(config(), &pki), expect);
    }
}

#[test]
fn does_not_take_the_signature_of_another_image() {
    let pki = pki();
    let mut other = World::new();
    other.subject.descriptor.digest = Digest::sha256(b"another image");
    let envelope = other.envelope(&pki, |_| {});
    let mut world = World::new();
    world.push(&envelope, EnvelopeFormat::Cose);
    let expect = State::Rejected(ReasonCode::SubjectMismatch);
    world.check("transplanted", &*verifier(config(), &pki), expect);
    assert_eq!(world.subject.descriptor.media_type, media_type::MANIFEST);
}
