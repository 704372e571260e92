//! Redirects, followed by hand: where the next request goes, and what it no longer carries.

use assay_core::StoreError;
use http::{HeaderValue, StatusCode};
use url::Url;

use crate::hosts::same_origin;
use crate::http::{Answer, Call, Http, malformed};

/// Redirects followed for one request; registries need one, to the storage behind them.
pub(crate) const REDIRECTS_MAX: usize = 5;

impl Http {
    /// The answer to `call` at the end of its redirects. `Authorization` goes to the first server
    /// only, and back to it never once another was asked. A request with a body is not redirected.
    ///
    /// # Errors
    /// [`StoreError`] where no answer came; an answer of any status is one.
    pub(crate) async fn follow(
        &self,
        call: &Call<'_>,
        mut authorization: Option<&HeaderValue>,
    ) -> Result<Answer, StoreError> {
        let mut url = call.url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let answer = self.send(call, &url, authorization).await?;
            if !is_redirect(answer.status()) {
                return Ok(answer);
            }
            if call.body.is_some() {
                return Err(malformed(&url, "a redirect where none is followed"));
            }
            let next = target(&url, answer.header("location"))?;
            authorization = authorization.filter(|_| same_origin(&url, &next));
            url = next;
        }
        Err(malformed(&url, "too many redirects"))
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Where a redirect from `from` leads. Whether that may be asked is for [`Http::send`].
fn target(from: &Url, location: Option<&str>) -> Result<Url, StoreError> {
    let location = location.ok_or_else(|| malformed(from, "a redirect to nowhere"))?;
    let next = from.join(location).map_err(|_| malformed(from, "a redirect to what is no URL"))?;
    if from.scheme() == "https" && next.scheme() != "https" {
        return Err(malformed(from, "a redirect from https to plain HTTP"));
    }
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(from: &str, location: Option<&str>, expect: Option<&str>) {
        let found = target(&from.parse().unwrap(), location).ok();
        assert_eq!(found.as_ref().map(Url::as_str), expect, "{from} {location:?}");
    }

    #[test]
    fn resolves_locations_and_never_leaves_tls() {
        let from = "https://a.example/v2/x";
        check(from, Some("/blob"), Some("https://a.example/blob"));
        check(from, Some("https://cdn.example/b"), Some("https://cdn.example/b"));
        check(from, Some("//cdn.example/b"), Some("https://cdn.example/b"));
        check(from, Some("http://a.example/blob"), None);
        check(from, Some("ftp://a.example/blob"), None);
        check(from, Some("https://"), None);
        check(from, None, None);
        check("http://a.example/", Some("https://a.example/b"), Some("https://a.example/b"));
        check("http://a.example/", Some("http://b.example/b"), Some("http://b.example/b"));
    }

    #[test]
    fn follows_what_is_a_redirect_only() {
        for (status, expect) in [(200, false), (300, false), (301, true), (304, false), (307, true)]
        {
            assert_eq!(is_redirect(StatusCode::from_u16(status).unwrap()), expect, "{status}");
        }
    }
}
