use super::*;
use crate::algorithm::KeyKind;
use crate::signer::{CertificateTemplate, CertifiedKey, SigningKey};

fn template(name: &str) -> CertificateTemplate {
    let (from, to) = ("2025-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
    CertificateTemplate::new(&[("CN", name)], from.parse().unwrap(), to.parse().unwrap())
}

fn key() -> SigningKey {
    SigningKey::generate(KeyKind::P256).unwrap()
}

fn root(name: &str) -> CertifiedKey {
    template(name).ca(None).self_signed(key()).unwrap()
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<&str> =
        body.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn load(kind: TrustStoreType, file: &[u8]) -> Result<TrustStore, TrustStoreError> {
    TrustStore::from_files(kind, [file])
}

#[test]
fn reads_certificates_and_nothing_else() {
    let (one, two) = (root("one").certificate, root("two").certificate);
    let (pem_one, pem_two) = (pem("CERTIFICATE", one.der()), pem("CERTIFICATE", two.der()));
    let both = format!("{pem_one}{pem_two}");
    let malformed = Err(TrustStoreError::Certificate(CertificateError::Malformed));
    let with_key = format!("{pem_one}{}", pem("PRIVATE KEY", b"x"));
    let cases: [(&str, Vec<u8>, Result<usize, TrustStoreError>); 17] = [
        ("DER", one.der().to_vec(), Ok(1)),
        ("DER of two", [one.der(), two.der()].concat(), Ok(2)),
        ("DER and a byte", [one.der(), &[0]].concat(), malformed.clone()),
        ("PEM", pem_one.clone().into(), Ok(1)),
        ("PEM of two", both.clone().into(), Ok(2)),
        ("PEM with text and CRLF", format!("Root\n{both}end").replace('\n', "\r\n").into(), Ok(2)),
        ("PEM with Latin text", [b"Soci\xe9t\xe9\n", both.as_bytes()].concat(), Ok(2)),
        ("PEM with indented lines", pem_one.replace("\nM", "\n  M").into(), Ok(1)),
        ("one certificate twice", format!("{both}{pem_one}").into(), Ok(2)),
        ("private key", with_key.into(), Err(TrustStoreError::Pem)),
        (
            "block that is not closed",
            pem_one.replace("END", "FIN").into(),
            Err(TrustStoreError::Pem),
        ),
        ("block that is not base64", pem_one.replace("MI", "M*").into(), Err(TrustStoreError::Pem)),
        ("indented block", format!(" {pem_one}").into(), Err(TrustStoreError::Pem)),
        ("block of no certificate", pem("CERTIFICATE", b"\x30\x00").into(), malformed.clone()),
        ("empty block", pem("CERTIFICATE", b"").into(), malformed.clone()),
        ("text", b"no certificate".to_vec(), malformed),
        ("nothing", Vec::new(), Err(TrustStoreError::Empty)),
    ];
    for (name, file, expect) in cases {
        let seen = load(TrustStoreType::Ca, &file).map(|store| store.certificates().len());
        assert_eq!(seen, expect, "{name}");
    }
    let kind = TrustStoreType::Ca;
    let files = [one.der(), pem_two.as_bytes()];
    assert_eq!(TrustStore::from_files(kind, files).unwrap().certificates(), [one.clone(), two]);
    assert_eq!(TrustStore::from_files(kind, []), Err(TrustStoreError::Empty));
    assert_eq!(TrustStore::from_files(kind, [one.der(), b""]), Err(TrustStoreError::Empty));
}

#[test]
fn takes_anchors_of_its_type_only() {
    use TrustStoreType::{Ca, SigningAuthority, Tsa};
    let root = root("root");
    let intermediate = template("ca").ca(None).issued_by(&root, key()).unwrap();
    let leaf = template("leaf").code_signing().issued_by(&root, key()).unwrap();
    let alone = template("alone").code_signing().self_signed(key()).unwrap();
    // Signed by itself, but in another name than its own.
    let other = template("other").ca(None).issued_by(&root, key()).unwrap();
    let renamed = template("renamed").ca(None);
    let same_key = SigningKey::from_pkcs8(KeyKind::P256, &other.key.to_pkcs8().unwrap()).unwrap();
    let renamed = renamed.issued_by(&other, same_key).unwrap();
    let cases = [
        ("root", &root, [true, true, true]),
        ("intermediate", &intermediate, [true, true, false]),
        ("leaf", &leaf, [false, false, false]),
        ("self-signed leaf", &alone, [true, true, false]),
        ("root of another name", &renamed, [true, true, false]),
    ];
    for (name, certificate, expect) in cases {
        for (kind, expect) in [Ca, SigningAuthority, Tsa].into_iter().zip(expect) {
            let seen = load(kind, certificate.certificate.der());
            assert_eq!(seen.is_ok(), expect, "{name} {}", kind.as_str());
        }
    }
}

#[test]
fn reads_files_and_certificates_up_to_the_limits() {
    let root = root("root");
    let mut file = pem("CERTIFICATE", root.certificate.der()).into_bytes();
    file.resize(STORE_FILE_BYTES_MAX, b'\n');
    assert!(load(TrustStoreType::Ca, &file).is_ok());
    file.push(b'\n');
    assert_eq!(load(TrustStoreType::Ca, &file), Err(TrustStoreError::TooLarge));

    // The signature of a CA certificate is not looked at, so that its last byte may make it another.
    let mut certificates = Vec::new();
    for number in 0..=STORE_CERTIFICATES_MAX {
        let mut der = root.certificate.der().to_vec();
        let end = der.len() - 2;
        der[end..].copy_from_slice(&u16::try_from(number).unwrap().to_be_bytes());
        certificates.push(der);
    }
    let load = |count: usize| {
        let files = certificates[..count].iter().map(Vec::as_slice);
        TrustStore::from_files(TrustStoreType::Ca, files)
    };
    assert_eq!(load(STORE_CERTIFICATES_MAX).unwrap().certificates().len(), STORE_CERTIFICATES_MAX);
    assert_eq!(load(STORE_CERTIFICATES_MAX + 1), Err(TrustStoreError::TooMany));
}

#[test]
fn finds_stores_by_type_and_name() {
    use TrustStoreType::{Ca, Tsa};
    let (one, two) = (root("one").certificate, root("two").certificate);
    let mut stores = TrustStores::default();
    stores.insert("a", load(Ca, one.der()).unwrap());
    stores.insert("b", load(Ca, two.der()).unwrap());
    stores.insert("a", load(Tsa, two.der()).unwrap());
    let names = |names: &[&str]| -> Vec<TrustStoreRef> {
        names.iter().map(|name| TrustStoreRef::parse(name).unwrap()).collect()
    };
    let absent =
        |name: &str| Err(TrustStoreError::Absent { name: TrustStoreRef::parse(name).unwrap() });
    let cases = [
        (Ca, &["ca:a", "tsa:a"][..], Ok(vec![one.clone()])),
        (Tsa, &["ca:a", "tsa:a"], Ok(vec![two.clone()])),
        (Ca, &["ca:a", "ca:b"], Ok(vec![one, two])),
        (Ca, &["ca:a", "ca:c"], absent("ca:c")),
        (Tsa, &["tsa:b"], absent("tsa:b")),
        (Tsa, &["ca:a"], Err(TrustStoreError::NoneOfKind { kind: "tsa" })),
        (Ca, &[], Err(TrustStoreError::NoneOfKind { kind: "ca" })),
    ];
    for (kind, wanted, expect) in cases {
        assert_eq!(stores.certificates(kind, &names(wanted)), expect, "{wanted:?}");
    }
}
