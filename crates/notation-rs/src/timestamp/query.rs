//! The other half of RFC 3161, for signers: the query to an authority, and its reply, which is held
//! against the query and verified as a verifier would before it is put into an envelope.

use super::TimestampError;
use super::cms::SignedData;
use super::tst_info::TstInfo;
use crate::algorithm::{Algorithm, Hash, oid};
use crate::certificate::Certificate;
use crate::der::{self, BIT_STRING, BOOLEAN, Malformed, SEQUENCE};
use crate::signer::der as write;

/// The greatest `PKIStatus` with a token: `grantedWithMods` (RFC 3161, section 2.4.2).
const GRANTED_WITH_MODS: u64 = 1;

/// A query for a timestamp over one signature.
///
/// ```no_run
/// use notation_rs::EnvelopeFormat;
/// use notation_rs::algorithm::Algorithm;
/// use notation_rs::certificate::Certificate;
/// use notation_rs::signer::{SignRequest, SignerError, SigningKey, TimestampQuery};
///
/// fn sign(
///     request: &SignRequest<'_>,
///     key: &SigningKey,
///     chain: &[Certificate],
///     (nonce, tsa_roots): ([u8; 20], &[Certificate]),
///     // Posts a body of that content type to the authority, and gives back the body of the answer.
///     post: fn(&str, &[u8]) -> Option<Vec<u8>>,
/// ) -> Result<Vec<u8>, SignerError> {
///     let algorithm = Algorithm::for_key(key.kind()).map_err(|_| SignerError::Key)?;
///     let timestamper = |signature: &[u8]| {
///         let query = TimestampQuery::new(algorithm, signature, nonce);
///         let reply = post(TimestampQuery::CONTENT_TYPE, &query.to_der())?;
///         query.token(&reply, tsa_roots).ok()
///     };
///     SignRequest { timestamper: Some(&timestamper), ..request.clone() }.sign(key, chain)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct TimestampQuery<'a> {
    hash: Hash,
    signature: &'a [u8],
    /// An INTEGER with its tag and length.
    nonce: Vec<u8>,
}

impl<'a> TimestampQuery<'a> {
    /// The content type of a query.
    pub const CONTENT_TYPE: &'static str = "application/timestamp-query";

    /// The content type of a reply.
    pub const REPLY_TYPE: &'static str = "application/timestamp-reply";

    /// Bytes of one reply, as in the Notary Project's own library.
    pub const REPLY_BYTES_MAX: usize = 1024 * 1024;

    /// The query for a timestamp over the hash of `signature`, the primitive one that `algorithm`
    /// made. `nonce` has to be random, and is used but for its first bit: numbers of 20 bytes that
    /// are not negative are what every authority can take.
    pub fn new(algorithm: Algorithm, signature: &'a [u8], nonce: [u8; 20]) -> Self {
        let [first, rest @ ..] = nonce;
        let nonce = [&[first & 0x7f], &rest[..]].concat();
        Self { hash: algorithm.hash(), signature, nonce: write::unsigned(&nonce) }
    }

    /// The DER `TimeStampReq` (RFC 3161, section 2.4.1). It asks for the authority's certificates,
    /// without which nobody could verify the token, and for no particular policy.
    pub fn to_der(&self) -> Vec<u8> {
        let algorithm = write::sequence(&[&write::oid(self.hash.oid()), oid::NULL]);
        let imprint = write::octets(&self.hash.digest(self.signature));
        write::sequence(&[
            &write::unsigned(&[1]),
            &write::sequence(&[&algorithm, &imprint]),
            &self.nonce,
            &write::element(BOOLEAN, &[&[0xff]]),
        ])
    }

    /// The token in `reply`, a DER `TimeStampResp`, if it is for this query and one of `roots`
    /// vouches for the authority. Whether the authority's certificates are revoked is not asked.
    ///
    /// # Errors
    /// See [`TimestampReplyError`].
    pub fn token(
        &self,
        reply: &[u8],
        roots: &[Certificate],
    ) -> Result<Vec<u8>, TimestampReplyError> {
        if reply.len() > Self::REPLY_BYTES_MAX {
            return Err(TimestampReplyError::TooLarge);
        }
        let token = granted(reply)?;
        super::verify(token, self.signature, roots)?;
        let data = SignedData::parse(token)?;
        let info = TstInfo::parse(data.content)?;
        if info.hash != Some(self.hash) || info.nonce != Some(&self.nonce) {
            return Err(TimestampReplyError::OtherQuery);
        }
        Ok(token.to_vec())
    }
}

