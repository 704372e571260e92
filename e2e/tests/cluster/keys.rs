//! Every kind of key and every form of signature that the real cosign makes.

use anyhow::{Context, Result, ensure};
use assay_e2e::{Form, KeyKind, Signer, until};
use serde_json::json;

use crate::fixture::{Fixture, admitted_silently, refusal, trust_store};

const FORMS: [(&str, Form); 3] =
    [("bundle", Form::Bundle), ("referrer", Form::Referrer), ("tag", Form::Tag)];

/// The namespace of these cases.
const NAMESPACE: &str = "keys";

/// Each kind has a repository, where its key alone counts. Its own signature admits in each form, and
/// that of the key of another kind does not.
pub(crate) fn admits_each_kind_of_key_in_each_form(fixture: &mut Fixture) -> Result<()> {
    fixture.cluster.create_namespace(NAMESPACE, &json!({}))?;
    let signers: Vec<(&str, Signer)> = KeyKind::ALL
        .into_iter()
        .map(|(name, kind)| {
            let signer = Signer::import(&fixture.directory, &format!("key-{name}"), kind);
            Ok((name, signer.context(name)?))
        })
        .collect::<Result<_>>()?;
    let mut documents = vec![policy(fixture.registry.host(), &signers)];
    for (name, signer) in &signers {
        documents.push(trust_store(name, &signer.public_key()?));
    }
    fixture.webhook.write_policies("keys.yaml", &documents.join("---\n"))?;
    for (index, (name, signer)) in signers.iter().enumerate() {
        let (other_name, other) = &signers[(index + 1) % signers.len()];
        let image = fixture.registry.push(name, "other")?;
        other.sign(&image, Form::Bundle)?;
        let found = until("the policy in force", || {
            let output = fixture.try_run(NAMESPACE, &image)?;
            Ok((!output.success).then_some(output))
        })?;
        let found = refusal(found)?;
        let expected = format!("{name}: KEY_MISMATCH: signed, but by no key of {name}");
        ensure!(found.contains(&expected), "{name} by {other_name}: {found}");
        for (form_name, form) in FORMS {
            let what = format!("{name}, {form_name}");
            let image = fixture.registry.push(name, form_name)?;
            signer.sign(&image, form).with_context(|| what.clone())?;
            admitted_silently(&what, fixture.try_run(NAMESPACE, &image)?)?;
        }
    }
    Ok(())
}

fn policy(registry: &str, signers: &[(&str, Signer)]) -> String {
    let verifiers = signers
        .iter()
        .map(|(name, _)| json!({"name": name, "cosign": {"keys": [{"trustStore": name}]}}));
    let rules = signers.iter().map(
        |(name, _)| json!({"images": [format!("{registry}/{name}")], "require": {"all": [name]}}),
    );
    let document = json!({
        "apiVersion": "assay.dev/v1alpha1",
        "kind": "ClusterImageAdmissionPolicy",
        "metadata": {"name": "kinds-of-keys"},
        "spec": {
            "match": {"namespaces": [NAMESPACE]},
            "verifiers": verifiers.collect::<Vec<_>>(),
            "rules": rules.collect::<Vec<_>>(),
        },
    });
    format!("{document}\n")
}
