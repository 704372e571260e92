//! Reason codes: the closed list that messages, metrics, reports and docs share.

use std::fmt;

macro_rules! reason_codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why an image was refused or could not be decided.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum ReasonCode {
            $($(#[$doc])* $name,)*
        }

        impl ReasonCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as users see it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

reason_codes! {
    /// A signature exists, but none by a key of the trust store.
    KeyMismatch = "KEY_MISMATCH",
    /// There is no signature.
    SignatureNotFound = "SIGNATURE_NOT_FOUND",
    /// A signature does not verify.
    SignatureInvalid = "SIGNATURE_INVALID",
    /// The evidence is about something else.
    SubjectMismatch = "SUBJECT_MISMATCH",
    /// The signer is trusted, but is not who the policy asks for.
    IdentityMismatch = "IDENTITY_MISMATCH",
    /// The signature says of itself that it has expired.
    SignatureExpired = "SIGNATURE_EXPIRED",
    /// A certificate was not valid when it mattered.
    CertificateExpired = "CERTIFICATE_EXPIRED",
    /// A certificate is revoked.
    CertificateRevoked = "CERTIFICATE_REVOKED",
    /// Whether a certificate is revoked cannot be told.
    RevocationUnknown = "REVOCATION_UNKNOWN",
    /// A timestamp is missing, or proves nothing.
    TimestampInvalid = "TIMESTAMP_INVALID",
    /// The signed payload lacks a required annotation.
    AnnotationMismatch = "ANNOTATION_MISMATCH",
    /// Content does not have the digest that it was asked for by.
    DigestMismatch = "DIGEST_MISMATCH",
    /// The evidence is malformed or of a wrong type.
    EvidenceInvalid = "EVIDENCE_INVALID",
    /// The evidence exceeds a size limit.
    EvidenceTooLarge = "EVIDENCE_TOO_LARGE",
    /// More candidates than are looked at.
    TooManyCandidates = "TOO_MANY_CANDIDATES",
    /// The image reference does not parse.
    ImageReferenceInvalid = "IMAGE_REFERENCE_INVALID",
    /// The registry has no such image.
    ImageNotFound = "IMAGE_NOT_FOUND",
    /// A rule denies the image.
    ImageDenied = "IMAGE_DENIED",
    /// The image names no digest.
    DigestRequired = "DIGEST_REQUIRED",
    /// The image does not provably carry the tag that the rule asks for.
    TagNotProven = "TAG_NOT_PROVEN",
    /// No policy covers the image.
    NotCovered = "NOT_COVERED",
    /// The policy does not compile.
    PolicyInvalid = "POLICY_INVALID",
    /// Whether the policy matches could not be told.
    MatchError = "MATCH_ERROR",
    /// The registry cannot be reached, or fails.
    RegistryUnreachable = "REGISTRY_UNREACHABLE",
    /// The registry refuses access.
    RegistryDenied = "REGISTRY_DENIED",
    /// The registry asks for fewer requests.
    RegistryThrottled = "REGISTRY_THROTTLED",
    /// Time ran out.
    Timeout = "TIMEOUT",
    /// Too much work is under way.
    Overloaded = "OVERLOADED",
    /// A defect of Assay.
    Internal = "INTERNAL",
}

impl ReasonCode {
    /// What the person whose image was refused can do next.
    pub fn remediation(self) -> &'static str {
        match self {
            Self::AnnotationMismatch => {
                "sign the image with the annotations that the policy asks for"
            }
            Self::CertificateExpired | Self::CertificateRevoked => {
                "sign the image again with a certificate that is valid"
            }
            Self::DigestMismatch => {
                "the registry serves other content than its digest says: push the image again"
            }
            Self::DigestRequired => "name the image by digest: IMAGE@sha256:…",
            Self::EvidenceInvalid => "sign the image again with a current client",
            Self::EvidenceTooLarge | Self::TooManyCandidates => {
                "remove signatures and other artifacts that the image does not need"
            }
            Self::IdentityMismatch => "have the image signed by an identity that the policy trusts",
            Self::ImageDenied | Self::NotCovered => "use an image that the policy allows",
            Self::ImageNotFound => "check the image's name, and that it was pushed",
            Self::ImageReferenceInvalid => "correct the image's name",
            Self::Internal => "report the request id to the platform's owners",
            Self::KeyMismatch => "sign the image with a key that the policy trusts",
            Self::MatchError | Self::PolicyInvalid => "ask the policy's owner to correct it",
            Self::Overloaded | Self::RegistryThrottled | Self::Timeout => "try again shortly",
            Self::RegistryDenied => "give Assay access to the image's repository",
            Self::RegistryUnreachable => "try again when the registry answers",
            Self::RevocationUnknown => {
                "try again when the servers of the certificate authority answer"
            }
            Self::SignatureExpired | Self::SignatureInvalid => "sign the image again",
            Self::SignatureNotFound => "sign the image",
            Self::SubjectMismatch => "sign this very image: the signature found is about another",
            Self::TimestampInvalid => {
                "sign the image again with a timestamp of an authority that the policy trusts"
            }
            Self::TagNotProven => "name the image by the tag that the policy asks for",
        }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for ReasonCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