/// The token of a reply that grants one.
fn granted(reply: &[u8]) -> Result<&[u8], TimestampReplyError> {
    let mut reply = der::only(SEQUENCE, reply)?.reader();
    let mut info = reply.sequence()?;
    let status = info.unsigned()?;
    // A text for people, and why nothing was granted.
    info.optional(SEQUENCE)?;
    info.optional(BIT_STRING)?;
    info.finish()?;
    if status > GRANTED_WITH_MODS {
        return Err(TimestampReplyError::Refused { status });
    }
    let token = reply.expect(SEQUENCE)?.whole;
    reply.finish()?;
    Ok(token)
}

/// Why a reply holds no token for a query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimestampReplyError {
    /// Not the DER of a `TimeStampResp`.
    #[error("the timestamp authority's reply is malformed")]
    Malformed,
    /// The token is by another hash function or has another nonce than was asked for.
    #[error("the timestamp authority's reply is to another query")]
    OtherQuery,
    /// The authority grants nothing.
    #[error("the timestamp authority refuses with status {status}")]
    Refused {
        /// Its `PKIStatus`.
        status: u64,
    },
    /// The token is none that a verifier would take.
    #[error("{0}")]
    Token(#[from] TimestampError),
    /// Over [`TimestampQuery::REPLY_BYTES_MAX`].
    #[error(
        "the timestamp authority's reply has more than {} bytes",
        TimestampQuery::REPLY_BYTES_MAX
    )]
    TooLarge,
}

impl From<Malformed> for TimestampReplyError {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::der::{INTEGER, OCTET_STRING};
    use crate::test_der::{integer, sequence, tlv};
    use crate::timestamp::tests::token_with_nonce;

    const SIGNATURE: &[u8] = b"the signature";

    macro_rules! file {
        ($name:literal) => {
            include_bytes!(concat!("../../tests/data/openssl-authorities/", $name)).as_slice()
        };
    }

