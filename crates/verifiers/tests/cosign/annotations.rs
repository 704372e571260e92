//! Annotations that a policy asks for, in what is signed.

use std::collections::BTreeMap;

use assay_core::State;
use assay_core::ports::Verifier;
use assay_testkit::cosign::SigningKey;
use assay_testkit::cosign::simple::SimpleSigning;
use serde_json::{Value, json};

use crate::world::{
    ACCEPTED, ANNOTATION_MISMATCH, INVALID, KEY_MISMATCH, SUBJECT_MISMATCH, World, key,
    verifier_with,
};

/// The verifier that asks for these annotations.
fn asking(key: &SigningKey, annotations: &[(&str, &str)]) -> std::sync::Arc<dyn Verifier> {
    let annotations = annotations.iter().map(|(key, value)| ((*key).into(), (*value).into()));
    let annotations: BTreeMap<String, String> = annotations.collect();
    verifier_with(&[key], |config| config.annotations = annotations)
}

/// Checks a signature in each form that claims `claimed`, where `asked` is asked for.
#[track_caller]
fn check(name: &str, asked: &[(&str, &str)], claimed: &Value, expect: State) {
    let key = key();
    let verifier = asking(&key, asked);
    let mut world = World::new();
    let facts = SimpleSigning { optional: claimed.clone(), ..world.simple() };
    world.push_simple(&facts.sign(&key).unwrap());
    world.check_by(name, &*verifier, expect);

    let mut world = World::new();
    let mut statement = world.statement();
    statement.subject[0]["annotations"] = claimed.clone();
    world.push_bundle(&statement.sign(&key).unwrap());
    world.check_by(name, &*verifier, expect);
}

#[test]
fn accepts_signatures_with_each_annotation_that_is_asked_for() {
    let asked = [("env", "prod"), ("team", "core")];
    let env = &asked[..1];
    check("none asked for", &[], &Value::Null, ACCEPTED);
    check("more than asked for", &[], &json!({"env": "prod", "n": [1, {}]}), ACCEPTED);
    check("that one", env, &json!({"env": "prod"}), ACCEPTED);
    check("among others", env, &json!({"a": 1, "env": "prod"}), ACCEPTED);
    check("both", &asked, &json!({"team": "core", "env": "prod"}), ACCEPTED);
    check("one of two", &asked, &json!({"team": "core"}), ANNOTATION_MISMATCH);
    check("none", env, &Value::Null, ANNOTATION_MISMATCH);
    check("empty", env, &json!({}), ANNOTATION_MISMATCH);
    check("another value", env, &json!({"env": "test"}), ANNOTATION_MISMATCH);
    check("more of a value", env, &json!({"env": "prod "}), ANNOTATION_MISMATCH);
    check("another key", env, &json!({"Env": "prod"}), ANNOTATION_MISMATCH);
    check("no text", env, &json!({"env": ["prod"]}), ANNOTATION_MISMATCH);
    check("deeper", env, &json!({"x": {"env": "prod"}}), ANNOTATION_MISMATCH);
    check("no object", env, &json!("env=prod"), INVALID);
}

#[test]
fn does_not_take_them_from_what_is_not_signed() {
    let key = key();
    let verifier = asking(&key, &[("env", "prod")]);
    let mut world = World::new();
    let signed = world.simple().sign(&key).unwrap();
    let mut layer = world.simple_layer(&signed);
    layer["annotations"]["env"] = json!("prod");
    world.push_layer(layer);
    let mut manifest = world.simple_referrer(&[signed]);
    manifest["annotations"] = json!({"env": "prod"});
    world.push_referrer_manifest(&manifest);
    let outcome = world.check_by("of a layer and a manifest", &*verifier, ANNOTATION_MISMATCH);
    let expect = "no good signature by a key of release-keys found: the annotation 'env' is not signed as the policy asks";
    assert_eq!(outcome.message, expect);
}

#[test]
fn does_not_take_them_from_what_is_signed_by_others_or_about_others() {
    let (key, other) = (key(), key());
    let verifier = asking(&key, &[("env", "prod")]);
    let mut world = World::new();
    let facts = SimpleSigning { optional: json!({"env": "prod"}), ..world.simple() };
    world.push_simple(&facts.sign(&other).unwrap());
    world.check_by("a stranger's", &*verifier, KEY_MISMATCH);
    world.sign_simple(&key);
    world.check_by("ours beside it", &*verifier, ANNOTATION_MISMATCH);

    let own = json!({"sha256": world.subject.digest().hex()});
    let others = json!({"sha256": assay_core::Digest::sha256(b"another image").hex()});
    let annotated = |digest: &Value| json!({"digest": digest, "annotations": {"env": "prod"}});
    for (name, subject, expect) in [
        ("another subject's", json!([{"digest": own}, annotated(&others)]), ANNOTATION_MISMATCH),
        ("of another image", json!([annotated(&others)]), SUBJECT_MISMATCH),
        ("one of two entries", json!([{"digest": own}, annotated(&own)]), ACCEPTED),
        ("the other of two entries", json!([annotated(&own), {"digest": own}]), ACCEPTED),
    ] {
        let mut world = World::new();
        let mut statement = world.statement();
        statement.subject = subject;
        world.push_bundle(&statement.sign(&key).unwrap());
        world.check_by(name, &*verifier, expect);
    }
}

#[test]
fn rejects_an_annotation_that_stands_twice() {
    let key = key();
    let verifier = asking(&key, &[("env", "prod")]);
    for (text, expect) in [
        (r#"{"env":"prod"}"#, ACCEPTED),
        (r#"{"env":"test","env":"prod"}"#, INVALID),
        (r#"{"env":"prod","env":"test"}"#, INVALID),
        (r#"{"env":"prod","x":1,"x":1}"#, INVALID),
    ] {
        let mut world = World::new();
        let mut signed = world.simple().sign(&key).unwrap();
        let payload = String::from_utf8(signed.payload).unwrap();
        let payload = payload.replace(r#""optional":null"#, &format!(r#""optional":{text}"#));
        signed.payload = payload.into_bytes();
        signed.signature = key.sign(&signed.payload).unwrap();
        world.push_simple(&signed);
        world.check_by(text, &*verifier, expect);
    }
}
