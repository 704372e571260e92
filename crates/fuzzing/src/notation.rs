//! Notary Project signatures: their envelopes, certificates, names and trust policies, as the Notary
//! Project's own library and OpenSSL wrote them, and then changed. A parsed envelope is a claim; it
//! becomes more only with the payload, the attributes and the certificates that its key signed.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use notation_rs::EnvelopeFormat;
use notation_rs::certificate::Certificate;
use notation_rs::chain::CHAIN_MAX;
use notation_rs::envelope::{Envelope, HEADERS_MAX, IntactEnvelope};
use notation_rs::identity::{DistinguishedName, TrustedIdentity};
use notation_rs::trust_policy::OciTrustPolicy;
use notation_rs::trust_store::{TrustStore, TrustStoreType};
use serde_json::Value;

macro_rules! data {
    ($name:literal) => {
        include_bytes!(concat!("../../notation-rs/tests/data/", $name)).as_slice()
    };
}
pub(crate) use data;

/// Certificates, one of which signed itself and another.
pub const CERTIFICATES: &[&[u8]] = &[ROOT, data!("openssl-chain/leaf.der")];
/// COSE envelopes, over RSA and two curves, one of which asks for a plugin.
pub const COSE: &[&[u8]] = &[
    data!("notation-go/rsa.cose"),
    data!("notation-go/ec.cose"),
    data!("notation-go/revocation.cose"),
    data!("notation-go/plugin.cose"),
];
/// JWS envelopes, one of them with a timestamp, and one that asks for a plugin.
pub const JWS: &[&[u8]] = &[
    data!("notation-go/rsa.jws"),
    data!("notation-go/ec.jws"),
    data!("notation-go/timestamped.jws"),
    data!("notation-go/plugin.jws"),
];
/// Distinguished names as policies write them.
pub const NAMES: &[&str] = &[
    "C=US, ST=WA, O=Acme",
    "CN=build 7;OU=x;O=A\\, B\\2c C\\;;S=WA;C=US",
    "C=US,ST=\\20W\\c3\\a4\\ ,O==,1.2.3=\\#\\\\",
];
/// Trust policies for artifacts in registries.
pub const POLICIES: &[&str] = &[r#"{"version":"1.0","trustPolicies":[
{"name":"one","registryScopes":["registry.example/a","localhost:5000/b/c"],"signatureVerification":{"level":"strict","override":{"expiry":"log","revocation":"skip"},"verifyTimestamp":"afterCertExpiry"},"trustStores":["ca:roots","tsa:stamps"],"trustedIdentities":["x509.subject: C=US, ST=WA, O=Acme","x509.subject:C=DE,ST=BE,O=Other"]},
{"name":"rest","registryScopes":["*"],"signatureVerification":{"level":"audit"},"trustStores":["signingAuthority:roots"],"trustedIdentities":["*"]},
{"name":"none","registryScopes":["registry.example/skipped"],"signatureVerification":{"level":"skip"}}]}"#];

const ROOT: &[u8] = data!("openssl-chain/root.der");

/// A COSE envelope is intact only as its key signed it.
pub fn cose(data: &[u8]) -> bool {
    envelope(EnvelopeFormat::Cose, data, COSE)
}

/// A JWS envelope is intact only as its key signed it.
pub fn jws(data: &[u8]) -> bool {
    envelope(EnvelopeFormat::Jws, data, JWS)
}

fn envelope(format: EnvelopeFormat, data: &[u8], signed: &[&[u8]]) -> bool {
    let parsed = Envelope::parse(format, data);
    if let Ok(claim) = &parsed {
        assert!(claim.chain().len() <= CHAIN_MAX, "certificates have a limit");
        assert!(claim.attributes().extended.len() <= HEADERS_MAX, "headers have a limit");
    }
    let Ok(intact) = parsed.and_then(Envelope::verify_integrity) else { return false };
    let original = |seed: &&[u8]| {
        let original = Envelope::parse(format, seed).and_then(Envelope::verify_integrity);
        is_signed_as(&intact, &original.expect("the seed is intact"))
    };
    assert!(signed.iter().any(original), "nobody signed this");
    true
}

/// Whether everything that the signature covers, and what it is verified with, is the same.
fn is_signed_as(one: &IntactEnvelope, other: &IntactEnvelope) -> bool {
    one.payload() == other.payload()
        && one.attributes() == other.attributes()
        && one.algorithm() == other.algorithm()
        && one.signature() == other.signature()
        && one.chain() == other.chain()
}