    /// The query with the nonce that OpenSSL chose: at most eight bytes.
    fn query_of_openssl(algorithm: Algorithm, der: &[u8]) -> TimestampQuery<'static> {
        let mut query = der::only(SEQUENCE, der).unwrap().reader();
        query.expect(INTEGER).unwrap();
        query.sequence().unwrap();
        let digits = query.content(INTEGER).unwrap();
        let mut nonce = [0; 20];
        nonce[20 - digits.len()..].copy_from_slice(digits);
        TimestampQuery::new(algorithm, SIGNATURE, nonce)
    }

    #[test]
    fn asks_as_openssl_asks() {
        let cases =
            [(Algorithm::Es256, file!("granted.tsq")), (Algorithm::Ps384, file!("refused.tsq"))];
        for (algorithm, der) in cases {
            assert_eq!(query_of_openssl(algorithm, der).to_der(), der, "{algorithm:?}");
        }
    }

    #[test]
    fn takes_what_openssl_grants() {
        let roots = [Certificate::from_der(file!("root.der")).unwrap()];
        let granted = query_of_openssl(Algorithm::Es256, file!("granted.tsq"));
        let token = granted.token(file!("granted.tsr"), &roots).unwrap();
        assert!(super::super::verify(&token, SIGNATURE, &roots).is_ok());
        let untrusted = Err(TimestampReplyError::Token(TimestampError::Untrusted));
        assert_eq!(granted.token(file!("granted.tsr"), &[]), untrusted);
        let refused = query_of_openssl(Algorithm::Es384, file!("refused.tsq"));
        let status = Err(TimestampReplyError::Refused { status: 2 });
        assert_eq!(refused.token(file!("refused.tsr"), &roots), status);
    }

    #[test]
    fn numbers_are_never_negative_and_as_short_as_they_can_be() {
        let nonce = |bytes| TimestampQuery::new(Algorithm::Es256, SIGNATURE, bytes).nonce;
        assert_eq!(nonce([0xff; 20]), tlv(INTEGER, &[&[0x7f], &[0xff; 19]]));
        let mut small = [0; 20];
        assert_eq!(nonce(small), integer(0));
        small[19] = 0x80;
        assert_eq!(nonce(small), integer(0x80));
    }

    #[test]
    fn rejects_replies_that_differ_in_one_fact() {
        const NONCE: [u8; 20] = [7; 20];
        let nonce = tlv(INTEGER, &[&NONCE]);
        let reply = |status: &[u8], token: &[u8]| sequence(&[&sequence(&[status]), token]);
        let (token, root) = token_with_nonce(SIGNATURE, &nonce);
        let roots = [root];
        let (other, other_root) = token_with_nonce(SIGNATURE, &tlv(INTEGER, &[&[7; 19]]));
        let (without, without_root) = token_with_nonce(SIGNATURE, &[]);
        let status = |number| integer(number);
        let text = sequence(&[&tlv(0x0c, &[b"fine"])]);
        let check = |name, algorithm, reply: &[u8], roots: &[Certificate], expect| {
            let query = TimestampQuery::new(algorithm, SIGNATURE, NONCE);
            assert_eq!(query.token(reply, roots).map(drop), expect, "{name}");
        };
        let es256 = |name, bytes: &[u8], roots: &[Certificate], expect| {
            check(name, Algorithm::Es256, bytes, roots, expect);
        };
        let malformed = || Err(TimestampReplyError::Malformed);
        let other_query = || Err(TimestampReplyError::OtherQuery);
        es256("granted", &reply(&status(0), &token), &roots, Ok(()));
        es256("with modifications", &reply(&status(1), &token), &roots, Ok(()));
        es256("with a text", &reply(&[status(0), text].concat(), &token), &roots, Ok(()));
        let refused = Err(TimestampReplyError::Refused { status: 2 });
        es256("rejected, with a token", &reply(&status(2), &token), &roots, refused);
        let waiting = Err(TimestampReplyError::Refused { status: 3 });
        es256("waiting, without", &reply(&status(3), &[]), &roots, waiting);
        es256("without a token", &reply(&status(0), &[]), &roots, malformed());
        es256("two tokens", &reply(&status(0), &token.repeat(2)), &roots, malformed());
        es256("a token alone", &token, &roots, malformed());
        es256("nothing", &[], &roots, malformed());
        let status_and_more = [status(0), tlv(OCTET_STRING, &[])].concat();
        es256("more in the status", &reply(&status_and_more, &token), &roots, malformed());
        es256("other nonce", &reply(&status(0), &other), &[other_root], other_query());
        es256("no nonce", &reply(&status(0), &without), &[without_root], other_query());
        check("other hash", Algorithm::Es384, &reply(&status(0), &token), &roots, other_query());
        let query = TimestampQuery::new(Algorithm::Es256, b"another signature", NONCE);
        let imprint = Err(TimestampReplyError::Token(TimestampError::Imprint));
        assert_eq!(query.token(&reply(&status(0), &token), &roots), imprint);
    }

    #[test]
    fn believes_no_reply_with_a_flipped_bit_more_than_the_reply() {
        let roots = [Certificate::from_der(file!("root.der")).unwrap()];
        let query = query_of_openssl(Algorithm::Es256, file!("granted.tsq"));
        let verified = |token: &[u8]| super::super::verify(token, SIGNATURE, &roots).unwrap();
        let original = verified(&query.token(file!("granted.tsr"), &roots).unwrap());
        for bit in 0..file!("granted.tsr").len() * 8 {
            let mut flipped = file!("granted.tsr").to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(token) = query.token(&flipped, &roots) {
                assert_eq!(verified(&token), original, "bit {bit}");
            }
        }
    }

    #[test]
    fn bounds_the_size_of_a_reply() {
        let query = TimestampQuery::new(Algorithm::Es256, SIGNATURE, [1; 20]);
        let at = query.token(&vec![0; TimestampQuery::REPLY_BYTES_MAX], &[]);
        assert_eq!(at, Err(TimestampReplyError::Malformed));
        let past = query.token(&vec![0; TimestampQuery::REPLY_BYTES_MAX + 1], &[]);
        assert_eq!(past, Err(TimestampReplyError::TooLarge));
    }
}
