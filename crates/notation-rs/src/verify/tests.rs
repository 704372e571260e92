//! One case that passes, and what each test changes about it.

mod contents;
mod levels;
mod options;
mod plugins;
mod times;
mod trust;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::task::{Context, Poll, Waker};

use super::*;
use crate::algorithm::KeyKind;
use crate::certificate::Certificate;
use crate::chain::ChainError;
use crate::oids;
use crate::revocation::{BoxFuture, CertificateStatus, ChainStatus};
use crate::signer::{self, CertificateTemplate, CertifiedKey, SignRequest, SigningKey};
use crate::test_der::{oid, sequence, tlv};
use crate::trust_policy::OciTrustPolicy;
use crate::trust_store::TrustStore;
use serde_json::json;

const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
const MEDIA_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// The validity of all certificates.
const NOT_BEFORE: &str = "2025-01-01T00:00:00Z";
const NOT_AFTER: &str = "2027-01-01T00:00:00Z";
const ACME: [(&str, &str); 4] = [("C", "US"), ("ST", "WA"), ("O", "Acme"), ("CN", "Signer")];

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn template(subject: &[(&str, &str)]) -> CertificateTemplate {
    CertificateTemplate::new(subject, at(NOT_BEFORE), at(NOT_AFTER))
}

fn key() -> SigningKey {
    SigningKey::generate(KeyKind::P256).unwrap()
}

/// Root, intermediate, and three leaves: of Acme, of Acme with an attribute of an unknown type, and
/// of nobody in particular.
struct Pki {
    root: CertifiedKey,
    intermediate: CertifiedKey,
    leaf: CertifiedKey,
    leaf_with_email: CertifiedKey,
    nameless: CertifiedKey,
    stranger: CertifiedKey,
}

fn pki() -> &'static Pki {
    static PKI: OnceLock<Pki> = OnceLock::new();
    PKI.get_or_init(|| {
        let root = template(&[("CN", "Root")]).ca(None).self_signed(key()).unwrap();
        let ca = template(&[("CN", "Issuing")]).ca(Some(0));
        let intermediate = ca.issued_by(&root, key()).unwrap();
        let location = tlv(0x86, &[b"http://ocsp.example"]);
        let responders = sequence(&[&sequence(&[&oid(oids::OCSP), &location])]);
        let leaf = template(&ACME).code_signing();
        let leaf = leaf.with_extension(oids::AUTHORITY_INFO_ACCESS, false, &responders);
        let leaf = leaf.issued_by(&intermediate, key()).unwrap();
        let mut with_email = template(&ACME).code_signing();
        with_email.subject = subject_with_email();
        let leaf_with_email = with_email.issued_by(&intermediate, key()).unwrap();
        let nameless = template(&[("CN", "x")]).code_signing();
        let nameless = nameless.issued_by(&intermediate, key()).unwrap();
        let stranger = template(&[("CN", "Root")]).ca(None).self_signed(key()).unwrap();
        Pki { root, intermediate, leaf, leaf_with_email, nameless, stranger }
    })
}

