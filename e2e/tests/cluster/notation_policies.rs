//! What policies for Notary Project signatures ask for, each with an image that has it and one that
//! has not, signed by the Notary Project's own library.

use anyhow::{Result, ensure};
use assay_e2e::{IDENTITY, Order, until};
use serde_json::{Value, json};

use crate::fixture::{Fixture, admitted_silently, check_text, warnings};
use crate::live::{admitted, refused};
use crate::notation::{Stage, store};
use crate::tenants::let_assay_read;

pub(crate) fn asks_who_signed_and_for_what(fixture: &mut Fixture) -> Result<()> {
    let notary = fixture.notary()?;
    let root = store(fixture, "who-ca", "ca", &notary.root("es256")?)?;
    let other = "x509.subject: C=US, ST=WA, O=Other";
    let trusting = |identity: &str| json!({"trustStores": [root], "trustedIdentities": [identity]});
    let mut for_production = trusting(IDENTITY);
    for_production["userMetadata"] = json!({"env": "prod"});
    let verifiers =
        [("own", trusting(IDENTITY)), ("other", trusting(other)), ("prod", for_production)];
    let stage = Stage::set(fixture, "notation-who", &verifiers)?;
    let own = stage.push("own", "signed")?;
    let strange = stage.push("other", "signed")?;
    let prod = stage.push("prod", "prod")?;
    let test = stage.push("prod", "test")?;
    let plain = stage.push("prod", "plain")?;
    notary.sign(&[
        Order::new(&own, "es256"),
        Order::new(&strange, "es256"),
        Order { user_metadata: &[("env", "prod"), ("team", "a")], ..Order::new(&prod, "es256") },
        Order { user_metadata: &[("env", "test")], ..Order::new(&test, "es256") },
        Order::new(&plain, "es256"),
    ])?;
    stage.admits("the identity", &own)?;
    stage.refuses("another identity", &strange, "other: IDENTITY_MISMATCH: ")?;
    stage.admits("the metadata", &prod)?;
    stage.refuses("other metadata", &test, "prod: ANNOTATION_MISMATCH: ")?;
    stage.refuses("no metadata", &plain, "prod: ANNOTATION_MISMATCH: ")
}

/// The hash of each of these keys is of another length, and so is what is timestamped.
pub(crate) fn asks_for_timestamps(fixture: &mut Fixture) -> Result<()> {
    let authority = &fixture.timestamps;
    let notary = fixture.notary()?;
    let kinds = [("es256", "jws"), ("ps384", "cose"), ("es512", "jws")];
    let roots: String = kinds.iter().map(|(kind, _)| notary.root(kind)).collect::<Result<_>>()?;
    let roots = store(fixture, "stamped-ca", "ca", &roots)?;
    let real = store(fixture, "stamped-tsa", "tsa", authority.root())?;
    let wrong = store(fixture, "stamped-other", "tsa", &notary.root("es384")?)?;
    let spec = |tsa| {
        json!({
            "trustStores": [roots, tsa],
            "trustedIdentities": [IDENTITY],
            "verifyTimestamp": "always",
        })
    };
    let verifiers = [("real", spec(real)), ("wrong", spec(wrong))];
    let stage = Stage::set(fixture, "notation-stamped", &verifiers)?;
    for (kind, format) in kinds {
        let stamped = stage.push("real", &format!("{kind}-stamped"))?;
        let unstamped = stage.push("real", &format!("{kind}-unstamped"))?;
        let strange = stage.push("wrong", &format!("{kind}-stamped"))?;
        let plain = |image| Order { format, ..Order::new(image, kind) };
        let stamp = |image| Order { timestamps: Some(authority), ..plain(image) };
        notary.sign(&[stamp(&stamped), plain(&unstamped), stamp(&strange)])?;
        stage.admits(kind, &stamped)?;
        stage.refuses(kind, &unstamped, "real: TIMESTAMP_INVALID: ")?;
        stage.refuses(kind, &strange, "wrong: TIMESTAMP_INVALID: ")?;
        for (image, expected) in [(&stamped, true), (&unstamped, false)] {
            let found = notary.accepts(image, "ca", kind, Some(authority))?;
            ensure!(found == expected, "notation-go on {image}");
        }
    }
    Ok(())
}

