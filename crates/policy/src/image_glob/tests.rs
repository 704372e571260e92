use super::*;

fn digest(fill: char) -> String {
    format!("sha256:{}", fill.to_string().repeat(64))
}

#[track_caller]
fn check(glob: &str, reference: &str, expect: GlobMatch) {
    let parsed = ImageGlob::parse(glob).unwrap();
    assert_eq!(parsed.to_string(), glob);
    let matched = parsed.matches(&reference.parse().unwrap());
    assert_eq!(matched, expect, "{glob} on {reference}");
}

#[track_caller]
fn check_all(rows: &[(&str, &[&str], &[&str])]) {
    for (glob, matching, missing) in rows {
        for reference in *matching {
            check(glob, reference, GlobMatch::Yes);
        }
        for reference in *missing {
            check(glob, reference, GlobMatch::No);
        }
    }
}

#[test]
fn matches_the_normalised_reference() {
    check_all(&[
        (
            "docker.io/library/busybox",
            &[
                "busybox",
                "busybox:1.36",
                "library/busybox",
                "docker.io/busybox",
                "index.docker.io/busybox",
                "registry-1.docker.io/library/busybox",
                "DOCKER.IO/busybox",
                "docker.io:443/library/busybox",
            ],
            &["vendor/busybox", "ghcr.io/library/busybox", "busybox2", "localhost/library/busybox"],
        ),
        ("docker.io/library/*", &["busybox", "nginx:1"], &["vendor/app", "library/a/b"]),
        ("docker.io/vendor/*", &["vendor/app", "vendor/app:v1"], &["busybox", "vendor/a/b"]),
        ("docker.io/**", &["busybox", "vendor/app", "a/b/c"], &["ghcr.io/a/b"]),
        ("docker.io/**/busybox", &["busybox", "a/b/busybox"], &["busybox/a", "busybox2"]),
    ]);
}

#[test]
fn normalises_its_own_host() {
    check_all(&[
        ("Index.Docker.IO/library/busybox", &["busybox"], &["nginx"]),
        ("registry-1.docker.io:443/vendor/*", &["vendor/app"], &["busybox"]),
        ("Registry.Example/app", &["registry.example/app"], &["registry.example:444/app"]),
        ("registry.example:443/app", &["registry.example/app"], &["registry.example:80/app"]),
        ("*.EXAMPLE:443/app", &["registry.example:443/app", "a.example/app"], &["example/app"]),
        ("LocalHost/app", &["localhost/app"], &["localhost:5000/app"]),
    ]);
}

#[test]
fn everything_is_everything() {
    let all = ["busybox", "127.0.0.1:5000/a/b:v1", "localhost/a", "myregistry:5000/a"];
    check_all(&[("**", &all, &[]), ("**/**", &all, &[])]);
    check("**", &format!("busybox:1@{}", digest('a')), GlobMatch::Yes);
    check("**", &format!("busybox@{}", digest('a')), GlobMatch::Yes);
}

#[test]
fn stars_stay_within_host_labels() {
    check_all(&[
        (
            "*.corp.example/**",
            &["a.corp.example/app", "registry.corp.example/a/b/c"],
            &[
                "corp.example/app",
                "a.b.corp.example/app",
                "acorp.example/app",
                "a.corp.example.evil.example/app",
                "a.corp.example:5000/app",
                "evil.example/a.corp.example/app",
            ],
        ),
        (
            "**.corp.example/app",
            &["corp.example/app", "a.corp.example/app", "a.b.corp.example/app"],
            &["acorp.example/app", "corp.example/b/app", "corp.example.evil.example/app"],
        ),
        (
            "registry.**.example/app",
            &["registry.example/app", "registry.a.b.example/app"],
            &["registry.a.b.example.net/app", "a.registry.example/app"],
        ),
        (
            "eu-*.pkg.dev/app",
            &["eu-west.pkg.dev/app", "eu-west-1.pkg.dev/app"],
            &["us-east.pkg.dev/app", "eu-west.x.pkg.dev/app"],
        ),
        ("*.*/app", &["a.b/app"], &["a.b.c/app", "localhost/app"]),
        (
            "**/app",
            &["a.example/app", "localhost/app", "127.0.0.1:5000/app"],
            &["a.example/b/app", "docker.io/library/app", "a.example/apps"],
        ),
    ]);
}

