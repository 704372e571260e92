//! Registry scopes: the repositories that a statement of an OCI trust policy speaks for.

/// Whether `scope` is `{domain}/{repository}`, with neither scheme, tag, digest nor wildcard.
pub(super) fn is_repository(scope: &str) -> bool {
    scope.split_once('/').is_some_and(|(domain, repository)| {
        is_domain(domain) && repository.split('/').all(is_component)
    })
}

/// Whether `digest` has the form `algorithm:encoded`.
pub(super) fn is_digest(digest: &str) -> bool {
    let is_word = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+._-=".contains(&byte))
    };
    digest
        .split_once(':')
        .is_some_and(|(algorithm, encoded)| is_word(algorithm) && is_word(encoded))
}

/// Whether `domain` is a host name of dot-separated labels, and a port in digits if there is one.
fn is_domain(domain: &str) -> bool {
    let (host, port) = domain.split_once(':').unwrap_or((domain, "0"));
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    host.split('.').all(is_label)
        && !port.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether `component` of a path is lower-case words, joined by one dot, one or two underscores, or
/// any number of hyphens.
fn is_component(component: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends_in_words = |text: &str| {
        text.bytes().next().is_some_and(is_word) && text.bytes().last().is_some_and(is_word)
    };
    let is_joint = |joint: &str| {
        matches!(joint, "" | "." | "_" | "__") || joint.bytes().all(|byte| byte == b'-')
    };
    ends_in_words(component)
        && component
            .split(|character: char| u8::try_from(character).is_ok_and(is_word))
            .all(is_joint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_repositories_and_nothing_else() {
        let cases = [
            ("registry.example/a", true),
            ("localhost:5000/a", true),
            ("REG-1.example:443/a/b0/c_d/e__f/g.h/i---j", true),
            ("a/a", true),
            ("registry.example", false),
            ("registry.example/", false),
            ("/a", false),
            ("registry.example/A", false),
            ("registry.example/a//b", false),
            ("registry.example/a/", false),
            ("registry.example/-a", false),
            ("registry.example/a-", false),
            ("registry.example/a___b", false),
            ("registry.example/a..b", false),
            ("registry.example/a._b", false),
            ("registry.example/a-_b", false),
            ("registry.example/a:tag", false),
            ("registry.example/a@sha256:00", false),
            ("registry.example/a*", false),
            ("*.example/a", false),
            ("https://registry.example/a", false),
            ("registry..example/a", false),
            ("-registry.example/a", false),
            ("registry-.example/a", false),
            ("registry.example:/a", false),
            ("registry.example:x/a", false),
            ("registry.example:1:2/a", false),
            ("reg_istry/a", false),
            ("registry.example/\u{e9}", false),
            ("r\u{e9}gistry.example/a", false),
            (" registry.example/a", false),
            ("", false),
        ];
        for (scope, expect) in cases {
            assert_eq!(is_repository(scope), expect, "{scope}");
        }
    }

    #[test]
    fn takes_digests_and_nothing_else() {
        let cases = [
            ("sha256:00ff", true),
            ("sha256:", false),
            (":00", false),
            ("sha256", false),
            ("a:b/c", false),
        ];
        for (digest, expect) in cases {
            assert_eq!(is_digest(digest), expect, "{digest}");
        }
    }
}
