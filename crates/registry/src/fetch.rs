//! Bounded reads from servers that are no registries. Plain HTTP is allowed: revocation data is
//! signed, and its standards have it so (RFC 5280, section 8; RFC 6960, appendix A).

use assay_core::StoreError;
use assay_core::ports::{Fetch, FetchLimits};
use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use tokio::time::Instant;
use url::Url;

use crate::http::{Call, Purpose};
use crate::store::Registry;

impl Registry {
    async fn fetch(
        &self,
        method: Method,
        url: &str,
        body: Option<(&str, Bytes)>,
        limits: FetchLimits,
    ) -> Result<Bytes, StoreError> {
        // The text is a certificate's: it stays out of the message.
        let url = Url::parse(url).map_err(|_| StoreError::Blocked {
            host: "a server".into(),
            reason: "its URL is not one",
        })?;
        let now = Instant::now();
        let deadline = now.checked_add(limits.timeout).unwrap_or(now);
        let call = Call { method, url, accept: None, body, purpose: Purpose::Fetch { deadline } };
        let answer = self.http.follow(&call, None).await?.success()?;
        answer.body(limits.bytes_max, None).await
    }
}

#[async_trait]
impl Fetch for Registry {
    async fn get(&self, url: &str, limits: FetchLimits) -> Result<Bytes, StoreError> {
        self.fetch(Method::GET, url, None, limits).await
    }

    async fn post(
        &self,
        url: &str,
        media_type: &str,
        body: Bytes,
        limits: FetchLimits,
    ) -> Result<Bytes, StoreError> {
        self.fetch(Method::POST, url, Some((media_type, body)), limits).await
    }
}
