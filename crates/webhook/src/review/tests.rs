use assay_policy::Role;
use serde_json::{Value, json};

use super::*;
use crate::testing::{UID, pod, review};

const DEADLINE: Duration = Duration::from_secs(9);

fn parse(body: &[u8]) -> Result<Review, ReviewError> {
    Review::parse(body, DEADLINE)
}

#[test]
fn reads_what_is_asked() {
    let body = review(|request| {
        request["operation"] = json!("UPDATE");
        request["object"] = pod("a");
        request["oldObject"] = pod("b");
        request["dryRun"] = json!(true);
    });
    let Review { head, request } = parse(&body).unwrap();
    let request = request.unwrap();

    assert_eq!(head.uid, UID);
    assert_eq!((head.resource, head.operation, head.name.as_str()), ("pods", "UPDATE", "web"));
    assert_eq!(request.id, head.id);
    assert_eq!(request.id, &Digest::sha256(UID.as_bytes()).hex()[..8]);
    assert_eq!((request.operation, request.deadline), (Operation::Update, DEADLINE));
    assert!(request.dry_run && head.dry_run && !request.enforce_templates);
    let (object, old) = (request.object.unwrap(), request.old_object.unwrap());
    assert_eq!((object.role(), old.role()), (Role::Pod, Role::Pod));
    assert_eq!((object.images[0].reference.as_str(), old.images[0].reference.as_str()), ("a", "b"));
    assert_eq!(request.namespace, "shop");
    assert_eq!((object.namespace, old.namespace), ("shop".to_owned(), "shop".to_owned()));
}

#[test]
fn names_an_object_that_has_no_name_yet_by_its_beginning() {
    let body = review(|request| {
        request["name"] = json!("");
        request["object"]["metadata"] = json!({"generateName": "web-"});
    });
    assert_eq!(parse(&body).unwrap().head.name, "web-");
}

#[track_caller]
fn check_looks(name: &str, expect: (bool, bool), change: impl FnOnce(&mut Value)) {
    let body = review(|request| {
        request["oldObject"] = pod("b");
        change(request);
    });
    let request = parse(&body).unwrap().request.expect(name);
    assert_eq!((request.object.is_some(), request.old_object.is_some()), expect, "{name}");
}

#[test]
fn looks_at_objects_that_may_bring_an_image() {
    let ephemeral = |request: &mut Value| {
        request["operation"] = json!("UPDATE");
        request["subResource"] = json!("ephemeralcontainers");
    };
    check_looks("create", (true, false), |_| {});
    check_looks("update", (true, true), |request| request["operation"] = json!("UPDATE"));
    check_looks("an ephemeral container", (true, true), ephemeral);
    check_looks("empty subresource", (true, false), |request| request["subResource"] = json!(""));
    check_looks("no subresource", (true, false), |request| request["subResource"] = json!(null));
    check_looks("update of nothing", (true, false), |request| {
        request["operation"] = json!("UPDATE");
        request["oldObject"] = json!(null);
    });

    check_looks("of no pod", (false, false), |request| {
        ephemeral(request);
        request["resource"]["group"] = json!("example.com");
    });
    for subresource in ["status", "scale", "resize", "binding", "eviction"] {
        check_looks(subresource, (false, false), |request| {
            request["operation"] = json!("UPDATE");
            request["subResource"] = json!(subresource);
        });
    }
}

#[test]
fn reads_nothing_of_what_is_deleted_or_connected_to() {
    for operation in ["DELETE", "CONNECT"] {
        check_looks(operation, (false, false), |request| {
            request["operation"] = json!(operation);
            request["object"] = json!(null);
            request["oldObject"] = json!("no object at all");
        });
    }
}

#[track_caller]
fn check_unjudgeable(expect: &str, change: impl FnOnce(&mut Value)) {
    let review = parse(&review(change)).unwrap();
    let error = review.request.expect_err(expect).to_string();
    assert!(error.contains(expect), "{expect}: {error}");
    assert_eq!(review.head.uid, UID);
}

#[test]
fn rejects_objects_and_operations_that_it_does_not_understand() {
    check_unjudgeable("the object cannot be judged: it is missing", |request| {
        request["object"] = json!(null);
    });
    check_unjudgeable("the object does not decode", |request| request["object"] = json!("text"));
    check_unjudgeable("the object does not decode", |request| {
        request["object"]["spec"]["containers"] = json!({"c": "a"});
    });
    check_unjudgeable("the object has no kind", |request| {
        request["object"]["kind"] = json!(null);
    });
    check_unjudgeable("the object does not decode", |request| {
        request["operation"] = json!("UPDATE");
        request["oldObject"] = json!(7);
    });
    for operation in ["", "create", "PATCH"] {
        check_unjudgeable("the operation is none of", |request| {
            request["operation"] = json!(operation);
        });
    }
}

