//! The webhook's certificate, its key, and the CA of its clients: read from files, and again where
//! their content changes, as kubelet and cert-manager change them while Assay runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use assay_api::WebhookConfiguration;
use assay_api::limits::FILE_BYTES_MAX;
use assay_core::Digest;
use assay_webhook::{Pem, SharedTls, certificate_expiry, mutual_tls_config, tls_config};
use jiff::Timestamp;
use rustls::ServerConfig;

use crate::files::read_capped;
use crate::metrics::Metrics;

/// How often the files are looked at: well within the minute that kubelet takes to bring a changed
/// Secret into a pod. Their content is looked at, as nothing else changes reliably where kubelet
/// exchanges links.
const CERTIFICATE_POLL_INTERVAL: Duration = Duration::from_secs(5);

/// The files, and what of them is in force.
pub(crate) struct TlsFiles {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
    in_force: Digest,
}

/// What the files hold.
pub(crate) struct Loaded {
    /// What is served with.
    pub(crate) config: Arc<ServerConfig>,
    /// When the certificate expires, where that can be told.
    pub(crate) expiry: Option<Timestamp>,
}

/// The files' bytes.
struct Content {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl TlsFiles {
    /// The files that `webhook` names, and what they hold.
    ///
    /// # Errors
    /// There are none, one cannot be read, or they cannot be served with.
    pub(crate) fn read(webhook: &WebhookConfiguration) -> anyhow::Result<(Self, Loaded)> {
        let Some((certificate, key)) = webhook.tls_files.clone() else {
            anyhow::bail!(
                "webhook.certFile and webhook.keyFile are missing: give a certificate and its key, \
                 in PEM"
            );
        };
        let client_ca = webhook.client_ca_file.clone();
        let mut files = Self { certificate, key, client_ca, in_force: Digest::sha256(b"") };
        let content = files.content()?;
        files.in_force = content.digest();
        let loaded = files.load(&content)?;
        Ok((files, loaded))
    }

    /// What the files hold, where that is not what is in force.
    ///
    /// # Errors
    /// As of [`Self::read`]; what is in force stays so.
    fn refresh(&mut self) -> anyhow::Result<Option<Loaded>> {
        let content = self.content()?;
        let digest = content.digest();
        if digest == self.in_force {
            return Ok(None);
        }
        let loaded = self.load(&content)?;
        self.in_force = digest;
        Ok(Some(loaded))
    }

    fn content(&self) -> anyhow::Result<Content> {
        let read = |path: &Path| {
            read_capped(path, FILE_BYTES_MAX).with_context(|| path.display().to_string())
        };
        Ok(Content {
            certificate: read(&self.certificate)?,
            key: read(&self.key)?,
            client_ca: self.client_ca.as_deref().map(read).transpose()?,
        })
    }

