//! The way from an authority's certificate to a trusted root. The certificates of a token have no
//! order, and anybody may add some, so the search is bounded.

use jiff::Timestamp;

use crate::certificate::Certificate;
use crate::chain::{CHAIN_MAX, check_issued_by};
use crate::profile::{ANY_PURPOSE, TIME_STAMPING, extended_key_usage};

/// Signatures checked in one search. A chain needs as many as it has certificates; more are needed
/// only where names are shared, as with cross-signed authorities.
const SIGNATURE_CHECKS_MAX: usize = 64;

/// A chain from `leaf` over `intermediates` to one of `roots`, each issued by the next and valid at
/// `time`, the shortest tried first. Does not check what the certificates may be used for.
pub(super) fn find(
    leaf: &Certificate,
    intermediates: &[Certificate],
    roots: &[Certificate],
    time: Timestamp,
) -> Option<Vec<Certificate>> {
    let mut search = Search { intermediates, roots, time, checks_left: SIGNATURE_CHECKS_MAX };
    let mut path = vec![leaf.clone()];
    (leaf.is_valid_at(time) && search.extend(&mut path, leaf)).then_some(path)
}

struct Search<'a> {
    intermediates: &'a [Certificate],
    roots: &'a [Certificate],
    time: Timestamp,
    checks_left: usize,
}

impl Search<'_> {
    /// Whether `path`, which ends with `last`, was completed to a root. Recursion ends with the
    /// greatest length of a path.
    fn extend(&mut self, path: &mut Vec<Certificate>, last: &Certificate) -> bool {
        if path.len() >= CHAIN_MAX {
            return false;
        }
        let (roots, intermediates) = (self.roots, self.intermediates);
        if let Some(root) = roots.iter().find(|root| self.issued(root, last)) {
            path.push(root.clone());
            return true;
        }
        for issuer in intermediates {
            if path.contains(issuer) || !self.issued(issuer, last) {
                continue;
            }
            path.push(issuer.clone());
            if self.extend(path, issuer) {
                return true;
            }
            path.pop();
        }
        false
    }

    /// Whether `issuer` is valid, not confined to other purposes than timestamping, and signed
    /// `certificate`; no further signature is checked once the bound is reached.
    fn issued(&mut self, issuer: &Certificate, certificate: &Certificate) -> bool {
        let named = issuer.subject_der() == certificate.issuer_der();
        let may_issue = named && issuer.is_valid_at(self.time) && serves_timestamping(issuer);
        if !may_issue || self.checks_left == 0 {
            return false;
        }
        self.checks_left = self.checks_left.saturating_sub(1);
        check_issued_by(certificate, issuer).is_ok()
    }
}

/// Whether the purposes of a CA, if it names any, have timestamping among them.
fn serves_timestamping(ca: &Certificate) -> bool {
    let serves = |purposes: Vec<&[u8]>| {
        purposes.iter().any(|purpose| [TIME_STAMPING, ANY_PURPOSE].contains(purpose))
    };
    extended_key_usage(ca).is_ok_and(|found| found.is_none_or(|(_, purposes)| serves(purposes)))
}
