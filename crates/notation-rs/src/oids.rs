//! Object identifiers of timestamps, CRLs and OCSP: the contents of their DER, which are compared
//! as bytes.

/// 1.3.6.1.5.5.7.1.1
pub(crate) const AUTHORITY_INFO_ACCESS: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x01\x01";
/// 0.4.0.2023.1.1
pub(crate) const BASELINE_TSA_POLICY: &[u8] = b"\x04\x00\x8f\x67\x01\x01";
/// 1.2.840.113549.1.9.3
pub(crate) const CONTENT_TYPE: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03";
/// 2.5.29.31
pub(crate) const CRL_DISTRIBUTION_POINTS: &[u8] = b"\x55\x1d\x1f";
/// 2.5.29.20
pub(crate) const CRL_NUMBER: &[u8] = b"\x55\x1d\x14";
/// 2.5.29.21
pub(crate) const CRL_REASON: &[u8] = b"\x55\x1d\x15";
/// 2.5.29.27
pub(crate) const DELTA_CRL_INDICATOR: &[u8] = b"\x55\x1d\x1b";
/// 2.5.29.46
pub(crate) const FRESHEST_CRL: &[u8] = b"\x55\x1d\x2e";
/// 2.5.29.24
pub(crate) const INVALIDITY_DATE: &[u8] = b"\x55\x1d\x18";
/// 2.5.29.28
pub(crate) const ISSUING_DISTRIBUTION_POINT: &[u8] = b"\x55\x1d\x1c";
/// 1.2.840.113549.1.9.4
pub(crate) const MESSAGE_DIGEST: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04";
/// 1.3.6.1.5.5.7.48.1
pub(crate) const OCSP: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x30\x01";
/// 1.3.6.1.5.5.7.48.1.1
pub(crate) const OCSP_BASIC: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x30\x01\x01";
/// 1.3.6.1.5.5.7.48.1.5
pub(crate) const OCSP_NO_CHECK: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x30\x01\x05";
/// 1.3.6.1.5.5.7.3.9
pub(crate) const OCSP_SIGNING: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x03\x09";
/// 1.2.840.113549.1.1.1
pub(crate) const RSA_ENCRYPTION: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
/// 1.3.14.3.2.26
pub(crate) const SHA1: &[u8] = b"\x2b\x0e\x03\x02\x1a";
/// 2.16.840.1.101.3.4.2.1
pub(crate) const SHA256: &[u8] = b"\x60\x86\x48\x01\x65\x03\x04\x02\x01";
/// 1.2.840.113549.1.7.2
pub(crate) const SIGNED_DATA: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
/// 1.2.840.113549.1.9.16.2.47
pub(crate) const SIGNING_CERTIFICATE_V2: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x2f";
/// 1.2.840.113549.1.9.5
pub(crate) const SIGNING_TIME: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05";
/// 1.2.840.113549.1.9.16.1.4
pub(crate) const TST_INFO: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x04";