    fn load(&self, content: &Content) -> anyhow::Result<Loaded> {
        let (certificate, key) = (self.certificate.to_string_lossy(), self.key.to_string_lossy());
        let certificate = Pem { file: &certificate, bytes: &content.certificate };
        let key = Pem { file: &key, bytes: &content.key };
        let config = match (&self.client_ca, &content.client_ca) {
            (Some(file), Some(bytes)) => {
                let client_ca = Pem { file: &file.to_string_lossy(), bytes };
                mutual_tls_config(certificate, key, client_ca)?
            }
            _ => tls_config(certificate, key)?,
        };
        Ok(Loaded { config, expiry: certificate_expiry(certificate) })
    }
}

impl Content {
    fn digest(&self) -> Digest {
        let parts = [&self.certificate, &self.key].into_iter().chain(&self.client_ca);
        let digests = parts.map(|bytes| Digest::sha256(bytes).to_string());
        Digest::sha256(digests.collect::<String>().as_bytes())
    }
}

/// Looks at the files again and again, and exchanges what connections are opened with.
pub(crate) async fn poll(mut files: TlsFiles, tls: SharedTls, metrics: Arc<Metrics>) {
    let mut said = None;
    loop {
        tokio::time::sleep(CERTIFICATE_POLL_INTERVAL).await;
        let looked = tokio::task::spawn_blocking(move || {
            let loaded = files.refresh();
            (files, loaded)
        });
        let Ok((back, loaded)) = looked.await else {
            tracing::error!("certificates are no longer looked at: reading them panicked");
            return;
        };
        files = back;
        let complaint = match loaded {
            Ok(None) => None,
            Ok(Some(Loaded { config, expiry })) => {
                tls.store(config);
                metrics.certificate_expiry(expiry);
                tracing::info!(expiry = expiry.map(tracing::field::display), "new certificate");
                None
            }
            Err(error) => Some(format!("the last good certificate stays: {error:#}")),
        };
        if let Some(complaint) = complaint.as_ref().filter(|_| complaint != said) {
            tracing::error!("{complaint}");
        }
        said = complaint;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use assay_testkit::{Issued, TestAuthority};

    use super::*;

    /// A folder of one test's own, gone with it.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("assay-tls-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            fs::create_dir(&folder).unwrap();
            Self(folder)
        }

        fn write(&self, issued: &Issued, client_ca: &TestAuthority) {
            fs::write(self.0.join("tls.crt"), &issued.certificate_pem).unwrap();
            fs::write(self.0.join("tls.key"), &issued.key_pem).unwrap();
            fs::write(self.0.join("ca.crt"), client_ca.certificate_pem()).unwrap();
        }

        fn webhook(&self) -> WebhookConfiguration {
            WebhookConfiguration {
                tls_files: Some((self.0.join("tls.crt"), self.0.join("tls.key"))),
                client_ca_file: Some(self.0.join("ca.crt")),
                ..WebhookConfiguration::default()
            }
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn takes_up_each_file_that_changes() {
        let folder = Folder::new("changes");
        let (ca, other_ca) =
            (TestAuthority::generate().unwrap(), TestAuthority::generate().unwrap());
        let (first, second) = (ca.issue(&["a"]).unwrap(), ca.issue(&["a"]).unwrap());
        folder.write(&first, &ca);
        let (mut files, loaded) = TlsFiles::read(&folder.webhook()).unwrap();
        assert!(loaded.expiry.is_some());
        for (name, issued, client_ca, expect) in [
            ("nothing", &first, &ca, false),
            ("certificate and key", &second, &ca, true),
            ("nothing again", &second, &ca, false),
            ("client CA", &second, &other_ca, true),
        ] {
            folder.write(issued, client_ca);
            assert_eq!(files.refresh().unwrap().is_some(), expect, "{name}");
        }
    }

    #[test]
    fn keeps_what_is_in_force_until_the_files_fit() {
        let folder = Folder::new("fits");
        let ca = TestAuthority::generate().unwrap();
        let (first, second) = (ca.issue(&["a"]).unwrap(), ca.issue(&["a"]).unwrap());
        folder.write(&first, &ca);
        let (mut files, _) = TlsFiles::read(&folder.webhook()).unwrap();
        let mut check = |issued: &Issued, expect: Result<bool, &str>| {
            folder.write(issued, &ca);
            let found = files.refresh().map(|loaded| loaded.is_some());
            match (found, expect) {
                (Ok(found), Ok(expect)) => assert_eq!(found, expect),
                (Err(error), Err(expect)) => assert!(error.to_string().contains(expect), "{error}"),
                (found, expect) => panic!("{found:?} is not {expect:?}"),
            }
        };
        let mixed = Issued { key_pem: second.key_pem.clone(), ..first.clone() };
        let empty = Issued { key_pem: String::new(), ..second.clone() };
        check(&mixed, Err("do not serve"));
        check(&mixed, Err("do not serve"));
        check(&first, Ok(false));
        check(&empty, Err("holds no unencrypted private key"));
        check(&second, Ok(true));

        fs::remove_file(folder.0.join("ca.crt")).unwrap();
        assert!(files.refresh().is_err());
    }
}
