//! What refers to a subject: the referrers API, page by page, or the tag that stands in for it
//! (distribution specification, "Listing Referrers" and "Referrers Tag Schema").
//!
//! The list is never filtered by artifact type here: a registry need not do that, and one that does
//! is not believed.

use assay_core::ports::Selector;
use assay_core::{Descriptor, Digest, MANIFEST_BYTES_MAX, Manifest, StoreError, media_type};
use http::header::LINK;
use http::{Method, StatusCode};
use url::Url;

use crate::hosts::same_origin;
use crate::http::{Answer, malformed};
use crate::mirrors::Place;
use crate::store::{Ask, Registry};

/// Referrers listed for one subject; what verifiers look at is far below.
pub(crate) const REFERRERS_MAX: usize = 1000;

/// Pages of referrers asked for; bounds the requests for one subject.
pub(crate) const REFERRER_PAGES_MAX: usize = 20;

/// Bytes of one page, which is an index like any other.
const PAGE_BYTES_MAX: u64 = MANIFEST_BYTES_MAX;

/// Hexadecimal digits in a referrers tag: longer digests are cut.
const TAG_DIGITS_MAX: usize = 64;

impl Registry {
    /// All referrers that `place` lists for `subject`.
    ///
    /// # Errors
    /// [`StoreError`], and never [`StoreError::NotFound`]: having none is an empty list, and only
    /// the registry's own 404 says so.
    pub(crate) async fn list_referrers(
        &self,
        place: &Place,
        subject: &Digest,
    ) -> Result<Vec<Descriptor>, StoreError> {
        let mut url = self.url(&place.repository, &format!("referrers/{subject}"))?;
        let mut found = Vec::new();
        for page in 1..=REFERRER_PAGES_MAX {
            let ask = Ask {
                operation: "referrers",
                method: Method::GET,
                url: url.clone(),
                accept: Some(media_type::OCI_INDEX),
            };
            let answer = self.ask(&place.repository, &place.access, ask).await?;
            if page == 1 && lacks_api(answer.status()) {
                return self.referrers_by_tag(place, subject).await;
            }
            let answer = answer.success().map_err(|error| match error {
                StoreError::NotFound { .. } => malformed(&url, "a page of referrers is missing"),
                other => other,
            })?;
            let next = next_page(&url, &answer)?;
            let bytes = answer.body(PAGE_BYTES_MAX, None).await?;
            found.extend(entries(&bytes, &url)?);
            bounded(&found)?;
            match next {
                Some(next) => url = next,
                None => return Ok(found),
            }
        }
        Err(StoreError::TooMany { what: "pages of referrers", limit: REFERRER_PAGES_MAX })
    }

    async fn referrers_by_tag(
        &self,
        place: &Place,
        subject: &Digest,
    ) -> Result<Vec<Descriptor>, StoreError> {
        let tag = Selector::Tag(referrers_tag(subject));
        match self.read_manifest(place, &tag).await {
            Ok(index) => {
                let found = entries(&index.bytes, &self.url(&place.repository, "")?)?;
                bounded(&found)?;
                Ok(found)
            }
            Err(StoreError::NotFound { .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// Whether a registry without the referrers API answers so: 404 by the specification, the others
/// by what is seen.
fn lacks_api(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 404 | 405)
}

/// The tag that stands in for the API: `sha256-` and the digits.
fn referrers_tag(digest: &Digest) -> String {
    let digits = digest.hex().chars().take(TAG_DIGITS_MAX);
    let algorithm = digest.algorithm().as_str().chars();
    algorithm.chain(['-']).chain(digits).collect()
}

fn entries(bytes: &[u8], url: &Url) -> Result<Vec<Descriptor>, StoreError> {
    match Manifest::parse(bytes) {
        Ok(Manifest::Index { manifests }) => Ok(manifests),
        _ => Err(malformed(url, "a list of referrers is not an index")),
    }
}

fn bounded(found: &[Descriptor]) -> Result<(), StoreError> {
    match found.len() > REFERRERS_MAX {
        true => Err(StoreError::TooMany { what: "referrers", limit: REFERRERS_MAX }),
        false => Ok(()),
    }
}

/// The page after this one of `url`, on the same server (RFC 8288, relation `next`).
fn next_page(url: &Url, answer: &Answer) -> Result<Option<Url>, StoreError> {
    let links = answer.headers().get_all(LINK).into_iter();
    let mut links = links.filter_map(|link| link.to_str().ok()).flat_map(|link| link.split('<'));
    let Some(target) = links.find_map(next_target) else {
        return Ok(None);
    };
    let next = url.join(target).ok();
    let next = next.filter(|next| same_origin(url, next));
    let elsewhere = || malformed(url, "the next page of referrers is on another server");
    next.map(Some).ok_or_else(elsewhere)
}

/// The target of `target>; rel="next"`.
fn next_target(link: &str) -> Option<&str> {
    let (target, parameters) = link.split_once('>')?;
    let mut parameters = parameters.split([';', ',']).map(str::trim);
    parameters.any(|parameter| ["rel=\"next\"", "rel=next"].contains(&parameter)).then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_core::Algorithm;

    #[test]
    fn tags_are_cut_to_what_a_tag_may_be() {
        let sha256 = Digest::sha256(b"");
        assert_eq!(referrers_tag(&sha256), format!("sha256-{}", sha256.hex()));
        let sha512 = Digest::of(Algorithm::Sha512, b"");
        assert_eq!(referrers_tag(&sha512), format!("sha512-{}", &sha512.hex()[..64]));
    }

    #[test]
    fn finds_the_next_page_among_links() {
        for (link, expect) in [
            ("</n>; rel=\"next\"", Some("/n")),
            ("</n>; rel=next", Some("/n")),
            ("</n?a=1,2>; title=x; rel=\"next\"", Some("/n?a=1,2")),
            ("</p>; rel=\"prev\", </n>; rel=\"next\"", Some("/n")),
            ("</p>; rel=\"prev\"", None),
            ("/n; rel=\"next\"", None),
            ("", None),
        ] {
            assert_eq!(link.split('<').find_map(next_target), expect, "{link}");
        }
    }
}