/// The subject of Acme with an `emailAddress` (1.2.840.113549.1.9.1).
fn subject_with_email() -> Vec<u8> {
    use crate::test_der::{oid, sequence, tlv};
    let email = oid(b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01");
    let email = sequence(&[&email, &tlv(0x16, &[b"a@acme.example"])]);
    let acme = signer::name(&ACME);
    let parts = crate::der::only(crate::der::SEQUENCE, &acme).unwrap().content;
    sequence(&[parts, &tlv(0x31, &[&email])])
}

/// Makes a timestamp over a signature, and the root of its authority if it has one.
type Stamp = fn(&[u8]) -> (Vec<u8>, Option<Certificate>);

/// One verification; the default passes at level strict.
struct Case {
    format: EnvelopeFormat,
    scheme: SigningScheme,
    leaf: fn(&Pki) -> &CertifiedKey,
    expiry: Option<&'static str>,
    extended: Vec<(&'static str, &'static str, bool)>,
    token: Option<Stamp>,
    tamper: fn(&mut Vec<u8>),
    payload: Option<&'static [u8]>,
    level: &'static str,
    overrides: serde_json::Value,
    verify_timestamp: &'static str,
    stores: Vec<&'static str>,
    anchor: fn(&Pki) -> &Certificate,
    identities: Vec<&'static str>,
    metadata: Vec<(&'static str, &'static str)>,
    subject: (&'static str, &'static str, u64),
    now: &'static str,
    leaf_status: CertificateStatus,
    authority_status: CertificateStatus,
    plugins: Vec<plugins::Fake>,
    envelope_bytes_max: usize,
    unknown_attributes: UnknownAttributes,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            format: EnvelopeFormat::Cose,
            scheme: SigningScheme::X509,
            leaf: |pki| &pki.leaf,
            expiry: None,
            extended: Vec::new(),
            token: None,
            tamper: |_| {},
            payload: None,
            level: "strict",
            overrides: json!({}),
            verify_timestamp: "",
            stores: vec!["ca:roots", "signingAuthority:roots"],
            anchor: |pki| &pki.root.certificate,
            identities: vec!["x509.subject:C=US,ST=WA,O=Acme"],
            metadata: Vec::new(),
            subject: (MEDIA_TYPE, DIGEST, 2),
            now: "2026-01-01T00:00:00Z",
            leaf_status: CertificateStatus::Good,
            authority_status: CertificateStatus::Good,
            plugins: Vec::new(),
            envelope_bytes_max: ENVELOPE_BYTES_MAX,
            unknown_attributes: UnknownAttributes::Ignore,
        }
    }
}

/// Says that of each chain, and remembers what it was asked.
struct Oracle {
    leaf_status: CertificateStatus,
    asked: AtomicUsize,
    anchor: AtomicUsize,
    signing_time: Mutex<Option<Timestamp>>,
}

impl Oracle {
    fn new(leaf_status: &CertificateStatus) -> Self {
        Self {
            leaf_status: leaf_status.clone(),
            asked: AtomicUsize::new(0),
            anchor: AtomicUsize::new(0),
            signing_time: Mutex::new(None),
        }
    }
}

impl RevocationCheck for Oracle {
    fn check<'a>(&'a self, chain: Chain<'a>) -> BoxFuture<'a, Result<ChainStatus, ChainError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.anchor.store(chain.anchor, Ordering::Relaxed);
        *self.signing_time.lock().unwrap() = chain.authentic_signing_time;
        let mut certificates = vec![CertificateStatus::Good; chain.certificates.len()];
        certificates[0] = self.leaf_status.clone();
        Box::pin(std::future::ready(Ok(ChainStatus { certificates })))
    }
}

impl Case {
    /// The envelope, and the root of the timestamp authority.
    fn envelope(&self) -> (Vec<u8>, Option<Certificate>) {
        let pki = pki();
        let target = TargetArtifact {
            media_type: MEDIA_TYPE.to_owned(),
            digest: DIGEST.to_owned(),
            size: 2,
            annotations: BTreeMap::from([("env".to_owned(), "prod".to_owned())]),
            artifact_type: None,
        };
        let payload = signer::payload(&target).unwrap();
        let payload = self.payload.unwrap_or(&payload);
        let mut request = SignRequest::new(self.format, payload, at("2025-06-01T00:00:00Z"));
        request.scheme = self.scheme;
        request.expiry = self.expiry.map(at);
        request.extended = &self.extended;
        let authority = Mutex::new(None);
        let timestamper = |signature: &[u8]| {
            let (token, root) = self.token?(signature);
            *authority.lock().unwrap() = root;
            Some(token)
        };
        if self.token.is_some() {
            request.timestamper = Some(&timestamper);
        }
        let leaf = (self.leaf)(pki);
        let chain = [leaf, &pki.intermediate, &pki.root].map(|one| one.certificate.clone());
        let mut envelope = request.sign(&leaf.key, &chain).unwrap();
        (self.tamper)(&mut envelope);
        let authority = authority.lock().unwrap().take();
        (envelope, authority)
    }