#[test]
fn ports_belong_to_the_host() {
    check_all(&[
        (
            "registry.example:5000/**",
            &["registry.example:5000/app"],
            &["registry.example/app", "registry.example:5001/app", "registry.example:50000/app"],
        ),
        ("localhost:5000/**", &["localhost:5000/a/b"], &["localhost/a", "localhost:5001/a"]),
        ("127.0.0.1:5000/*", &["127.0.0.1:5000/app"], &["127.0.0.1/app", "127.0.0.2:5000/app"]),
        ("10.0.*.*/app", &["10.0.1.2/app"], &["10.1.1.2/app", "10.0.1.2:80/app"]),
        ("registry:5000/app", &["registry:5000/app"], &["registry.example:5000/app"]),
        (
            "registry.example:*/app",
            &["registry.example/app", "registry.example:1/app"],
            &["a.registry.example:1/app"],
        ),
        ("*:5000/app", &["registry:5000/app", "localhost:5000/app"], &["a.b:5000/app"]),
        ("**:5000/app", &["registry:5000/app", "a.b:5000/app"], &["a.b/app"]),
    ]);
}

#[test]
fn stars_stay_within_path_segments() {
    check_all(&[
        ("r.example/*", &["r.example/app"], &["r.example/a/b", "r.example:80/app"]),
        (
            "r.example/*/app",
            &["r.example/a/app"],
            &["r.example/app", "r.example/a/b/app", "r.example/a/apps"],
        ),
        (
            "r.example/web-*-prod",
            &["r.example/web-a-prod", "r.example/web-a-b-prod", "r.example/web-a-prod-prod"],
            &["r.example/web-prod", "r.example/web-a/x-prod", "r.example/my-web-a-prod"],
        ),
        (
            "r.example/app*",
            &["r.example/app", "r.example/app2"],
            &["r.example/app/x", "r.example/ap"],
        ),
        ("r.example/*app*", &["r.example/app", "r.example/myapp2"], &["r.example/apx"]),
        (
            "r.example/team/**",
            &["r.example/team/app", "r.example/team/a/b", "r.example/team"],
            &["r.example/teams/app", "r.example/other/team/app"],
        ),
        (
            "r.example/**/app",
            &["r.example/app", "r.example/a/app", "r.example/a/app/b/app"],
            &["r.example/app/b", "r.example/myapp"],
        ),
        (
            "r.example/a/**/b/**/c",
            &["r.example/a/b/c", "r.example/a/x/b/y/c", "r.example/a/b/c/b/c/c"],
            &["r.example/a/c/b", "r.example/a/b", "r.example/a/x/c"],
        ),
        ("r.example/**/**", &["r.example/a", "r.example/a/b/c"], &["s.example/a"]),
        ("r.example/**/*/*", &["r.example/a/b", "r.example/a/b/c"], &["r.example/a"]),
        ("r.example/app", &["r.example/app"], &["r.example/a.p", "r.example/app/app"]),
    ]);
}

