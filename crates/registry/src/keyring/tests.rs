use bytes::Bytes;
use serde_json::json;

use super::*;

fn repository(text: &str) -> Repository {
    let (host, path) = text.split_once('/').unwrap();
    Repository::new(host, path)
}

fn credential(username: &str) -> Credential {
    Credential::Basic { username: username.to_owned(), password: "secret".to_owned() }
}

/// The users that `servers` give for `image`; each server's user has its name.
fn users(servers: &[&str], image: &str) -> Vec<String> {
    let mut keyring = Keyring::default();
    servers.iter().for_each(|server| keyring.add(server, credential(server)));
    names(keyring.credentials(&repository(image)))
}

fn names(credentials: Vec<Credential>) -> Vec<String> {
    let name = |credential| match credential {
        Credential::Basic { username, .. } => username,
        Credential::IdentityToken(token) => token,
    };
    credentials.into_iter().map(name).collect()
}

#[test]
fn a_key_covers_what_the_kubelet_says() {
    for (key, image, expect) in [
        ("reg.example", "reg.example/app", true),
        ("reg.example", "reg.example/team/app", true),
        ("reg.example", "other.example/app", false),
        ("reg.example", "sub.reg.example/app", false),
        ("REG.example", "reg.example/app", true),
        ("https://reg.example", "reg.example/app", true),
        ("http://reg.example", "reg.example/app", true),
        ("https://reg.example/v1/", "reg.example/app", true),
        ("https://reg.example/v2/", "reg.example/app", true),
        ("https://reg.example/v2/team", "reg.example/team/app", true),
        ("https://reg.example/v2/team", "reg.example/app", false),
        ("reg.example/v2", "reg.example/app", false),
        ("reg.example/", "reg.example/app", true),
        // Ports are compared, and https has its own without saying so.
        ("reg.example:5000", "reg.example:5000/app", true),
        ("reg.example:5000", "reg.example:5001/app", false),
        ("reg.example:5000", "reg.example/app", false),
        ("reg.example", "reg.example:5000/app", false),
        ("reg.example:443", "reg.example/app", true),
        ("reg.example:*", "reg.example:5000/app", false),
        // A path is the beginning of one, not its segments.
        ("reg.example/team", "reg.example/team/app", true),
        ("reg.example/team", "reg.example/team", true),
        ("reg.example/team", "reg.example/teams/app", true),
        ("reg.example/team/", "reg.example/teams/app", false),
        ("reg.example/team/", "reg.example/team/app", true),
        ("reg.example/team", "reg.example/other/app", false),
        ("reg.example/*", "reg.example/app", false),
        // A glob stands for one label.
        ("*.example", "reg.example/app", true),
        ("*.example", "a.reg.example/app", false),
        ("*.example", "example/app", false),
        ("*.*.example", "a.reg.example/app", true),
        ("reg.*", "reg.example/app", true),
        ("*.dkr.ecr.*.amazonaws.com", "1.dkr.ecr.eu-west-1.amazonaws.com/app", true),
        ("*.dkr.ecr.*.amazonaws.com", "1.dkr.ecr.eu.west.amazonaws.com/app", false),
        ("app*.example", "app1.example/app", true),
        ("app*.example", "app.example/app", true),
        ("app*.example", "my-app.example/app", false),
        ("*app*1.example", "my-app-01.example/app", true),
        ("*app*1.example", "my-app-02.example/app", false),
        ("a*bc*c.example", "abc.example/app", false),
        ("*.example:5000/team", "reg.example:5000/team/app", true),
        ("*.example:5000/team", "reg.example:5000/app", false),
        ("localhost:5000", "localhost:5000/app", true),
        ("[::1]:5000", "[::1]:5000/app", true),
        ("[::1]:5001", "[::1]:5000/app", false),
        // What spells no host is for nothing.
        ("", "reg.example/app", false),
        ("/reg.example", "reg.example/app", false),
        ("user@reg.example", "reg.example/app", false),
        ("reg.example?a", "reg.example/app", false),
        (" reg.example", "reg.example/app", false),
    ] {
        assert_eq!(!users(&[key], image).is_empty(), expect, "{key} {image}");
    }
}