    fn policy(&self) -> OciTrustPolicy {
        let document = json!({"version": "1.0", "trustPolicies": [{
            "name": "a",
            "registryScopes": ["registry.example/a"],
            "signatureVerification": {
                "level": self.level,
                "override": self.overrides,
                "verifyTimestamp": self.verify_timestamp,
            },
            "trustStores": self.stores,
            "trustedIdentities": self.identities,
        }]});
        OciTrustPolicy::parse(document.to_string().as_bytes()).unwrap()
    }

    /// The outcome, how often revocation was asked about, and the signing time it was told.
    fn verify(&self) -> (Outcome, usize, Option<Timestamp>) {
        let (envelope, authority) = self.envelope();
        let mut stores = TrustStores::default();
        for kind in [TrustStoreType::Ca, TrustStoreType::SigningAuthority, TrustStoreType::Tsa] {
            let anchor = match kind {
                TrustStoreType::Tsa => authority.as_ref().unwrap_or(&pki().stranger.certificate),
                _ => (self.anchor)(pki()),
            };
            stores.insert("roots", TrustStore::from_files(kind, [anchor.der()]).unwrap());
        }
        let oracle = Oracle::new(&self.leaf_status);
        let authority = Oracle::new(&self.authority_status);
        let plugins: Vec<&dyn VerificationPlugin> =
            self.plugins.iter().map(|plugin| plugin as &dyn VerificationPlugin).collect();
        let verifier = Verifier {
            plugins: &plugins,
            envelope_bytes_max: self.envelope_bytes_max,
            unknown_attributes: self.unknown_attributes,
            ..Verifier::new(&stores, &oracle, &authority)
        };
        let policy = self.policy();
        let metadata = self.metadata.iter().map(|(key, value)| ((*key).into(), (*value).into()));
        let (media_type, digest, size) = self.subject;
        let request = Request {
            envelope: (self.format, &envelope),
            subject: Subject::Artifact { media_type, digest, size },
            user_metadata: &metadata.collect(),
            statement: policy.select(&format!("registry.example/a@{DIGEST}")).unwrap(),
            now: at(self.now),
        };
        let outcome = block_on(sendable(verifier.verify(&request)));
        let signing_time = *oracle.signing_time.lock().unwrap();
        let asked = oracle.asked.into_inner();
        // Whoever is asked is told which certificate the store holds.
        let above = [&pki().intermediate, &pki().root].map(|one| &one.certificate);
        let anchor = above.iter().position(|one| **one == *(self.anchor)(pki()));
        let told = anchor.map(|above| above + 1);
        assert!(asked == 0 || told == Some(oracle.anchor.into_inner()), "{told:?}");
        (outcome, asked, signing_time)
    }

    /// The stage and the code of the failure; empty if it passed.
    fn failure(&self) -> Failed {
        match self.verify().0.verdict {
            Ok(_) => ("", ""),
            Err(failure) => (failure.stage.as_str(), failure.error.code()),
        }
    }
}

/// The same future; it compiles only if runtimes may move it between threads.
fn sendable<F: Future + Send>(future: F) -> F {
    future
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nothing here waits"),
    }
}

/// What a case has that the default has not.
type Change = fn(&mut Case);

/// The stage and the code of a failure.
type Failed = (&'static str, &'static str);

const PASS: Failed = ("", "");

/// Checks the verdict of each case in both formats.
fn check_verdicts(cases: &[(&str, Change, Failed)]) {
    for format in [EnvelopeFormat::Cose, EnvelopeFormat::Jws] {
        for (name, change, expect) in cases {
            let mut case = Case { format, ..Case::default() };
            change(&mut case);
            assert_eq!(case.failure(), *expect, "{name} {format:?}");
        }
    }
}
