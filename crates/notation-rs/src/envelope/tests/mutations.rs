//! What happens to envelopes that were changed after they were signed, and to bytes that never were
//! any.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::payload::TargetArtifact;

/// The bits of `bytes` outside of `but` that may be flipped with the envelope still intact.
fn harmless_flips(format: EnvelopeFormat, bytes: &[u8], but: &Range<usize>) -> Vec<usize> {
    let flip = |bit: &usize| {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        verify(format, &flipped).is_ok()
    };
    (0..bytes.len() * 8).filter(|bit| !but.contains(&(bit / 8))).filter(flip).collect()
}

/// Payload, protected header, signature, and all that holds them together. The scheme alternates
/// from one algorithm to the next, and with the format.
fn check_flips(format: EnvelopeFormat, schemes: [SigningScheme; 2]) {
    for (index, leaf) in LEAVES.iter().enumerate() {
        let (scheme, expiry) = (schemes[index % 2], Some(at("2030-01-01")));
        let bytes = sign(&SignRequest { scheme, expiry, ..request(format) }, leaf).unwrap();
        let der = leaf.certificate.der();
        let certificate = match format {
            Cose => der.to_vec(),
            Jws => STANDARD.encode(der).into_bytes(),
        };
        let start = bytes.windows(certificate.len()).position(|part| part == certificate).unwrap();
        let harmless = harmless_flips(format, &bytes, &(start..start + certificate.len()));
        assert!(harmless.is_empty(), "{:?} {scheme:?}: {harmless:?}", KEYS[index]);
    }
}

#[test]
fn rejects_every_flipped_bit_of_jws() {
    check_flips(Jws, [SigningScheme::X509, SigningScheme::X509SigningAuthority]);
}

#[test]
fn rejects_every_flipped_bit_of_cose() {
    check_flips(Cose, [SigningScheme::X509SigningAuthority, SigningScheme::X509]);
}

#[test]
fn rejects_every_flipped_bit_of_a_chain() {
    let kind = KeyKind::Rsa { bits: 2048 };
    let pki = Pki::generate(kind, at("2024-01-01"), at("2034-01-01")).unwrap();
    for format in [Jws, Cose] {
        let bytes = request(format).sign(&pki.leaf.key, &pki.chain()).unwrap();
        let harmless = harmless_flips(format, &bytes, &(0..0));
        assert!(harmless.is_empty(), "{format:?}: {harmless:?}");
    }
}

/// A generator of numbers that are the same in every run (xorshift, Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| u8::try_from(self.below(256)).unwrap()).collect()
    }

    /// `bytes` with up to four cuts, copies, insertions or replacements.
    fn mutate(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut mutated = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let from = self.below(mutated.len());
            let to = from + self.below((mutated.len() - from).min(40));
            match self.below(4) {
                0 => drop(mutated.drain(from..to)),
                1 => mutated.extend_from_within(from..to),
                2 => {
                    let length = self.below(9);
                    let inserted = self.bytes(length);
                    drop(mutated.splice(from..from, inserted));
                }
                _ => {
                    let replacing = self.bytes(to - from);
                    drop(mutated.splice(from..to, replacing));
                }
            }
        }
        mutated
    }
}

/// Mutated envelopes per format: enough to reach every part, within a second or two.
const ROUNDS: usize = 4000;

#[test]
fn says_the_same_or_nothing_of_mutated_envelopes() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for format in [Jws, Cose] {
        let sound = sign(&request(format), es256()).unwrap();
        let expect = verify(format, &sound).unwrap();
        for _ in 0..ROUNDS {
            // Unprotected headers may change, and so may the spelling of JSON.
            if let Ok(envelope) = verify(format, &random.mutate(&sound)) {
                assert_eq!(envelope.payload(), expect.payload());
                assert_eq!(envelope.attributes(), expect.attributes());
                assert_eq!(envelope.chain()[0], expect.chain()[0]);
            }
        }
    }
}

#[test]
fn takes_no_bytes_that_were_never_signed_and_panics_on_none() {
    let mut random = Random(0xd1b5_4a32_d192_ed03);
    let certificate = es256().certificate.der();
    for round in 0..ROUNDS {
        let noise = random.bytes(round % 300);
        let tagged = [&[0xd2, 0x84], &noise[..]].concat();
        assert!(verify(Cose, &noise).is_err());
        assert!(verify(Cose, &tagged).is_err());
        assert!(verify(Jws, &noise).is_err());
        assert!(Certificate::from_der(noise).is_err());
        let mutated = random.mutate(certificate);
        let same = mutated == certificate;
        assert!(same || !Certificate::from_der(mutated).is_ok_and(|found| found.is_self_signed()));
        let payload = random.mutate(PAYLOAD);
        if let Ok(target) = TargetArtifact::parse(&payload) {
            assert!(String::from_utf8(payload).unwrap().contains(&target.digest));
        }
    }
}