#[test]
fn docker_hub_counts_under_its_old_name_where_nothing_else_does() {
    let old = "https://index.docker.io/v1/";
    for (servers, expect) in [
        (vec![old], vec![old]),
        (vec!["index.docker.io"], vec!["index.docker.io"]),
        (vec!["docker.io"], vec!["docker.io"]),
        (vec![old, "docker.io"], vec!["docker.io"]),
        (vec![old, "docker.io/corp"], vec![old]),
        (vec!["index.docker.io/library"], vec![]),
        (vec!["*.docker.io"], vec![]),
        (vec!["*.io"], vec!["*.io"]),
    ] {
        assert_eq!(users(&servers, "docker.io/library/busybox"), expect, "{servers:?}");
    }
    assert!(users(&[old], "reg.example/app").is_empty());
}

#[test]
fn the_most_specific_goes_first_and_all_are_tried() {
    let servers = ["*.example", "reg.example", "reg.example/team/app", "reg.*", "reg.example/team"];
    let all = ["reg.example/team/app", "reg.example/team", "reg.example", "reg.*", "*.example"];
    assert_eq!(users(&servers, "reg.example/team/app"), all);
    assert_eq!(users(&servers, "reg.example/team/web"), all[1..]);
    assert_eq!(users(&servers, "reg.example/other"), all[2..]);
}

fn secret(format: PullSecretFormat, text: impl ToString) -> PullSecret {
    let bytes = Bytes::from(text.to_string());
    PullSecret { name: "pull".to_owned(), format, bytes }
}

use PullSecretFormat::{DockerCfg, DockerConfigJson};

#[test]
fn one_key_has_a_credential_of_each_secret_in_their_order() {
    let entry = |name: &str| json!({"reg.example": {"username": name, "password": "p"}});
    let mut keyring = Keyring::default();
    keyring.add_secret(&secret(DockerCfg, entry("b"))).unwrap();
    keyring.add_secret(&secret(DockerConfigJson, json!({"auths": entry("a")}))).unwrap();
    assert_eq!(names(keyring.credentials(&repository("reg.example/app"))), ["b", "a"]);
}

#[test]
fn reads_secrets_of_both_kinds_and_no_others() {
    let entries = json!({"reg.example": {"auth": "cm9ib3Q6cHc="}, "*.other": {}});
    for (secret, expect) in [
        (secret(DockerCfg, &entries), vec!["robot"]),
        (secret(DockerConfigJson, json!({"auths": entries})), vec!["robot"]),
        (
            secret(DockerConfigJson, json!({"auths": {"reg.example": {"auth": "cm9ib3Q6cHc"}}})),
            vec!["robot"],
        ),
        (secret(DockerConfigJson, json!({"auths": null, "credsStore": "evil"})), vec![]),
        (secret(DockerConfigJson, json!({"credHelpers": {"reg.example": "evil"}})), vec![]),
        // Each as the other.
        (secret(DockerConfigJson, &entries), vec![]),
    ] {
        let mut keyring = Keyring::default();
        keyring.add_secret(&secret).unwrap();
        let found = names(keyring.credentials(&repository("reg.example/app")));
        assert_eq!(found, expect, "{secret:?}");
    }
}

#[test]
fn rejects_malformed_secrets_and_shows_nothing_of_them() {
    for secret in [
        secret(DockerConfigJson, ""),
        secret(DockerConfigJson, "hunter2"),
        secret(DockerConfigJson, json!(["hunter2"])),
        secret(DockerConfigJson, json!({"auths": "hunter2"})),
        secret(DockerConfigJson, json!({"auths": {"reg.example": "hunter2"}})),
        secret(DockerConfigJson, json!({"auths": {"reg.example": {"auth": "hunter2"}}})),
        secret(DockerConfigJson, json!({"auths": {"reg.example": {"auth": "aHVudGVyMg=="}}})),
        secret(DockerCfg, json!({"reg.example": {"auth": 2}})),
        secret(DockerCfg, json!({"auths": {"reg.example": {"auth": 2}}, "x": 1})),
    ] {
        let error = Keyring::default().add_secret(&secret).unwrap_err();
        assert!(!error.contains("hunter2") && !error.contains("aHVu"), "{error}");
        assert!(!format!("{secret:?}").contains("hunter2"));
    }
}