#[test]
fn tags_must_be_proven() {
    let (pinned, bare) = (digest('a'), "r.example/app");
    let tagged = |tag: &str| format!("{bare}:{tag}");
    let both = |tag: &str| format!("{bare}:{tag}@{pinned}");
    let alone = format!("{bare}@{pinned}");
    for (glob, reference, expect) in [
        // Without a tag in the glob any will do.
        (bare, tagged("v1"), GlobMatch::Yes),
        (bare, both("v1"), GlobMatch::Yes),
        (bare, alone.clone(), GlobMatch::Yes),
        ("r.example/app:v1", tagged("v1"), GlobMatch::Yes),
        ("r.example/app:v1", tagged("v2"), GlobMatch::No),
        ("r.example/app:v1", tagged("V1"), GlobMatch::No),
        ("r.example/app:v1", both("v1"), GlobMatch::TagMustResolve),
        ("r.example/app:v1", both("v2"), GlobMatch::No),
        ("r.example/app:v1", alone.clone(), GlobMatch::TagUnproven),
        ("r.example/app:v1", bare.to_owned(), GlobMatch::No),
        ("r.example/app:latest", bare.to_owned(), GlobMatch::Yes),
        ("r.example/app:v*", tagged("v1.2"), GlobMatch::Yes),
        ("r.example/app:v*", tagged("1v"), GlobMatch::No),
        ("r.example/app:*-debug", tagged("1-debug"), GlobMatch::Yes),
        ("r.example/app:*-debug", tagged("1-debug-2"), GlobMatch::No),
        ("r.example/app:*", tagged("anything"), GlobMatch::Yes),
        ("r.example/app:*", both("anything"), GlobMatch::TagMustResolve),
        ("r.example/app:*", alone.clone(), GlobMatch::TagUnproven),
        ("**/**:v1", tagged("v1"), GlobMatch::Yes),
        ("**/**:v1", "localhost:5000/a:v2".to_owned(), GlobMatch::No),
        // Another repository is no match, whatever the tag.
        ("r.example/other:v1", alone, GlobMatch::No),
        ("r.example/other:v1", both("v1"), GlobMatch::No),
    ] {
        check(glob, &reference, expect);
    }
}

#[test]
fn digests_must_be_written() {
    let (one, other) = (digest('a'), digest('b'));
    let glob = format!("r.example/*@{one}");
    let tag_glob = format!("r.example/*:v1@{one}");
    for (glob, reference, expect) in [
        (&glob, format!("r.example/app@{one}"), GlobMatch::Yes),
        (&glob, format!("r.example/app:v1@{one}"), GlobMatch::Yes),
        (&glob, format!("r.example/app@{other}"), GlobMatch::No),
        (&glob, "r.example/app:v1".to_owned(), GlobMatch::No),
        (&tag_glob, format!("r.example/app:v1@{one}"), GlobMatch::TagMustResolve),
        (&tag_glob, format!("r.example/app:v2@{one}"), GlobMatch::No),
        (&tag_glob, format!("r.example/app:v1@{other}"), GlobMatch::No),
        (&tag_glob, format!("r.example/app@{one}"), GlobMatch::TagUnproven),
        (&tag_glob, format!("r.example/app@{other}"), GlobMatch::No),
    ] {
        check(glob, &reference, expect);
    }
}

#[test]
fn rejects_a_glob_without_host_and_suggests_one() {
    let pinned = format!("busybox@{}", digest('a'));
    for (glob, expect) in [
        ("vendor/*", Some("docker.io/vendor/*")),
        ("vendor/app:v1", Some("docker.io/vendor/app:v1")),
        ("vendor/a.b/c", Some("docker.io/vendor/a.b/c")),
        ("*/app", Some("docker.io/*/app")),
        ("vendor-*/**", Some("docker.io/vendor-*/**")),
        ("busybox", Some("docker.io/library/busybox")),
        ("busybox:1.36", Some("docker.io/library/busybox:1.36")),
        (&pinned, Some(format!("docker.io/library/{pinned}").as_str())),
        ("*", Some("**")),
        ("**:v1", Some("**/**:v1")),
        ("registry.example", Some("registry.example/**")),
        ("registry.example:5000", Some("registry.example:5000/**")),
        ("localhost:5000", Some("localhost:5000/**")),
        ("docker.io/busybox", Some("docker.io/library/busybox")),
        ("docker.io/*", Some("docker.io/library/*")),
        ("index.docker.io/*:v1", Some("index.docker.io/library/*:v1")),
        ("Vendor/App", None),
        ("", None),
    ] {
        let error = ImageGlob::parse(glob).unwrap_err();
        assert_eq!(error.suggestion.as_deref(), expect, "{glob:?}: {error}");
    }
    assert_eq!(
        ImageGlob::parse("vendor/*").unwrap_err().to_string(),
        "'vendor/*' is not an image glob: it does not begin with a host; did you mean 'docker.io/vendor/*'?"
    );
}

