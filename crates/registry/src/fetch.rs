//! Bounded reads from servers that are no registries. Plain HTTP is allowed: revocation data is
//! signed, and its standards have it so (RFC 5280, section 8; RFC 6960, appendix A).

use assay_core::StoreError;
use assay_core::ports::Fetch;
use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use url::Url;

use crate::http::{Call, Purpose};
use crate::store::Registry;

impl Registry {
    async fn fetch(
        &self,
        method: Method,
        url: &str,
        body: Option<(&str, Bytes)>,
        bytes_max: u64,
    ) -> Result<Bytes, StoreError> {
        // The text is a certificate's: it stays out of the message.
        let url = Url::parse(url).map_err(|_| StoreError::Blocked {
            host: "a server".into(),
            reason: "its URL is not one",
        })?;
        let call = Call { method, url, accept: None, body, purpose: Purpose::Fetch };
        let answer = self.http.follow(&call, None).await?.success()?;
        answer.body(bytes_max, None).await
    }
}

#[async_trait]
impl Fetch for Registry {
    async fn get(&self, url: &str, bytes_max: u64) -> Result<Bytes, StoreError> {
        self.fetch(Method::GET, url, None, bytes_max).await
    }

    async fn post(
        &self,
        url: &str,
        media_type: &str,
        body: Bytes,
        bytes_max: u64,
    ) -> Result<Bytes, StoreError> {
        self.fetch(Method::POST, url, Some((media_type, body)), bytes_max).await
    }
}
