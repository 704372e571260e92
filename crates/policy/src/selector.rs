//! Kubernetes label selectors, with the grammar and the meaning of
//! `k8s.io/apimachinery/pkg/labels`.

use std::collections::{BTreeMap, BTreeSet};

/// A compiled label selector: all its requirements must hold; without any it holds for everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

/// An entry of `matchExpressions`, as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelExpression {
    /// The label's key.
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: String,
    /// The values that `In` and `NotIn` name; none for the others.
    pub values: Vec<String>,
}

/// Why a selector does not compile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectorError {
    /// The key is not a label's key.
    #[error("'{}' is not a label key", .0.escape_debug())]
    Key(String),
    /// The operator is none of the four.
    #[error("'{}' is not an operator: use In, NotIn, Exists or DoesNotExist", .0.escape_debug())]
    Operator(String),
    /// The value is not a label's value.
    #[error("'{}' is not a label value", .0.escape_debug())]
    Value(String),
    /// `Exists` or `DoesNotExist` with values.
    #[error("{operator} of label '{key}' takes no values")]
    ValuesGiven {
        /// The label's key.
        key: String,
        /// The operator.
        operator: String,
    },
    /// `In` or `NotIn` without values.
    #[error("{operator} of label '{key}' needs values")]
    ValuesMissing {
        /// The label's key.
        key: String,
        /// The operator.
        operator: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    condition: Condition,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    DoesNotExist,
    Exists,
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
}

impl LabelSelector {
    /// The selector made of `matchLabels` and `matchExpressions`.
    ///
    /// Gatekeeper compiles a selector at each review, and calls a bad one a match error. Here a bad
    /// one never gets into a [`Match`](crate::Match): the policy's `match` does not compile, which
    /// fails closed earlier and by name.
    ///
    /// # Errors
    /// An unknown operator, values where none belong or none where some do, a key or value outside
    /// the label grammar.
    pub fn new(
        match_labels: BTreeMap<String, String>,
        expressions: Vec<LabelExpression>,
    ) -> Result<Self, SelectorError> {
        let equal = match_labels.into_iter().map(|(key, value)| LabelExpression {
            key,
            operator: "In".to_owned(),
            values: vec![value],
        });
        let requirements = equal.chain(expressions).map(Requirement::new);
        Ok(Self { requirements: requirements.collect::<Result<_, _>>()? })
    }

    /// Whether `labels` meet every requirement.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements.iter().all(|requirement| requirement.holds(labels))
    }
}

impl Requirement {
    fn new(expression: LabelExpression) -> Result<Self, SelectorError> {
        let LabelExpression { key, operator, values } = expression;
        if !is_label_key(&key) {
            return Err(SelectorError::Key(key));
        }
        let takes_values = match operator.as_str() {
            "In" | "NotIn" => true,
            "Exists" | "DoesNotExist" => false,
            _ => return Err(SelectorError::Operator(operator)),
        };
        match (takes_values, values.is_empty()) {
            (false, false) => return Err(SelectorError::ValuesGiven { key, operator }),
            (true, true) => return Err(SelectorError::ValuesMissing { key, operator }),
            _ => {}
        }
        if let Some(value) = values.iter().find(|value| !is_label_value(value)) {
            return Err(SelectorError::Value(value.clone()));
        }
        let values = values.into_iter().collect();
        let condition = match operator.as_str() {
            "In" => Condition::In(values),
            "NotIn" => Condition::NotIn(values),
            "Exists" => Condition::Exists,
            _ => Condition::DoesNotExist,
        };
        Ok(Self { key, condition })
    }

    /// An absent key meets `NotIn`, as it does in Kubernetes.
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match &self.condition {
            Condition::DoesNotExist => value.is_none(),
            Condition::Exists => value.is_some(),
            Condition::In(values) => value.is_some_and(|value| values.contains(value)),
            Condition::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
        }
    }
}

/// Bytes of a label's value, and of its key after the prefix: Kubernetes' `LabelValueMaxLength`
/// and `qualifiedNameMaxLength`.
const LABEL_NAME_BYTES_MAX: usize = 63;
/// Bytes of a label key's prefix: Kubernetes' `DNS1123SubdomainMaxLength`.
const LABEL_PREFIX_BYTES_MAX: usize = 253;

/// Kubernetes' `IsQualifiedName`: an optional DNS subdomain and a slash, then a name.
fn is_label_key(key: &str) -> bool {
    match key.split_once('/') {
        None => is_label_name(key),
        Some((prefix, name)) => is_dns_subdomain(prefix) && is_label_name(name),
    }
}

/// Kubernetes' `IsValidLabelValue`: a name, or nothing.
fn is_label_value(value: &str) -> bool {
    value.is_empty() || is_label_name(value)
}

fn is_label_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    name.len() <= LABEL_NAME_BYTES_MAX
        && begins_and_ends(name, |byte| byte.is_ascii_alphanumeric())
        && name.bytes().all(inner)
}

fn is_dns_subdomain(text: &str) -> bool {
    let edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_dns_label =
        |label: &str| begins_and_ends(label, edge) && label.bytes().all(|b| edge(b) || b == b'-');
    text.len() <= LABEL_PREFIX_BYTES_MAX && text.split('.').all(is_dns_label)
}

