//! The samples in `config/` are what users copy: all of them compile.

use std::path::{Path, PathBuf};

use assay_api::{CompileOptions, Configuration, Document, GivenSources, compile, read_documents};

use crate::support::FakeFactory;

fn config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config")
}

fn sample_documents() -> Vec<Document> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(config().join("policies"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files.iter().flat_map(|file| read_documents(file, &std::fs::read(file).unwrap())).collect()
}

#[test]
fn policies_compile() {
    let documents = sample_documents();
    let read = |path: &Path| std::fs::read(path).map_err(|error| error.to_string());
    let sources = GivenSources { documents: &documents, read: &read };
    let compiled = compile(&documents, &CompileOptions::default(), &sources, &FakeFactory, None);
    assert_eq!(compiled.problems, []);
    let names: Vec<String> =
        compiled.snapshot.policies.iter().map(|policy| policy.id.to_string()).collect();
    assert_eq!(names, ["release-images", "signed-by-default", "vendor-images", "web/shop-images"]);
}

#[test]
fn configuration_names_the_sample_policies_and_the_defaults() {
    let file = config().join("assay.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let sample = Configuration::parse(&text, &file).unwrap();
    assert!(sample.policies.iter().all(|path| path.is_dir()), "{:?}", sample.policies);
    let defaults = Configuration {
        policies: sample.policies.clone(),
        kubernetes: Some(false),
        webhook: assay_api::WebhookConfiguration {
            tls_files: sample.webhook.tls_files.clone(),
            ..Configuration::default().webhook
        },
        registries: sample.registries.clone(),
        docker_config_file: sample.docker_config_file.clone(),
        ..Configuration::default()
    };
    assert_eq!(sample, defaults, "what the comments call defaults are the defaults");
}
