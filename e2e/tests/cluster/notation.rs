//! Notary Project signatures: the Notary Project's own library and ours, each on what both made, and
//! the cluster on images with either.

use anyhow::{Context, Result, ensure};
use assay_e2e::{Envelope, Envelopes, IDENTITY, KEY_KINDS, Order, descriptor};
use serde_json::{Value, json};

use crate::fixture::{Fixture, admitted_silently, refusal};
use crate::live::{policy, refused};

/// A namespace, a policy that is for it, and repositories in which that counts: for each of its
/// verifiers those below the names of the namespace and the verifier.
pub(crate) struct Stage<'a> {
    pub(crate) fixture: &'a Fixture,
    name: &'static str,
}

impl<'a> Stage<'a> {
    /// The stage, once the policy is in force: an image without signature is refused.
    pub(crate) fn set(
        fixture: &'a Fixture,
        name: &'static str,
        verifiers: &[(&str, Value)],
    ) -> Result<Self> {
        fixture.cluster.create_namespace(name, &json!({}))?;
        let hosts = [fixture.registry.host(), fixture.referrers_registry.host()];
        let images = |of: &str| hosts.map(|host| format!("{host}/{name}/{of}/**"));
        let rules =
            verifiers.iter().map(|(of, _)| json!({"images": images(of), "require": {"all": [of]}}));
        let specs = verifiers.iter().map(|(of, spec)| json!({"name": of, "notation": spec}));
        let spec = json!({
            "verifiers": specs.collect::<Vec<_>>(),
            "rules": rules.collect::<Vec<_>>(),
        });
        fixture.cluster.apply(&policy(name, name, spec))?.succeeded()?;
        let stage = Self { fixture, name };
        for (of, _) in verifiers {
            let image = stage.push(of, "unsigned")?;
            let text = format!("{of}: SIGNATURE_NOT_FOUND: no signature by a certificate of ");
            refused(fixture, name, &image, &text)?;
        }
        Ok(stage)
    }

    /// An image in a repository of its own, where a verifier counts.
    pub(crate) fn push(&self, of: &str, mark: &str) -> Result<String> {
        self.fixture.registry.push(&format!("{}/{of}/{mark}", self.name), mark)
    }

    /// Holds that a pod with the image is admitted, without a warning.
    pub(crate) fn admits(&self, what: &str, image: &str) -> Result<()> {
        admitted_silently(what, self.fixture.try_run(self.name, image)?)
    }

    /// Holds that it is refused, with this text.
    pub(crate) fn refuses(&self, what: &str, image: &str, text: &str) -> Result<()> {
        let output = self.fixture.try_run(self.name, image)?;
        let found = refusal(output).with_context(|| what.to_owned())?;
        ensure!(found.contains(text), "{what}, without {text}: {found}");
        Ok(())
    }
}

/// Has a ClusterTrustStore of this type hold certificates, and returns what a policy calls it.
pub(crate) fn store(fixture: &Fixture, name: &str, kind: &str, pem: &str) -> Result<Value> {
    let store = json!({
        "apiVersion": "assay.dev/v1alpha1",
        "kind": "ClusterTrustStore",
        "metadata": {"name": name},
        "spec": {"certificates": {"type": kind, "inline": pem}},
    });
    fixture.cluster.apply(&store)?.succeeded()?;
    Ok(json!({"type": kind, "name": name}))
}

/// When what expires of signatures and all certificates have expired.
const LATE: &str = "2200-01-01T00:00:00Z";

pub(crate) fn agrees_with_notation_go(fixture: &mut Fixture) -> Result<()> {
    let makers = [
        ("notation-go", Envelopes::of_notation_go(&fixture.directory)?),
        ("notation-rs", Envelopes::of_notation_rs(&fixture.directory)?),
    ];
    for (maker, envelopes) in makers {
        for envelope in Envelope::all() {
            let own = envelope.key;
            let other = another(own);
            let late = match (envelope.is_expiring, envelope.scheme) {
                (true, _) => "expiry",
                (false, "x509") => "authenticTimestamp",
                // The authority is trusted to say when it signed.
                (false, _) => "pass",
            };
            for (root, now, expected) in
                [(own, None, "pass"), (other, None, "authenticity"), (own, Some(LATE), late)]
            {
                let ours = envelopes.notation_rs_says(envelope, root, now)?;
                ensure!(ours == expected, "{maker}, {envelope:?}, {root}, {now:?}: {ours}");
            }
            for (root, expected) in [(own, true), (other, false)] {
                let theirs = envelopes.notation_go_accepts(envelope, root)?;
                ensure!(theirs == expected, "notation-go on {maker}, {envelope:?}, {root}");
            }
        }
    }
    Ok(())
}

/// A verifier for each kind of key, which trusts the root of its chain alone, under both schemes.
fn verifiers(
    fixture: &Fixture,
    maker: &str,
    root: impl Fn(&str) -> Result<String>,
) -> Result<Vec<(&'static str, Value)>> {
    let verifier = |kind| {
        let root = root(kind)?;
        let stores = [
            store(fixture, &format!("{maker}-{kind}-ca"), "ca", &root)?,
            store(fixture, &format!("{maker}-{kind}-authority"), "signingAuthority", &root)?,
        ];
        Ok((kind, json!({"trustStores": stores, "trustedIdentities": [IDENTITY]})))
    };
    KEY_KINDS.into_iter().map(verifier).collect()
}