/// Whether the text's first and last bytes are `edge`; an empty text has none.
fn begins_and_ends(text: &str, edge: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|&byte| edge(byte)) && bytes.last().is_some_and(|&byte| edge(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    fn expression(key: &str, operator: &str, values: &[&str]) -> LabelExpression {
        LabelExpression {
            key: key.to_owned(),
            operator: operator.to_owned(),
            values: values.iter().map(|&value| value.to_owned()).collect(),
        }
    }

    #[track_caller]
    fn check_expression(operator: &str, values: &[&str], on: &[(&str, &str)], expect: bool) {
        let selector =
            LabelSelector::new(BTreeMap::new(), vec![expression("env", operator, values)]);
        assert_eq!(selector.unwrap().matches(&labels(on)), expect, "{operator} {values:?} {on:?}");
    }

    #[test]
    fn judges_each_operator_as_kubernetes_does() {
        for (operator, values, on, expect) in [
            ("In", &["prod", "test"][..], &[("env", "prod")][..], true),
            ("In", &["prod", "test"], &[("env", "test")], true),
            ("In", &["prod"], &[("env", "dev")], false),
            ("In", &["prod"], &[], false),
            ("In", &[""], &[("env", "")], true),
            ("In", &[""], &[], false),
            ("NotIn", &["prod"], &[("env", "dev")], true),
            ("NotIn", &["prod"], &[("env", "prod")], false),
            ("NotIn", &["prod"], &[("other", "prod")], true),
            ("Exists", &[], &[("env", "")], true),
            ("Exists", &[], &[("other", "prod")], false),
            ("DoesNotExist", &[], &[("other", "prod")], true),
            ("DoesNotExist", &[], &[("env", "prod")], false),
        ] {
            check_expression(operator, values, on, expect);
        }
    }

    #[test]
    fn holds_for_everything_without_requirements() {
        let selector = LabelSelector::new(BTreeMap::new(), Vec::new()).unwrap();
        assert!(selector.matches(&labels(&[])));
        assert!(selector.matches(&labels(&[("env", "prod")])));
    }

    #[test]
    fn needs_every_requirement() {
        let match_labels = labels(&[("env", "prod"), ("tier", "web")]);
        let expressions = vec![expression("team", "Exists", &[])];
        let selector = LabelSelector::new(match_labels, expressions).unwrap();
        for (on, expect) in [
            (&[("env", "prod"), ("tier", "web"), ("team", "a"), ("more", "b")][..], true),
            (&[("env", "prod"), ("tier", "web")], false),
            (&[("env", "prod"), ("tier", "db"), ("team", "a")], false),
            (&[("tier", "web"), ("team", "a")], false),
        ] {
            assert_eq!(selector.matches(&labels(on)), expect, "{on:?}");
        }
    }

    #[test]
    fn rejects_wrong_operators_and_values() {
        let given = |operator: &str| SelectorError::ValuesGiven {
            key: "env".to_owned(),
            operator: operator.to_owned(),
        };
        let missing = |operator: &str| SelectorError::ValuesMissing {
            key: "env".to_owned(),
            operator: operator.to_owned(),
        };
        for (operator, values, expect) in [
            ("in", &["a"][..], SelectorError::Operator("in".to_owned())),
            ("", &["a"], SelectorError::Operator(String::new())),
            ("Gt", &["1"], SelectorError::Operator("Gt".to_owned())),
            ("In", &[], missing("In")),
            ("NotIn", &[], missing("NotIn")),
            ("Exists", &["a"], given("Exists")),
            ("DoesNotExist", &["a"], given("DoesNotExist")),
            ("In", &["a", "b c"], SelectorError::Value("b c".to_owned())),
        ] {
            let built =
                LabelSelector::new(BTreeMap::new(), vec![expression("env", operator, values)]);
            assert_eq!(built, Err(expect), "{operator} {values:?}");
        }
    }

    #[track_caller]
    fn check_label(key: &str, value: &str, expect: Result<(), SelectorError>) {
        let built = LabelSelector::new(labels(&[(key, value)]), Vec::new());
        assert_eq!(built.map(|_| ()), expect, "{key:?}: {value:?}");
    }

    #[test]
    fn accepts_the_label_grammar() {
        let name = "n".repeat(63);
        let prefix = format!("{}prefi", format!("{}.", "p".repeat(61)).repeat(4));
        assert_eq!(prefix.len(), 253);
        for (key, value) in [
            ("env", ""),
            ("Env_1.x-y", "V_1.x-y"),
            ("app.kubernetes.io/name", "web"),
            ("a", name.as_str()),
            (name.as_str(), "a"),
            (&format!("{prefix}/{name}"), "a"),
        ] {
            check_label(key, value, Ok(()));
        }
    }

    #[test]
    fn rejects_what_the_label_grammar_rejects() {
        let long_name = "n".repeat(64);
        let long_prefix = format!("{}/n", "p".repeat(254));
        for key in [
            "",
            "/",
            "a/",
            "/a",
            "a/b/c",
            "-a",
            "a-",
            "a b",
            "ä",
            "A.example/name",
            "-a.b/name",
            "a..b/name",
            "a_b/name",
            &long_name,
            &long_prefix,
        ] {
            check_label(key, "a", Err(SelectorError::Key(key.to_owned())));
        }
        for value in ["-a", "a-", "a/b", "a b", "ä", "a\n", &long_name] {
            check_label("env", value, Err(SelectorError::Value(value.to_owned())));
        }
    }
}