#[test]
fn rejects_what_could_match_nothing() {
    let no_digest = format!("r.example/app@sha256:{}*", "a".repeat(63));
    let long_tag = format!("r.example/app:{}", "a".repeat(129));
    for glob in [
        "r.example/a**",
        "r.example/**b",
        "r.example/***",
        "r.example/a/**b/c",
        "a**.example/app",
        "r.example:**/app",
        "r.example/app:**",
        "r.example/app:v**",
        "r.example/",
        "r.example//app",
        "/app",
        "**/",
        "r.example/app:",
        "r.example/app@",
        "r.example/App",
        "r.example/a b",
        "r.example/app?",
        "r.example/[ab]",
        "r.example/{a,b}",
        "r.example/a\\*",
        "r.example/../app",
        "r.example/a:b/c",
        " r.example/app",
        "r.example/app\n",
        ".example/app",
        "r..example/app",
        "r.example./app",
        "-r.example/app",
        "r_x.example/app",
        "r.example:/app",
        "r.example:port/app",
        "r.example:1:2/app",
        "[::1]:5000/app",
        "https://r.example/app",
        "r.example/app@sha256:abc",
        "r.example/app@sha256:*",
        "r.example/app@*",
        &no_digest,
        &long_tag,
    ] {
        assert!(ImageGlob::parse(glob).is_err(), "{glob:?}");
    }
}

/// The name alone is bounded by the reference grammar, at 255 bytes.
#[test]
fn rejects_a_glob_longer_than_a_reference() {
    let longest =
        format!("r.example/{}:{}@sha512:{}", "a".repeat(245), "t".repeat(128), "0".repeat(128));
    assert_eq!(longest.len(), REFERENCE_BYTES_MAX);
    assert!(ImageGlob::parse(&longest).is_ok());
    let error = ImageGlob::parse(&longest.replace("sha512:", "sha512:0")).unwrap_err();
    assert_eq!(error.reason, "it is too long");
    let huge = ImageGlob::parse(&"**/".repeat(100_000)).unwrap_err();
    assert_eq!(huge.glob.len(), REFERENCE_BYTES_MAX);
}

#[test]
fn rejects_a_long_name_with_two_runs_of_parts() {
    let dots = |count: usize| format!("{}example", "a.".repeat(count));
    let slashes = |count: usize| format!("{}b", "a/".repeat(count));
    let most = SEARCHED_ITEMS_MAX - 3;
    for (glob, expect) in [
        (format!("r.example/**/{}/**", slashes(most)), true),
        (format!("r.example/**/{}/**", slashes(most + 1)), false),
        (format!("r.example/**/{}", slashes(most + 1)), true),
        (format!("**.{}.**/app", dots(most)), true),
        (format!("**.{}.**/app", dots(most + 1)), false),
        (format!("**.{}/**", dots(most + 1)), true),
    ] {
        assert_eq!(ImageGlob::parse(&glob).is_ok(), expect, "{glob}");
    }
}

/// Backtracking over every star would take longer than the universe has.
#[test]
fn hostile_globs_end_soon() {
    let stars = format!("r.example/{}b", "*a".repeat(120));
    let segments = format!("r.example/**/{}**/b", "a/".repeat(SEARCHED_ITEMS_MAX - 3));
    check(&stars, &format!("r.example/{}", "a".repeat(240)), GlobMatch::No);
    check(&stars, &format!("r.example/{}b", "a".repeat(239)), GlobMatch::Yes);
    check(&segments, &format!("r.example/{}a", "a/".repeat(120)), GlobMatch::No);
    check(&segments, &format!("r.example/{}b", "a/".repeat(120)), GlobMatch::Yes);
}
