//! What documents refer to is what `compile` asks for.

use std::cell::RefCell;
use std::path::Path;

use assay_api::{CompileOptions, MaterialKind, MaterialReference, Origin, Sources, compile};

use crate::support::{FakeFactory, documents};

/// Has every entry, and notes who asked.
#[derive(Default)]
struct Asked(RefCell<Vec<MaterialReference>>);

impl Asked {
    fn note(&self, kind: MaterialKind, names: [&str; 3]) -> Result<Vec<u8>, String> {
        let [namespace, name, key] = names.map(str::to_owned);
        self.0.borrow_mut().push(MaterialReference { kind, namespace, name, key });
        Ok(b"PUBLIC KEY".to_vec())
    }
}

impl Sources for Asked {
    fn file(&self, _: &Origin, _: &Path) -> Result<Vec<u8>, String> {
        Ok(b"PUBLIC KEY".to_vec())
    }

    fn secret(&self, namespace: &str, name: &str, key: &str) -> Result<Vec<u8>, String> {
        self.note(MaterialKind::Secret, [namespace, name, key])
    }

    fn config_map(&self, namespace: &str, name: &str, key: &str) -> Result<Vec<u8>, String> {
        self.note(MaterialKind::ConfigMap, [namespace, name, key])
    }
}

const STORES: &str = "\
{apiVersion: assay.dev/v1alpha1, kind: ClusterTrustStore, metadata: {name: a}, spec: {publicKeys: {secretRef: {namespace: x, name: s, key: k}}}}
---
{apiVersion: assay.dev/v1alpha1, kind: ClusterTrustStore, metadata: {name: b}, spec: {publicKeys: {inline: PUBLIC KEY}}}
---
{apiVersion: assay.dev/v1alpha1, kind: ClusterTrustStore, metadata: {name: c}, spec: {publicKeys: {secretRef: {name: s, key: k}}}}
---
{apiVersion: assay.dev/v1alpha1, kind: TrustStore, metadata: {name: d, namespace: own}, spec: {publicKeys: {configMapRef: {name: m, key: k}}}}
---
{apiVersion: assay.dev/v1alpha1, kind: TrustStore, metadata: {name: e, namespace: own}, spec: {publicKeys: {secretRef: {namespace: x, name: s, key: k}}}}
---
{apiVersion: assay.dev/v1alpha1, kind: TrustStore, metadata: {name: f, namespace: own}, spec: {publicKeys: {secretRef: {name: s, key: k}, inline: PUBLIC KEY}}}
";

#[test]
fn compile_asks_for_what_documents_refer_to_and_for_nothing_else() {
    let documents = documents(STORES);
    let asked = Asked::default();
    compile(&documents, &CompileOptions::default(), &asked, &FakeFactory, None);
    let referred: Vec<_> =
        documents.iter().filter_map(|document| document.material_reference()).collect();
    for reference in asked.0.borrow().iter() {
        assert!(referred.contains(reference), "{reference:?} was not foreseen");
    }
    assert_eq!(asked.0.borrow().len(), 2);
    assert!(referred.iter().all(|own| own.namespace != "x" || own.name == "s"));
    let thief =
        documents.iter().find(|document| document.store_id().is_some_and(|id| id.name == "e"));
    assert_eq!(thief.unwrap().material_reference(), None, "another namespace's is not asked for");
}

#[test]
fn policies_refer_to_stores_of_their_own_scope() {
    let policy = |kind: &str, metadata: &str, keys: &str| {
        let spec = format!(
            "{{verifiers: [{{name: v}}, {{name: w, cosign: {{keys: [{keys}]}}}}], rules: []}}"
        );
        format!(
            "{{apiVersion: assay.dev/v1alpha1, kind: {kind}, metadata: {metadata}, spec: {spec}}}\n"
        )
    };
    for (text, expect) in [
        (
            policy("ClusterImageAdmissionPolicy", "{name: p}", "{trustStore: a}"),
            vec!["1 ClusterTrustStore a"],
        ),
        (
            policy(
                "ImageAdmissionPolicy",
                "{name: p, namespace: n}",
                "{trustStore: a}, {clusterTrustStore: b}",
            ),
            vec!["1 TrustStore n/a", "1 ClusterTrustStore b"],
        ),
        (
            policy(
                "ImageAdmissionPolicy",
                "{name: p, namespace: n}",
                "{trustStore: a, clusterTrustStore: b}",
            ),
            vec![],
        ),
    ] {
        let documents = documents(&text);
        let found: Vec<String> = documents[0]
            .store_references()
            .iter()
            .map(|reference| format!("{} {}", reference.verifier, reference.store))
            .collect();
        assert_eq!(found, expect, "{text}");
    }
}
