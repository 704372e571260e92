//! What is signed, and what has to be understood of it.

use super::*;
use crate::algorithm::Hash;

#[test]
fn verifies_what_is_signed_and_nothing_else() {
    check_verdicts(&[
        ("the default", |_| {}, PASS),
        ("other digest", |case| case.subject.1 = "sha256:00", ("payload", "DescriptorMismatch")),
        ("other type", |case| case.subject.0 = "a/b", ("payload", "DescriptorMismatch")),
        ("other size", |case| case.subject.2 = 3, ("payload", "DescriptorMismatch")),
        ("no descriptor", |case| case.payload = Some(b"{}"), ("payload", "InvalidPayload")),
        ("metadata", |case| case.metadata = vec![("env", "prod")], PASS),
        (
            "metadata of other value",
            |case| case.metadata = vec![("env", "Prod")],
            ("metadata", "MetadataMismatch"),
        ),
        (
            "metadata that is absent",
            |case| case.metadata = vec![("env", "prod"), ("a", "b")],
            ("metadata", "MetadataMismatch"),
        ),
        (
            "a last byte",
            |case| case.tamper = |bytes| bytes.push(0),
            ("integrity", "InvalidEnvelope"),
        ),
        ("nothing", |case| case.tamper = Vec::clear, ("integrity", "InvalidEnvelope")),
    ]);
    let tampered = Case { tamper: |bytes| *bytes.last_mut().unwrap() ^= 1, ..Case::default() };
    assert_eq!(tampered.failure(), ("integrity", "BadSignature"));
}

#[test]
fn fails_what_it_does_not_understand() {
    const PLUGIN: &str = "io.cncf.notary.verificationPlugin";
    const MIN_VERSION: &str = "io.cncf.notary.verificationPluginMinVersion";
    check_verdicts(&[
        ("unknown", |case| case.extended = vec![("a", "b", false)], PASS),
        (
            "unknown and critical",
            |case| case.extended = vec![("a", "b", true)],
            ("critical", "UnknownCritical"),
        ),
        (
            "plugin",
            |case| case.extended = vec![(PLUGIN, "x", true)],
            ("plugin", "PluginUnavailable"),
        ),
        (
            "plugin that is not critical",
            |case| case.extended = vec![(PLUGIN, "", false)],
            ("plugin", "PluginUnavailable"),
        ),
        (
            "version of no plugin",
            |case| case.extended = vec![(MIN_VERSION, "1.0.0", true)],
            ("critical", "UnknownCritical"),
        ),
    ]);
}

#[test]
fn hashes_blobs_by_the_algorithm_of_the_key() {
    let pki = signer::Pki::generate(KeyKind::P384, at(NOT_BEFORE), at(NOT_AFTER)).unwrap();
    let content = b"{}";
    let digest: String = Hash::Sha384.digest(content).iter().map(|b| format!("{b:02x}")).collect();
    let target = TargetArtifact {
        media_type: "text/plain".to_owned(),
        digest: format!("sha384:{digest}"),
        size: 2,
        annotations: BTreeMap::new(),
        artifact_type: None,
    };
    let payload = signer::payload(&target).unwrap();
    let request = SignRequest::new(EnvelopeFormat::Jws, &payload, at(NOT_BEFORE));
    let envelope = request.sign(&pki.leaf.key, &pki.chain()).unwrap();
    let mut trust_stores = TrustStores::default();
    let anchors = [pki.root.certificate.der()];
    trust_stores.insert("roots", TrustStore::from_files(TrustStoreType::Ca, anchors).unwrap());
    let policy = Case { stores: vec!["ca:roots"], ..Case::default() }.policy();
    let verifier = Verifier::new(&trust_stores, &NeverRevoked, &NeverRevoked);
    let cases: [(&str, &[u8], Option<&str>, bool); 5] = [
        ("the content", content, None, true),
        ("of the type", content, Some("text/plain"), true),
        ("of another type", content, Some("text/html"), false),
        ("other content", b"[]", None, false),
        ("no content", b"", None, false),
    ];
    for (name, content, media_type, expect) in cases {
        let request = Request {
            envelope: (EnvelopeFormat::Jws, &envelope),
            subject: Subject::Blob { content, media_type },
            user_metadata: &BTreeMap::new(),
            statement: policy.statements()[0].statement(),
            now: at(NOT_AFTER),
        };
        let outcome = block_on(verifier.verify(&request));
        assert_eq!(outcome.verdict.is_ok(), expect, "{name} {:?}", outcome.verdict.err());
    }
}
