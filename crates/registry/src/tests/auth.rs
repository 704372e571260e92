//! Authentication as honest registries ask for it, and how long a grant lasts.

use assay_core::ports::ArtifactStore;
use assay_testkit::Fault;
use http::Method;
use serde_json::json;

use super::*;
use crate::auth::TOKEN_BYTES_MAX;

async fn resolve(fixture: &Fixture, path: &str, access: &Access) -> &'static str {
    let repository = Repository::new(fixture.server.host(), path);
    kind(fixture.registry.resolve(&repository, &tag("v1"), access).await)
}

#[tokio::test]
async fn accepts_what_each_registry_asks_for() {
    let (good, bad) = (basic("robot", "secret"), basic("robot", "wrong"));
    for (name, options, access, expect) in [
        ("open", with_auth(Auth::None), Access::public(), "ok"),
        ("open, with credentials", with_auth(Auth::None), good.clone(), "ok"),
        ("basic", with_auth(Auth::Basic(robot())), good.clone(), "ok"),
        ("basic, wrong", with_auth(Auth::Basic(robot())), bad.clone(), "denied"),
        ("basic, none", with_auth(Auth::Basic(robot())), Access::public(), "denied"),
        ("bearer, anonymous", bearer(None), Access::public(), "ok"),
        ("bearer", bearer(Some(robot())), good, "ok"),
        ("bearer, wrong", bearer(Some(robot())), bad, "denied"),
        ("bearer, none", bearer(Some(robot())), Access::public(), "denied"),
    ] {
        let fixture = fixture(options, &[]).await;
        fixture.server.push_image("app", "v1");
        assert_eq!(resolve(&fixture, "app", &access).await, expect, "{name}");
    }
}

#[tokio::test]
async fn credentials_wait_for_a_challenge() {
    let fixture = fixture(with_auth(Auth::Basic(robot())), &[]).await;
    fixture.server.push_image("app", "v1");
    assert_eq!(resolve(&fixture, "app", &basic("robot", "secret")).await, "ok");
    assert_eq!(resolve(&fixture, "app", &basic("robot", "secret")).await, "ok");
    let header = Some(robot().basic());
    assert_eq!(fixture.authorizations("/"), [None, header.clone(), header]);
}

#[tokio::test]
async fn tokens_are_kept_for_their_lifetime_and_repository() {
    let fixture = fixture(bearer(Some(robot())), &[]).await;
    fixture.server.push_image("app", "v1");
    fixture.server.push_image("other", "v1");
    let access = basic("robot", "secret");
    let tokens = async |path: &str| {
        assert_eq!(resolve(&fixture, path, &access).await, "ok");
        fixture.server.count("/token")
    };
    assert_eq!(tokens("app").await, 1);
    assert_eq!(tokens("app").await, 1);
    assert_eq!(tokens("other").await, 2, "a token is for one repository");
    fixture.clock.advance(Duration::from_secs(299));
    assert_eq!(tokens("app").await, 2);
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(tokens("app").await, 3, "the lifetime is over");
    let asked = fixture.server.requests().into_iter().find(|found| found.path.contains("/token"));
    let query = format!("service={}&scope=repository%3Aapp%3Apull", fixture.server.host());
    assert_eq!(asked.unwrap().path, format!("/token?{}", query.replace("1:", "1%3A")));
}

#[tokio::test]
async fn a_token_that_no_longer_holds_is_replaced_once() {
    let fixture = fixture(bearer(None), &[]).await;
    fixture.server.push_image("app", "v1");
    assert_eq!(resolve(&fixture, "app", &Access::public()).await, "ok");
    fixture.server.expire_tokens();
    assert_eq!(resolve(&fixture, "app", &Access::public()).await, "ok");
    assert_eq!(fixture.server.count("/token"), 2);

    let useless = Effect::WrongBody(json!({"token": "useless"}).to_string().into());
    fixture.server.fault(Fault::new("/token", useless));
    fixture.server.expire_tokens();
    fixture.server.clear_requests();
    assert_eq!(resolve(&fixture, "app", &Access::public()).await, "denied");
    assert_eq!(fixture.server.count("/token"), 1, "never a loop");
    assert_eq!(fixture.server.count("/manifests/"), 2);
}

#[tokio::test]
async fn identity_tokens_are_posted_for_an_access_token() {
    let fixture = open().await;
    fixture.server.push_image("app", "v1");
    let realm = format!("Bearer realm=\"http://{}/token\"", fixture.server.host());
    let refused = challenge(&realm);
    fixture.server.fault(Fault::new("/manifests/", refused).times(1));
    let granted = json!({"access_token": "granted"}).to_string();
    let granted = Effect::Status(StatusCode::OK, Vec::new(), granted.into());
    fixture.server.fault(Fault::new("/token", granted).on(Method::POST));
    let access = Access::with(Credential::IdentityToken("refresh".into()));
    assert_eq!(resolve(&fixture, "app", &access).await, "ok");
    let sent = fixture.authorizations("/");
    assert_eq!(sent, [None, None, Some("Bearer granted".to_owned())]);
    assert_eq!(fixture.requests(), ["head_manifest 401", "token 200", "head_manifest 200"]);
}

#[tokio::test]
async fn rejects_identity_token_for_basic_authentication() {
    let fixture = fixture(with_auth(Auth::Basic(robot())), &[]).await;
    let access = Access::with(Credential::IdentityToken("refresh".into()));
    assert_eq!(resolve(&fixture, "app", &access).await, "denied");
    assert_eq!(fixture.authorizations("/"), [None]);
}

#[tokio::test]
async fn the_token_endpoint_fails_by_cause_and_never_as_missing_content() {
    let sized = |size: u64| {
        let answer = json!({"token": "granted"}).to_string();
        let answer = padded(&answer, size as usize);
        Effect::Status(StatusCode::OK, Vec::new(), answer.into())
    };
    for (name, effect, expect) in [
        ("404", status(404), "malformed"),
        ("429", status(429), "throttled"),
        ("500", status(500), "unreachable"),
        ("no JSON", Effect::WrongBody("remote body".into()), "malformed"),
        ("at the limit", sized(TOKEN_BYTES_MAX), "ok"),
        ("past the limit", sized(TOKEN_BYTES_MAX + 1), "too large"),
        ("reset", Effect::Reset, "unreachable"),
    ] {
        let fixture = open().await;
        fixture.server.push_image("app", "v1");
        let realm = format!("Bearer realm=\"http://{}/token\"", fixture.server.host());
        let refused = challenge(&realm);
        fixture.server.fault(Fault::new("/manifests/", refused).times(1));
        fixture.server.fault(Fault::new("/token", effect));
        assert_eq!(resolve(&fixture, "app", &Access::public()).await, expect, "{name}");
    }
}
