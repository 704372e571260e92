//! What a registry asks for with a 401 (RFC 9110, section 11.6.1).

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// A way to authenticate that is understood here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User and password with each request.
    Basic,
    /// A token from the endpoint at `realm`.
    Bearer {
        /// The token endpoint: a URL, if the registry is honest.
        realm: String,
        /// What the endpoint calls the registry.
        service: Option<String>,
    },
}

/// The challenge to answer: a token where one is offered, as it opens less than a password.
pub(crate) fn best(headers: &HeaderMap) -> Option<Challenge> {
    let values = headers.get_all(WWW_AUTHENTICATE).into_iter();
    let challenges: Vec<_> = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(parse)
        .filter_map(Offer::understood)
        .collect();
    let bearer = challenges.iter().find(|found| **found != Challenge::Basic);
    bearer.or(challenges.first()).cloned()
}

/// A challenge as written.
struct Offer {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Offer {
    fn understood(self) -> Option<Challenge> {
        match self.scheme.as_str() {
            "basic" => Some(Challenge::Basic),
            "bearer" => Some(Challenge::Bearer {
                realm: self.parameter("realm")?,
                service: self.parameter("service"),
            }),
            _ => None,
        }
    }

    fn parameter(&self, name: &str) -> Option<String> {
        let mut found = self.parameters.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.clone())
    }
}

/// The challenges of one header: a word before `=` is a parameter of the challenge that the last
/// other word began. The header's length, which hyper bounds, bounds the work.
fn parse(mut text: &str) -> Vec<Offer> {
    let mut offers: Vec<Offer> = Vec::new();
    loop {
        text = text.trim_start_matches([' ', '\t', ',', '=']);
        let end = text.find([' ', '\t', ',', '=']).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        if word.is_empty() {
            return offers;
        }
        let word = word.to_ascii_lowercase();
        let Some(assigned) = rest.strip_prefix('=') else {
            offers.push(Offer { scheme: word, parameters: Vec::new() });
            text = rest;
            continue;
        };
        let (value, rest) = value(assigned);
        if let Some(offer) = offers.last_mut() {
            offer.parameters.push((word, value));
        }
        text = rest;
    }
}

/// A parameter's value, quoted or not, and what follows it.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(text.find([' ', ',']).unwrap_or(text.len()));
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut chars = quoted.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => break,
            '\\' => value.extend(chars.next()),
            _ => value.push(char),
        }
    }
    (value, chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer { realm: realm.into(), service: service.map(str::to_owned) })
    }

    #[track_caller]
    fn check(values: &[&str], expect: Option<Challenge>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        assert_eq!(best(&headers), expect, "{values:?}");
    }

    #[test]
    fn reads_challenges() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="a:b:pull,push""#;
        check(&[hub], bearer("https://auth.docker.io/token", Some("registry.docker.io")));
        check(&[r#"bearer Realm="r""#], bearer("r", None));
        check(&[r#"Bearer  service=s , realm=r"#], bearer("r", Some("s")));
        check(&[r#"Bearer realm="a \"b\", Basic""#], bearer("a \"b\", Basic", None));
        check(&[r#"Basic realm="test""#], Some(Challenge::Basic));
        check(&["Basic"], Some(Challenge::Basic));
        check(&[r#"Basic realm="x", Bearer realm="r""#], bearer("r", None));
        check(&[r#"Basic realm="x""#, r#"Bearer realm="r""#], bearer("r", None));
        check(&["Negotiate abc==", "Basic"], Some(Challenge::Basic));
        check(&[r#"Bearer realm="unterminated"#], bearer("unterminated", None));
    }

    #[test]
    fn rejects_what_is_no_challenge() {
        for values in
            [&[][..], &[""], &[",,="], &["Bearer"], &[r#"realm="r""#], &["Digest realm=r"]]
        {
            check(values, None);
        }
    }
}
