//! A factory that takes whatever says `PUBLIC KEY`, and shortcuts into `compile`.

use std::path::Path;
use std::sync::Arc;

use assay_api::{CompileOptions, Compiled, Document, GivenSources, compile, read_documents};
use assay_core::ports::{Context, Verifier, VerifierFactory};
use assay_core::{
    ConfigError, Digest, NotationConfig, Outcome, Subject, TrustMaterial, TrustStoreKind,
    TrustStoreMaterial, VerifierConfig,
};
use assay_policy::Snapshot;
use jiff::Timestamp;

pub(crate) struct FakeFactory;

struct FakeVerifier(Digest);

#[async_trait::async_trait]
impl Verifier for FakeVerifier {
    fn kind(&self) -> &'static str {
        "cosign"
    }

    fn fingerprint(&self) -> &Digest {
        &self.0
    }

    async fn verify(&self, _: &Subject, _: &dyn Context) -> Outcome {
        unreachable!("compile verifies nothing")
    }
}

impl VerifierFactory for FakeFactory {
    fn build(
        &self,
        config: &VerifierConfig,
        material: &TrustMaterial,
    ) -> Result<Arc<dyn Verifier>, ConfigError> {
        let cosign = match config {
            VerifierConfig::Cosign(cosign) => cosign,
            VerifierConfig::Notation(notation) => return build_notation(notation, material),
            _ => unreachable!("there is no other type"),
        };
        assert!(!cosign.keys.is_empty(), "a keyed verifier without keys reached the factory");
        for (index, key) in cosign.keys.iter().enumerate() {
            let store = material
                .store(&key.source, TrustStoreKind::PublicKeys)
                .expect("each store that is named is given");
            let text = String::from_utf8_lossy(&store.bytes);
            assert!(!text.contains("BOMB"), "a defect, as the test wants it");
            if !text.contains("PUBLIC KEY") {
                let field = format!("cosign.keys[{index}]");
                return Err(ConfigError { field, reason: "holds no public key".to_owned() });
            }
        }
        let fingerprint = Digest::sha256(format!("{config:?} {material:?}").as_bytes());
        Ok(Arc::new(FakeVerifier(fingerprint)))
    }

    fn expiry(&self, store: &TrustStoreMaterial) -> Option<Timestamp> {
        let text = String::from_utf8_lossy(&store.bytes);
        assert!(!text.contains("BOMB"), "a defect, as the test wants it");
        text.split_once("CERTIFICATE until ")?.1.trim().parse().ok()
    }
}

/// Takes certificates that say so.
fn build_notation(
    config: &NotationConfig,
    material: &TrustMaterial,
) -> Result<Arc<dyn Verifier>, ConfigError> {
    for named in &config.stores {
        let kind = TrustStoreKind::Certificates(named.kind);
        let store = material.store(&named.source, kind).expect("each store that is named is given");
        if !String::from_utf8_lossy(&store.bytes).contains("CERTIFICATE") {
            let field = "notation.trustStores".to_owned();
            return Err(ConfigError { field, reason: "holds no certificate".to_owned() });
        }
    }
    let fingerprint = Digest::sha256(format!("{config:?} {material:?}").as_bytes());
    Ok(Arc::new(FakeVerifier(fingerprint)))
}

/// The documents in `text`, as of the file `policies/p.yaml`.
pub(crate) fn documents(text: &str) -> Vec<Document> {
    read_documents(Path::new("policies/p.yaml"), text.as_bytes())
}

/// What `text` compiles to, where `policies/good.pub` holds a key and no other file exists.
pub(crate) fn compiled(text: &str) -> Compiled {
    compiled_with(text, &CompileOptions::default(), None)
}

pub(crate) fn compiled_with(
    text: &str,
    options: &CompileOptions,
    last_good: Option<&Snapshot>,
) -> Compiled {
    compile_with(&documents(text), options, last_good)
}

/// The same of documents.
pub(crate) fn compile_all(documents: &[Document]) -> Compiled {
    compile_with(documents, &CompileOptions::default(), None)
}

fn compile_with(
    documents: &[Document],
    options: &CompileOptions,
    last_good: Option<&Snapshot>,
) -> Compiled {
    let read = |path: &Path| match path.to_str() {
        Some("policies/good.pub") => Ok(b"PUBLIC KEY".to_vec()),
        _ => Err(format!("{} cannot be read", path.display())),
    };
    let sources = GivenSources { documents, read: &read };
    compile(documents, options, &sources, &FakeFactory, last_good)
}
