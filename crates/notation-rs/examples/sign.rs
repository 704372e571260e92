//! Signs an artifact with a key of every kind, in both formats and under both schemes, with and
//! without expiry, for verifiers of other makers: `sign FOLDER DESCRIPTOR.json` writes
//! `FOLDER/KIND/root.pem` and `FOLDER/KIND/{x509,signingAuthority}{,-expiring}.{cose,jws}`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use notation_rs::EnvelopeFormat;
use notation_rs::algorithm::KeyKind;
use notation_rs::envelope::SigningScheme;
use notation_rs::payload::TargetArtifact;
use notation_rs::signer::{Pki, SignRequest, payload};
use serde_json::Value;

/// The keys, by the algorithm that each of them fixes.
const KINDS: [(&str, KeyKind); 6] = [
    ("ps256", KeyKind::Rsa { bits: 2048 }),
    ("ps384", KeyKind::Rsa { bits: 3072 }),
    ("ps512", KeyKind::Rsa { bits: 4096 }),
    ("es256", KeyKind::P256),
    ("es384", KeyKind::P384),
    ("es512", KeyKind::P521),
];
const FORMATS: [(&str, EnvelopeFormat); 2] =
    [("cose", EnvelopeFormat::Cose), ("jws", EnvelopeFormat::Jws)];
const SCHEMES: [(&str, SigningScheme); 2] =
    [("x509", SigningScheme::X509), ("signingAuthority", SigningScheme::X509SigningAuthority)];

/// How long the signatures count that expire, and how long the certificates.
const SIGNATURE_LIFETIME: SignedDuration = SignedDuration::from_hours(24);
const CERTIFICATE_LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 365);

type Error = Box<dyn std::error::Error>;

#[expect(
    clippy::disallowed_methods,
    reason = "the library takes the time; somebody has to know it"
)]
fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, descriptor] = arguments.as_slice() else {
        return Err("usage: sign FOLDER DESCRIPTOR.json".into());
    };
    let payload = payload(&target(Path::new(descriptor))?)?;
    for (name, kind) in KINDS {
        sign(&Path::new(folder).join(name), kind, &payload, Timestamp::now())?;
    }
    Ok(())
}

/// What the file describes.
fn target(descriptor: &Path) -> Result<TargetArtifact, Error> {
    let descriptor: Value = serde_json::from_slice(&fs::read(descriptor)?)?;
    let text = |name: &str| descriptor[name].as_str().map(str::to_owned).ok_or("no descriptor");
    Ok(TargetArtifact {
        media_type: text("mediaType")?,
        digest: text("digest")?,
        size: descriptor["size"].as_u64().ok_or("no descriptor")?,
        annotations: BTreeMap::new(),
        artifact_type: None,
    })
}

/// Fills the folder of one kind of key.
fn sign(folder: &Path, kind: KeyKind, payload: &[u8], now: Timestamp) -> Result<(), Error> {
    fs::create_dir_all(folder)?;
    let before = now.checked_sub(SignedDuration::from_hours(1))?;
    let pki = Pki::generate(kind, before, now.checked_add(CERTIFICATE_LIFETIME)?)?;
    let root = STANDARD.encode(pki.root.certificate.der());
    let pem = format!("-----BEGIN CERTIFICATE-----\n{root}\n-----END CERTIFICATE-----\n");
    fs::write(folder.join("root.pem"), pem)?;
    let expiry = now.checked_add(SIGNATURE_LIFETIME)?;
    for (scheme_name, scheme) in SCHEMES {
        for (suffix, format) in FORMATS {
            for (expiring, expiry) in [("", None), ("-expiring", Some(expiry))] {
                let request =
                    SignRequest { scheme, expiry, ..SignRequest::new(format, payload, now) };
                let envelope = request.sign(&pki.leaf.key, &pki.chain())?;
                fs::write(folder.join(format!("{scheme_name}{expiring}.{suffix}")), envelope)?;
            }
        }
    }
    Ok(())
}