/// A certificate is kept as the bytes that came; the root signed it only if it is an original.
pub fn certificate(data: &[u8]) -> bool {
    let Ok(certificate) = Certificate::from_der(data) else { return false };
    assert_eq!(certificate.der(), data);
    let root = Certificate::from_der(ROOT).expect("the root is a certificate");
    let is_original = CERTIFICATES.contains(&data);
    assert_eq!(certificate.verify_signed_by(&root).is_ok(), is_original);
    assert!(certificate.not_before() <= certificate.not_after() || !is_original);
    if let Ok(name) = DistinguishedName::from_subject_der(certificate.subject_der()) {
        assert!(name.is_subset_of(&name));
    }
    if let Ok(store) = TrustStore::from_files(TrustStoreType::Ca, [data]) {
        assert_eq!(store.certificates(), [certificate]);
    }
    true
}

/// A name means the same with its parts in another order and its values spelled out; one that says
/// more is narrower, and one that says anything twice is none.
pub fn name(data: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(data) else { return false };
    let Ok(name) = DistinguishedName::parse(text) else { return false };
    assert_eq!(DistinguishedName::parse(&spelled_out(text)).as_ref(), Ok(&name));
    assert!(DistinguishedName::parse(&format!("{text},{text}")).is_err());
    if let Ok(more) = DistinguishedName::parse(&format!("{text},9.9.9=x")) {
        assert!(name.is_subset_of(&more) && !more.is_subset_of(&name));
    }
    let identity = TrustedIdentity::parse(&format!("x509.subject:{text}"));
    assert_eq!(identity, Ok(TrustedIdentity::X509Subject(name)));
    true
}

/// The parts of a name that has been accepted, the last one first, with every byte of the values in
/// hexadecimal.
fn spelled_out(name: &str) -> String {
    let parts: Vec<String> = parts(name).iter().rev().map(|part| spelled_out_part(part)).collect();
    parts.join(",")
}

/// The characters of each part, those that a backslash escapes with the backslash.
fn parts(name: &str) -> Vec<Vec<String>> {
    let mut parts = vec![Vec::new()];
    let mut characters = name.chars();
    while let Some(character) = characters.next() {
        match character {
            ',' | ';' => parts.push(Vec::new()),
            _ => {
                let escaped = (character == '\\').then(|| characters.next()).flatten();
                let whole = [Some(character), escaped].into_iter().flatten().collect();
                parts.last_mut().expect("there is one").push(whole);
            }
        }
    }
    parts
}

fn spelled_out_part(part: &[String]) -> String {
    let equals = part.iter().position(|one| one == "=").expect("a part has an equals sign");
    let (name, value) = (part[..equals].concat(), &part[equals + 1..]);
    let is_text = |one: &String| one != " ";
    let from = value.iter().position(is_text).unwrap_or(value.len());
    let end = value.iter().rposition(is_text).map_or(from, |last| last + 1);
    let mut rest = value[from..end].iter();
    let mut spelled = format!("{name}=");
    while let Some(one) = rest.next() {
        match one.strip_prefix('\\') {
            Some(digit) if digit.chars().all(|digit| digit.is_ascii_hexdigit()) => {
                spelled.push_str(one);
                spelled.push_str(rest.next().expect("a second digit follows"));
            }
            escaped => {
                for byte in escaped.unwrap_or(one).bytes() {
                    write!(spelled, "\\{byte:02x}").expect("strings grow");
                }
            }
        }
    }
    spelled
}

/// A trust policy says what a plain reading of the same JSON finds, names each repository once, and
/// selects by it.
pub fn policy(data: &[u8]) -> bool {
    let Ok(policy) = OciTrustPolicy::parse(data) else { return false };
    let json: Value = serde_json::from_slice(data).expect("a policy is JSON");
    let written = json["trustPolicies"].as_array().expect("a policy has statements");
    assert_eq!(json["version"], "1.0");
    assert_eq!(policy.statements().len(), written.len());
    let mut scopes = BTreeSet::new();
    for (each, written) in policy.statements().iter().zip(written) {
        let statement = each.statement();
        let stores: Vec<String> =
            statement.trust_stores().iter().map(ToString::to_string).collect();
        assert_eq!(written["name"], statement.name());
        assert_eq!(texts(&written["trustStores"]), stores);
        assert_eq!(texts(&written["registryScopes"]), each.registry_scopes());
        assert_eq!(
            statement.trusted_identities().len(),
            texts(&written["trustedIdentities"]).len()
        );
        for scope in each.registry_scopes() {
            assert!(scopes.insert(scope), "{scope} is selected once");
            let repository = if scope == "*" { "elsewhere.example/no/scope" } else { scope };
            let selected = policy.select(&format!("{repository}@sha256:00"));
            assert!(scope == "*" || selected == Ok(statement), "{scope}");
        }
    }
    let is_for_all = scopes.contains(&"*".to_owned());
    assert_eq!(policy.select("elsewhere.example/no/scope@sha256:00").is_ok(), is_for_all);
    true
}

/// The texts of a list; none where it is not there.
fn texts(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.map(|item| item.as_str().expect("an item is text").to_owned()).collect()
}