/// A signature that counts at first and then no more; certificates that have expired, with and without
/// a timestamp from before; and what is only warned of.
pub(crate) fn lets_signatures_and_certificates_expire(fixture: &mut Fixture) -> Result<()> {
    // Enough to make two signatures, and enough for a pod, on a busy machine.
    const CERTIFICATE_S: u32 = 8;
    const SIGNATURE_S: u64 = 10;
    let notary = fixture.notary()?;
    let stamped = fixture.registry.push("notation-times/stamped/signed", "signed")?;
    let unstamped = fixture.registry.push("notation-times/unstamped/signed", "signed")?;
    notary.add_brief("brief", CERTIFICATE_S)?;
    let stamp = Order { timestamps: Some(&fixture.timestamps), ..Order::new(&stamped, "brief") };
    notary.sign(&[stamp, Order::new(&unstamped, "brief")])?;

    let root = store(fixture, "times-ca", "ca", &notary.root("es256")?)?;
    let brief = store(fixture, "times-brief", "ca", &notary.root("brief")?)?;
    let tsa = store(fixture, "times-tsa", "tsa", fixture.timestamps.root())?;
    let spec = |stores| json!({"trustStores": stores, "trustedIdentities": [IDENTITY]});
    let mut after_expiry = spec(json!([brief, tsa]));
    after_expiry["verifyTimestamp"] = "afterCertExpiry".into();
    let mut permissive = spec(json!([root]));
    permissive["level"] = "permissive".into();
    let verifiers = [
        ("strict", spec(json!([root]))),
        ("permissive", permissive),
        ("stamped", after_expiry),
        ("unstamped", spec(json!([brief]))),
    ];
    let stage = Stage::set(fixture, "notation-times", &verifiers)?;
    let [strict, tolerated] =
        [stage.push("strict", "signed")?, stage.push("permissive", "signed")?];
    let expiring = |image, expiry_s| Order { expiry_s, ..Order::new(image, "es256") };
    notary.sign(&[expiring(&tolerated, 1), expiring(&strict, SIGNATURE_S)])?;
    stage.admits("a signature that expires", &strict)?;

    refused(fixture, "notation-times", &unstamped, "unstamped: CERTIFICATE_EXPIRED: ")?;
    stage.admits("a timestamp from before", &stamped)?;
    let stderr = until("a warning", || {
        let output = fixture.try_run("notation-times", &tolerated)?;
        ensure!(output.success, "permissive: {}", output.stderr);
        Ok((!warnings(&output.stderr).is_empty()).then_some(output.stderr))
    })?;
    let (name, _digest) = tolerated.split_once('@').unwrap_or_default();
    let expected = format!("[notation-times] container \"attempt\" {name}: SIGNATURE_EXPIRED");
    check_text("the warnings", &warnings(&stderr).join("\n"), &expected)?;
    refused(fixture, "notation-times", &strict, "strict: SIGNATURE_EXPIRED: ")?;
    Ok(())
}