#[track_caller]
fn check_resource(group: &str, resource: &str, expect: &str) {
    let body =
        review(|request| request["resource"] = json!({"group": group, "resource": resource}));
    assert_eq!(parse(&body).unwrap().head.resource, expect, "{group}/{resource}");
}

#[test]
fn names_resources_from_a_closed_list() {
    check_resource("", "pods", "pods");
    check_resource("apps", "deployments", "deployments");
    check_resource("batch", "cronjobs", "cronjobs");
    check_resource("", "deployments", "other");
    check_resource("example.com", "pods", "other");
    check_resource("", "", "other");
}

#[track_caller]
fn check_error(name: &str, body: &[u8], expect: &str) {
    let error = parse(body).expect_err(name).to_string();
    assert!(error.contains(expect), "{name}: {error}");
}

#[test]
fn rejects_what_is_no_review() {
    let good = review(|_| {});
    let changed = |from: &str, to: &str| {
        String::from_utf8(good.clone()).unwrap().replacen(from, to, 1).into_bytes()
    };
    check_error("empty", b"", "the body is empty");
    check_error("text", b"hello", "no AdmissionReview: expected value");
    check_error("a list", b"[]", "no AdmissionReview: ");
    check_error("cut off", &good[..good.len() / 2], "no AdmissionReview: EOF");
    check_error("more after it", &[&good[..], b"{}"].concat(), "trailing characters");
    check_error("nothing in it", b"{}", "no AdmissionReview of admission.k8s.io/v1");
    let beta = changed("admission.k8s.io/v1", "admission.k8s.io/v1beta1");
    check_error("another version", &beta, "no AdmissionReview of admission.k8s.io/v1");
    let other = changed("\"AdmissionReview\"", "\"Pod\"");
    check_error("another kind", &other, "no AdmissionReview of admission.k8s.io/v1");
    check_error("no request", &changed("\"request\"", "\"response\""), "has no request");
    check_error("uid missing", &changed("\"uid\"", "\"id\""), "the request's uid is missing");
    check_error("uid empty", &changed(UID, ""), "the request's uid is missing");
    check_error("two uids", &changed("\"uid\"", "\"uid\":\"x\",\"uid\""), "duplicate field");
}

#[test]
fn accepts_uids_up_to_the_bound() {
    let with = |uid: String| review(|request| request["uid"] = json!(uid));
    assert!(parse(&with("u".repeat(UID_BYTES_MAX))).is_ok());
    assert_eq!(parse(&with("u".repeat(UID_BYTES_MAX + 1))).unwrap_err(), ReviewError::Uid);
}

#[test]
fn accepts_an_object_however_deep_where_nothing_is_read() {
    const DEPTH: usize = 100_000;
    let deep = format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
    let body = String::from_utf8(review(|request| request["object"]["status"] = json!("HERE")));
    let body = body.unwrap().replace("\"HERE\"", &deep);
    assert!(parse(body.as_bytes()).unwrap().request.is_ok());
}

#[track_caller]
fn check_scan(bytes: &str, expect: Option<&str>) {
    assert_eq!(Head::scan(bytes.as_bytes()).map(|head| head.uid).as_deref(), expect, "{bytes}");
}

#[test]
fn finds_the_uid_in_what_is_cut_off() {
    check_scan(r#"{"kind":"AdmissionReview","request":{"uid":"u-1","kind":{"gr"#, Some("u-1"));
    check_scan(r#"{"request": {"kind": {"uid": "x"}, "uid": "u-1""#, Some("u-1"));
    check_scan(r#"{"uid":"x","request":{"uid":"\u0075-1"}}"#, Some("u-1"));

    check_scan(r#"{"request":{"uid":"u-"#, None);
    check_scan(r#"{"uid":"u-1","request":{"#, None);
    check_scan(r#"{"request":{"object":{"uid":"u-1"}}}"#, None);
    check_scan(r#"{"request":{"uid":""}}"#, None);
    check_scan(r#"{"request":{"uid":7}}"#, None);
    check_scan(r#"{"request":["uid","u-1"]}"#, None);
    check_scan(r#"[{"request":{"uid":"u-1"}}]"#, None);
    check_scan("", None);
}
