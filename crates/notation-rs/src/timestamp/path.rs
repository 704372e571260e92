//! The way from an authority's certificate to a trusted root. The certificates of a token have no
//! order, and anybody may add some, so the search is bounded.

use jiff::Timestamp;

use crate::certificate::Certificate;
use crate::chain::{CHAIN_MAX, check_issued_by};
use crate::profile::{ANY_PURPOSE, TIME_STAMPING, extended_key_usage};

/// Signatures checked in the searches of one token. A chain needs as many as it has certificates; more
/// are needed only where names are shared, as with cross-signed authorities.
pub(super) const SIGNATURE_CHECKS_MAX: usize = 32;

/// A chain from `leaf` over `intermediates` to one of `roots`, each issued by the next and valid at
/// `time`, after at most `checks_left` signatures, which are counted down. Does not check what the
/// certificates may be used for, but that CAs are not confined to other purposes.
pub(super) fn find(
    leaf: &Certificate,
    intermediates: &[Certificate],
    roots: &[Certificate],
    time: Timestamp,
    checks_left: &mut usize,
) -> Option<Vec<Certificate>> {
    let mut search = Search { intermediates, roots, time, checks_left };
    let mut path = vec![leaf.clone()];
    (leaf.is_valid_at(time) && search.extend(&mut path, leaf)).then_some(path)
}

struct Search<'a> {
    intermediates: &'a [Certificate],
    roots: &'a [Certificate],
    time: Timestamp,
    checks_left: &'a mut usize,
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
            // A CA that another one has cross-signed stands there twice, by its own hand and the other's.
            let is_there = path.iter().any(|one| is_same_entity(one, issuer));
            if is_there || !self.issued(issuer, last) {
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
        let may_issue = *self.checks_left > 0
            && named
            && issuer.is_valid_at(self.time)
            && serves_timestamping(issuer);
        if !may_issue {
            return false;
        }
        *self.checks_left = self.checks_left.saturating_sub(1);
        check_issued_by(certificate, issuer).is_ok()
    }
}

/// Whether two certificates are of one name and key.
fn is_same_entity(one: &Certificate, other: &Certificate) -> bool {
    one.subject_der() == other.subject_der() && one.spki_der() == other.spki_der()
}

/// Whether the purposes of a CA, if it names any, have timestamping among them.
fn serves_timestamping(ca: &Certificate) -> bool {
    let serves = |purposes: Vec<&[u8]>| {
        purposes.iter().any(|purpose| [TIME_STAMPING, ANY_PURPOSE].contains(purpose))
    };
    extended_key_usage(ca).is_ok_and(|found| found.is_none_or(|(_, purposes)| serves(purposes)))
}