/// A document of the Notary Project as it is: the repository selects the statement.
pub(crate) fn takes_trust_policies_as_they_are(fixture: &mut Fixture) -> Result<()> {
    let notary = fixture.notary()?;
    for (name, signer) in [("document-a", "es256"), ("document-b", "es384")] {
        store(fixture, name, "ca", &notary.root(signer)?)?;
    }
    let host = fixture.registry.host();
    let statement = |repositories: &[&str], root: &str| {
        let scopes = repositories.iter().map(|of| format!("{host}/notation-document/app/{of}"));
        json!({
            "name": root,
            "registryScopes": scopes.collect::<Vec<_>>(),
            "signatureVerification": {"level": "strict"},
            "trustStores": [format!("ca:{root}")],
            "trustedIdentities": [IDENTITY],
        })
    };
    let statements =
        [statement(&["unsigned", "a", "strange"], "document-a"), statement(&["b"], "document-b")];
    let spec = json!({"trustPolicy": {"version": "1.0", "trustPolicies": statements}});
    let stage = Stage::set(fixture, "notation-document", &[("app", spec)])?;
    let signed = [("a", "es256"), ("b", "es384"), ("strange", "es384"), ("elsewhere", "es256")];
    let images: Vec<String> =
        signed.iter().map(|(of, _)| stage.push("app", of)).collect::<Result<_>>()?;
    let orders = signed.iter().zip(&images).map(|((_, signer), image)| Order::new(image, signer));
    notary.sign(&orders.collect::<Vec<_>>())?;
    for ((of, _), image) in signed.iter().zip(&images) {
        match *of {
            "strange" => stage.refuses(of, image, "app: KEY_MISMATCH: ")?,
            "elsewhere" => stage.refuses(of, image, "app: NOT_COVERED: ")?,
            _ => stage.admits(of, image)?,
        }
    }
    Ok(())
}

/// Certificates in a ConfigMap of the tenant, for images in the tenant's namespace alone.
pub(crate) fn trusts_stores_of_the_own_namespace(fixture: &mut Fixture) -> Result<()> {
    const OWN: &str = "notation-tenant";
    const OTHER: &str = "notation-neighbour";
    let notary = fixture.notary()?;
    let own = fixture.registry.push(OWN, "own")?;
    let strange = fixture.registry.push(OWN, "strange")?;
    notary.sign(&[Order::new(&own, "es256"), Order::new(&strange, "es384")])?;
    for namespace in [OWN, OTHER] {
        fixture.cluster.create_namespace(namespace, &json!({}))?;
    }
    fixture.cluster.apply(&tenant(OWN, &notary.root("es256")?))?.succeeded()?;
    refused(fixture, OWN, &own, "POLICY_INVALID: ")?;
    let_assay_read(fixture, OWN)?;
    admitted(fixture, OWN, &own)?;
    refused(fixture, OWN, &strange, "signed: KEY_MISMATCH: ")?;
    admitted_silently("elsewhere", fixture.try_run(OTHER, &strange)?)
}

/// A policy of the namespace, the store that it names, and where that has its certificates from.
fn tenant(namespace: &str, roots: &str) -> Value {
    let metadata = json!({"name": "own", "namespace": namespace});
    let reference = json!({"name": "own", "key": "roots.pem"});
    let notation = json!({
        "trustStores": [{"type": "ca", "name": "own"}],
        "trustedIdentities": [IDENTITY],
    });
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {"roots.pem": roots},
        },
        {
            "apiVersion": "assay.dev/v1alpha1",
            "kind": "TrustStore",
            "metadata": metadata,
            "spec": {"certificates": {"type": "ca", "configMapRef": reference}},
        },
        {
            "apiVersion": "assay.dev/v1alpha1",
            "kind": "ImageAdmissionPolicy",
            "metadata": metadata,
            "spec": {
                "verifiers": [{"name": "signed", "notation": notation}],
                "rules": [{"images": ["**"], "require": {"all": ["signed"]}}],
            },
        },
    ]})
}

/// From 30 days before.
pub(crate) fn tells_when_certificates_of_stores_end(fixture: &mut Fixture) -> Result<()> {
    let ready = "{.status.conditions[?(@.type==\"Ready\")]";
    let columns = format!(
        "--output=jsonpath={ready}.status}} {ready}.reason}} {{.status.keys}} {{.status.notAfter}}"
    );
    for (name, days, reason) in [("a-month", 30, "ExpiresSoon"), ("a-year", 365, "InForce")] {
        let (end, root) = fixture.notary()?.new_root(days)?;
        store(fixture, name, "ca", &root)?;
        let expected = format!("True {reason} 1 {end}");
        until(&expected, || {
            let found = fixture.cluster.kubectl(&["get", "ctst", name, &columns])?.succeeded()?;
            Ok((found == expected).then_some(()))
        })?;
    }
    Ok(())
}
