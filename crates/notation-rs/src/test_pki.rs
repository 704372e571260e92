//! Keys and certificates for tests of timestamps and revocation, right ones and wrong ones: every
//! field of a certificate is the test's choice.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

use crate::certificate::Certificate;
use crate::der::{BIT_STRING, BOOLEAN, INTEGER, UTC_TIME, context};
use crate::test_der::{integer, octets, oid, sequence, tlv};

/// `ecdsa-with-SHA256` as an `AlgorithmIdentifier`.
pub(crate) fn ecdsa_sha256() -> Vec<u8> {
    sequence(&[&oid(b"\x2a\x86\x48\xce\x3d\x04\x03\x02")])
}

/// A key on P-256.
pub(crate) struct Key(EcdsaKeyPair);

impl Key {
    pub(crate) fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap())
    }

    fn spki(&self) -> Vec<u8> {
        let ec = oid(b"\x2a\x86\x48\xce\x3d\x02\x01");
        let p256 = oid(b"\x2a\x86\x48\xce\x3d\x03\x01\x07");
        sequence(&[&sequence(&[&ec, &p256]), &bits(self.0.public_key().as_ref())])
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }
}

/// A BIT STRING of whole bytes.
pub(crate) fn bits(bytes: &[u8]) -> Vec<u8> {
    tlv(BIT_STRING, &[&[0], bytes])
}

/// A `SEQUENCE` of what is signed, the algorithm and the signature, with more after it.
pub(crate) fn signed(signed: &[u8], key: &Key, more: &[u8]) -> Vec<u8> {
    sequence(&[signed, &ecdsa_sha256(), &bits(&key.sign(signed)), more])
}

pub(crate) fn name(common_name: &str) -> Vec<u8> {
    let attribute = sequence(&[&oid(b"\x55\x04\x03"), &tlv(0x0c, &[common_name.as_bytes()])]);
    sequence(&[&tlv(0x31, &[&attribute])])
}

pub(crate) fn utc(time: &str) -> Vec<u8> {
    tlv(UTC_TIME, &[time.as_bytes()])
}

pub(crate) fn extension(id: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { tlv(BOOLEAN, &[&[0xff]]) } else { Vec::new() };
    sequence(&[&oid(id), &critical, &octets(value)])
}

/// Basic constraints and key usage of a CA that may sign CRLs.
pub(crate) fn ca_extensions() -> Vec<Vec<u8>> {
    vec![basic_constraints(true), key_usage(0x06)]
}

pub(crate) fn basic_constraints(ca: bool) -> Vec<u8> {
    let ca = if ca { tlv(BOOLEAN, &[&[0xff]]) } else { Vec::new() };
    extension(crate::profile::BASIC_CONSTRAINTS, true, &sequence(&[&ca]))
}

/// A critical key usage with the bits of its first byte, `digitalSignature` highest.
pub(crate) fn key_usage(usage: u8) -> Vec<u8> {
    let unused = u8::try_from(usage.trailing_zeros()).unwrap();
    extension(crate::profile::KEY_USAGE, true, &tlv(BIT_STRING, &[&[unused, usage]]))
}

pub(crate) fn extended_key_usage(critical: bool, purposes: &[&[u8]]) -> Vec<u8> {
    let purposes: Vec<u8> = purposes.iter().flat_map(|purpose| oid(purpose)).collect();
    extension(crate::profile::EXTENDED_KEY_USAGE, critical, &sequence(&[&purposes]))
}

/// What a certificate says.
pub(crate) struct Fields {
    pub(crate) subject: &'static str,
    pub(crate) issuer: &'static str,
    /// The content of the INTEGER.
    pub(crate) serial: Vec<u8>,
    pub(crate) validity: (&'static str, &'static str),
    pub(crate) extensions: Vec<Vec<u8>>,
}

/// The certificate of `key`, signed by `issuer`.
pub(crate) fn certificate(fields: &Fields, key: &Key, issuer: &Key) -> Certificate {
    let extensions = sequence(&[&fields.extensions.concat()]);
    let tbs = sequence(&[
        &tlv(context(0), &[&integer(2)]),
        &tlv(INTEGER, &[&fields.serial]),
        &ecdsa_sha256(),
        &name(fields.issuer),
        &sequence(&[&utc(fields.validity.0), &utc(fields.validity.1)]),
        &name(fields.subject),
        &key.spki(),
        &tlv(context(3), &[&extensions]),
    ]);
    Certificate::from_der(signed(&tbs, issuer, &[])).unwrap()
}