/// What the images of [`images`] are pushed with.
const MARK: &str = "signed";

/// One image in a repository for each signature that does not expire, where that alone counts.
fn images(stage: &Stage<'_>) -> Result<Vec<(Envelope, String)>> {
    let image = |envelope| {
        let Envelope { key, scheme, format, .. } = envelope;
        let repository = format!("{}/{key}/{scheme}-{format}", stage.name).to_lowercase();
        Ok((envelope, stage.fixture.registry.push(&repository, MARK)?))
    };
    Envelope::all().filter(|envelope| !envelope.is_expiring).map(image).collect()
}

pub(crate) fn admits_images_of_notation_go(fixture: &mut Fixture) -> Result<()> {
    let notary = fixture.notary()?;
    let verifiers = verifiers(fixture, "go", |kind| notary.root(kind))?;
    let stage = Stage::set(fixture, "notation-go", &verifiers)?;
    let (images, mut strange) = (images(&stage)?, Vec::new());
    for (index, kind) in KEY_KINDS.into_iter().enumerate() {
        let other = KEY_KINDS[(index + 1) % KEY_KINDS.len()];
        strange.push((kind, other, stage.push(kind, "strange")?));
    }
    let own = images.iter().map(|(Envelope { key, scheme, format, .. }, image)| Order {
        scheme,
        format,
        ..Order::new(image, key)
    });
    let others = strange.iter().map(|(_, other, image)| Order::new(image, other));
    notary.sign(&own.chain(others).collect::<Vec<_>>())?;
    for (envelope, image) in &images {
        let what = format!("{envelope:?}");
        stage.admits(&what, image)?;
        ensure!(notary.accepts(image, envelope.store(), envelope.key, None)?, "{what}");
    }
    for (kind, other, image) in &strange {
        let text = format!("{kind}: KEY_MISMATCH: signed, but by no certificate of go-{kind}-ca");
        stage.refuses(&format!("{kind} by {other}"), image, &text)?;
    }
    Ok(())
}

pub(crate) fn admits_images_of_notation_rs(fixture: &mut Fixture) -> Result<()> {
    let image = fixture.registry.push("notation-rs", MARK)?;
    let folder = fixture.directory.join("notation-rs-images");
    let envelopes = Envelopes::of_artifact(folder, &descriptor(&image, MARK)?)?;
    let verifiers = verifiers(fixture, "rs", |kind| envelopes.root(kind))?;
    let stage = Stage::set(fixture, "notation-rs", &verifiers)?;
    let images = images(&stage)?;
    envelopes.attach(&images)?;
    for (envelope, image) in &images {
        let (what, own) = (format!("{envelope:?}"), envelope.key);
        stage.admits(&what, image)?;
        for (root, expected) in [(own, true), (another(own), false)] {
            let theirs = envelopes.notation_go_accepts_image(*envelope, image, root)?;
            ensure!(theirs == expected, "notation-go on {what}, {root}");
        }
    }
    Ok(())
}

/// A kind of key that is not this one.
fn another(kind: &str) -> &'static str {
    if kind == "es256" { "ps256" } else { "es256" }
}

/// A manifest that has an artifact type, and one that is a signature by its config alone, as
/// notation-go makes it; each found by the referrers API and, where there is none, by the tag.
pub(crate) fn finds_signatures_in_each_shape_and_place(fixture: &mut Fixture) -> Result<()> {
    let notary = fixture.notary()?;
    let root = store(fixture, "shapes-ca", "ca", &notary.root("es256")?)?;
    let spec = json!({"trustStores": [root], "trustedIdentities": [IDENTITY]});
    let stage = Stage::set(fixture, "notation-shapes", &[("app", spec)])?;
    for (place, registry, has_api) in
        [("tag", &fixture.registry, false), ("api", &fixture.referrers_registry, true)]
    {
        for (shape, has_artifact_type) in [("artifact-type", true), ("config", false)] {
            let what = format!("{shape}, {place}");
            let unsigned = registry.push("notation-shapes/app/unsigned", shape)?;
            stage.refuses(&what, &unsigned, "SIGNATURE_NOT_FOUND")?;
            let image = registry.push("notation-shapes/app/signed", shape)?;
            notary.sign(&[Order { has_artifact_type, ..Order::new(&image, "es256") }])?;
            let (_, digest) = image.split_once('@').unwrap_or_default();
            let tag = format!("notation-shapes/app/signed/manifests/{}", digest.replace(':', "-"));
            ensure!(registry.has(&tag)? != has_api, "{what}: the tag of the referrers");
            stage.admits(&what, &image)?;
            ensure!(notary.accepts(&image, "ca", "es256", None)?, "notation-go: {what}");
        }
    }
    Ok(())
}
