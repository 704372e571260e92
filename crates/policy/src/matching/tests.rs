//! A row, or a few, for every sentence of Gatekeeper's match semantics.

use super::*;
use crate::LabelExpression;

/// A pod `web-1`, labelled `tier=web`, in namespace `app`.
fn pod() -> Object {
    Object {
        group: String::new(),
        kind: "Pod".to_owned(),
        namespace: "app".to_owned(),
        name: "web-1".to_owned(),
        generate_name: String::new(),
        labels: labels(&[("tier", "web")]),
        source: Source::Original,
        images: Vec::new(),
        controlled: false,
        template_labels: None,
        pull_secrets: Vec::new(),
        service_account: None,
    }
}

fn deployment() -> Object {
    Object { group: "apps".to_owned(), kind: "Deployment".to_owned(), ..pod() }
}

/// A core Namespace object of this name, labelled `env=prod`.
fn namespace_object(name: &str) -> Object {
    Object {
        kind: "Namespace".to_owned(),
        namespace: String::new(),
        name: name.to_owned(),
        labels: labels(&[("env", "prod")]),
        ..pod()
    }
}

/// An object of no namespace that is no Namespace.
fn node() -> Object {
    Object { kind: "Node".to_owned(), namespace: String::new(), ..pod() }
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn globs(patterns: &[&str]) -> Vec<Wildcard> {
    patterns.iter().map(|pattern| Wildcard::new(pattern).unwrap()).collect()
}

fn selector(pairs: &[(&str, &str)]) -> Option<LabelSelector> {
    Some(LabelSelector::new(labels(pairs), Vec::new()).unwrap())
}

fn kind(api_groups: &[&str], kinds: &[&str]) -> KindSelector {
    let owned = |items: &[&str]| items.iter().map(|&item| item.to_owned()).collect();
    KindSelector { api_groups: owned(api_groups), kinds: owned(kinds) }
}

fn missing(namespace: &str) -> Result<bool, MatchError> {
    Err(MatchError::NamespaceMissing { namespace: namespace.to_owned() })
}

#[test]
fn the_default_matches_everything() {
    for object in [pod(), deployment(), namespace_object("app"), node()] {
        assert_eq!(Match::default().matches(Some(&object), None, None), Ok(true));
    }
}

#[test]
fn kinds_are_an_or_over_group_and_kind() {
    for (kinds, of_pod, of_deployment) in [
        (vec![], true, true),
        (vec![kind(&[], &[])], true, true),
        (vec![kind(&[""], &["Pod"])], true, false),
        (vec![kind(&["apps"], &["Deployment"])], false, true),
        (vec![kind(&[""], &["Pod"]), kind(&["apps"], &["Deployment"])], true, true),
        (vec![kind(&["", "apps"], &["Job", "Deployment"])], false, true),
        (vec![kind(&["*"], &["*"])], true, true),
        (vec![kind(&["other", "*"], &["Job", "*"])], true, true),
        (vec![kind(&["*"], &["Pod"])], true, false),
        (vec![kind(&[], &["Pod"])], true, false),
        (vec![kind(&["apps"], &["*"])], false, true),
        (vec![kind(&["apps"], &[])], false, true),
        // Both must hold in one entry.
        (vec![kind(&["apps"], &["Pod"]), kind(&[""], &["Deployment"])], false, false),
        // `*` counts only as a whole item, and letters' case counts.
        (vec![kind(&["app*"], &["Deployment"])], false, false),
        (vec![kind(&["*"], &["Po*", "*ment", "pod"])], false, false),
    ] {
        let matcher = Match { kinds, ..Match::default() };
        assert_eq!(matcher.matches_one(&pod(), None), Ok(of_pod), "{matcher:?}");
        assert_eq!(matcher.matches_one(&deployment(), None), Ok(of_deployment), "{matcher:?}");
    }
}

#[test]
fn scope_asks_for_a_namespace() {
    let empty = BTreeMap::new();
    let supplied = Namespace { name: "app", labels: Ok(&empty) };
    let namespaced_namespace = Object { namespace: "app".to_owned(), ..namespace_object("app") };
    let other_namespace =
        Object { group: "example.dev".to_owned(), ..namespaced_namespace.clone() };
    for (object, namespace, cluster, namespaced) in [
        (pod(), None, false, true),
        (pod(), Some(&supplied), false, true),
        (node(), None, true, false),
        (node(), Some(&supplied), false, true),
        (namespace_object("app"), None, true, false),
        (namespace_object("app"), Some(&supplied), true, false),
        (namespaced_namespace, None, true, false),
        (other_namespace, None, false, true),
    ] {
        for (scope, expect) in
            [(Scope::Any, true), (Scope::Cluster, cluster), (Scope::Namespaced, namespaced)]
        {
            let matcher = Match { scope, ..Match::default() };
            assert_eq!(matcher.matches_one(&object, namespace), Ok(expect), "{scope:?} {object:?}");
        }
    }
}

#[test]
fn namespaces_and_excluded_namespaces_look_at_one_name() {
    let empty = BTreeMap::new();
    let supplied = Namespace { name: "given", labels: Ok(&empty) };
    for (included, excluded, object, namespace, expect) in [
        // Empty lists hold.
        (&[][..], &[][..], pod(), None, true),
        // The object's own namespace.
        (&["app"], &[], pod(), None, true),
        (&["other", "a*"], &[], pod(), None, true),
        (&["other"], &[], pod(), None, false),
        (&[], &["app"], pod(), None, false),
        (&[], &["other", "*pp"], pod(), None, false),
        (&[], &["other"], pod(), None, true),
        // With both, exclusion wins.
        (&["app"], &["app"], pod(), None, false),
        (&["app"], &["other"], pod(), None, true),
        (&["other"], &["another"], pod(), None, false),
        // The supplied Namespace's name goes first.
        (&["given"], &[], pod(), Some(&supplied), true),
        (&["app"], &[], pod(), Some(&supplied), false),
        (&[], &["given"], node(), Some(&supplied), false),
        // A Namespace object's own name goes before that.
        (&["app"], &[], namespace_object("app"), None, true),
        (&["app"], &[], namespace_object("app"), Some(&supplied), true),
        (&["app"], &[], namespace_object("other"), None, false),
        (&[], &["app"], namespace_object("app"), Some(&supplied), false),
        // Cluster-scoped: both lists hold.
        (&["app"], &[], node(), None, true),
        (&[], &["*"], node(), None, true),
        (&["app"], &["*"], node(), None, true),
        // The empty pattern is a pattern here: it matches the empty name only.
        (&[""], &[], pod(), None, false),
        (&[], &[""], pod(), None, true),
    ] {
        let matcher = Match {
            namespaces: globs(included),
            excluded_namespaces: globs(excluded),
            ..Match::default()
        };
        let matched = matcher.matches_one(&object, namespace);
        assert_eq!(matched, Ok(expect), "{included:?} {excluded:?} {object:?}");
    }
}

#[test]
fn a_namespace_object_is_of_the_core_group() {
    let other = Object { group: "example.dev".to_owned(), ..namespace_object("app") };
    let matcher = Match { namespaces: globs(&["none"]), ..Match::default() };
    assert_eq!(matcher.matches_one(&namespace_object("app"), None), Ok(false));
    assert_eq!(matcher.matches_one(&other, None), Ok(true), "cluster-scoped, so the list holds");
}

#[test]
fn the_label_selector_looks_at_the_objects_own_labels() {
    let own = labels(&[("env", "prod")]);
    let supplied = Namespace { name: "app", labels: Ok(&own) };
    for (label_selector, expect) in [
        (None, true),
        (selector(&[]), true),
        (selector(&[("tier", "web")]), true),
        (selector(&[("tier", "db")]), false),
        (selector(&[("env", "prod")]), false),
    ] {
        let matcher = Match { label_selector, ..Match::default() };
        assert_eq!(matcher.matches_one(&pod(), Some(&supplied)), Ok(expect), "{matcher:?}");
    }
}

#[test]
fn a_selector_with_an_invalid_operator_never_gets_into_a_match() {
    let expression = LabelExpression { operator: "Near".to_owned(), ..LabelExpression::default() };
    assert!(LabelSelector::new(BTreeMap::new(), vec![expression]).is_err());
}

#[test]
fn the_namespace_selector_looks_at_the_namespaces_labels() {
    let prod = labels(&[("env", "prod")]);
    let supplied = Namespace { name: "app", labels: Ok(&prod) };
    let unknown = Namespace { name: "app", labels: Err("the API server does not answer") };
    let failed = || {
        Err(MatchError::NamespaceLabels {
            namespace: "app".to_owned(),
            reason: "the API server does not answer".to_owned(),
        })
    };
    let (env_prod, env_dev) = (selector(&[("env", "prod")]), selector(&[("env", "dev")]));
    for (namespace_selector, object, namespace, expect) in [
        // Absent holds.
        (None, pod(), None, Ok(true)),
        (None, pod(), Some(&unknown), Ok(true)),
        // Cluster-scoped holds.
        (env_dev.clone(), node(), None, Ok(true)),
        // A Namespace object is matched by its own labels.
        (env_prod.clone(), namespace_object("x"), None, Ok(true)),
        (env_dev.clone(), namespace_object("x"), None, Ok(false)),
        (env_dev.clone(), namespace_object("x"), Some(&supplied), Ok(false)),
        (env_prod.clone(), namespace_object("x"), Some(&unknown), Ok(true)),
        // A namespaced object without its Namespace is an error, even for `{}`.
        (env_prod.clone(), pod(), None, missing("app")),
        (selector(&[]), pod(), None, missing("app")),
        (selector(&[]), pod(), Some(&unknown), failed()),
        (env_prod.clone(), pod(), Some(&unknown), failed()),
        // Else the Namespace's labels decide, and the object's do not.
        (env_prod, pod(), Some(&supplied), Ok(true)),
        (env_dev, pod(), Some(&supplied), Ok(false)),
        (selector(&[("tier", "web")]), pod(), Some(&supplied), Ok(false)),
        (selector(&[]), pod(), Some(&supplied), Ok(true)),
    ] {
        let matcher = Match { namespace_selector, ..Match::default() };
        assert_eq!(matcher.matches_one(&object, namespace), expect, "{matcher:?} {object:?}");
    }
}

#[test]
fn the_name_is_that_of_the_object_or_what_it_is_generated_from() {
    for (pattern, name, generate_name, expect) in [
        (None, "web-1", "", true),
        (Some(""), "web-1", "", true),
        (Some("web-1"), "web-1", "", true),
        (Some("web-*"), "web-1", "", true),
        (Some("*-1"), "web-1", "", true),
        (Some("db-*"), "web-1", "", false),
        (Some("web-*"), "", "web-", true),
        (Some("*eb*"), "", "web-", true),
        (Some("*"), "", "web-", true),
        (Some("db-*"), "", "web-", false),
        // The end of a generated name is not known.
        (Some("*web-"), "", "web-", false),
        (Some("web-"), "", "web-", false),
        // Either will do.
        (Some("web-*"), "db-1", "web-", true),
    ] {
        let matcher =
            Match { name: pattern.map(|p| Wildcard::new(p).unwrap()), ..Match::default() };
        let object =
            Object { name: name.to_owned(), generate_name: generate_name.to_owned(), ..pod() };
        assert_eq!(matcher.matches_one(&object, None), Ok(expect), "{pattern:?} {object:?}");
    }
}

#[test]
fn source_tells_sent_objects_from_generated_ones() {
    let generated = Object { source: Source::Generated, ..pod() };
    for (source, of_original, of_generated) in [
        (SourceSelector::All, true, true),
        (SourceSelector::Original, true, false),
        (SourceSelector::Generated, false, true),
    ] {
        let matcher = Match { source, ..Match::default() };
        assert_eq!(matcher.matches_one(&pod(), None), Ok(of_original), "{source:?}");
        assert_eq!(matcher.matches_one(&generated, None), Ok(of_generated), "{source:?}");
    }
}

/// One `match` in which the namespaceSelector is an error, and one other matcher is false.
fn with_error(change: impl FnOnce(&mut Match)) -> Match {
    let mut matcher = Match { namespace_selector: selector(&[]), ..Match::default() };
    change(&mut matcher);
    matcher
}

#[test]
fn the_first_false_or_error_ends_it() {
    for (matcher, expect) in [
        // Before the namespaceSelector: false, and the error is never met.
        (with_error(|m| m.kinds = vec![kind(&[""], &["Service"])]), Ok(false)),
        (with_error(|m| m.scope = Scope::Cluster), Ok(false)),
        (with_error(|m| m.namespaces = globs(&["other"])), Ok(false)),
        (with_error(|m| m.excluded_namespaces = globs(&["app"])), Ok(false)),
        (with_error(|m| m.label_selector = selector(&[("tier", "db")])), Ok(false)),
        // After it: the error comes first.
        (with_error(|m| m.name = Some(Wildcard::new("db").unwrap())), missing("app")),
        (with_error(|m| m.source = SourceSelector::Generated), missing("app")),
        (with_error(|_| {}), missing("app")),
    ] {
        assert_eq!(matcher.matches_one(&pod(), None), expect, "{matcher:?}");
    }
}

#[test]
fn either_of_object_and_old_object_matches() {
    let db = Object { labels: labels(&[("tier", "db")]), ..pod() };
    let matcher = Match { label_selector: selector(&[("tier", "web")]), ..Match::default() };
    for (object, old_object, expect) in [
        (Some(&pod()), None, Ok(true)),
        (None, Some(&pod()), Ok(true)),
        (Some(&db), Some(&pod()), Ok(true)),
        (Some(&pod()), Some(&db), Ok(true)),
        (Some(&db), Some(&db), Ok(false)),
        (Some(&db), None, Ok(false)),
        (None, Some(&db), Ok(false)),
        (None, None, Err(MatchError::NoObject)),
    ] {
        assert_eq!(matcher.matches(object, old_object, None), expect, "{object:?} {old_object:?}");
    }
}

#[test]
fn an_error_of_the_object_is_not_outvoted_by_the_old_object() {
    let matcher = Match { namespace_selector: selector(&[]), ..Match::default() };
    assert_eq!(matcher.matches(Some(&pod()), Some(&node()), None), missing("app"));
    assert_eq!(matcher.matches(Some(&node()), Some(&pod()), None), Ok(true));
}

#[test]
fn labels_are_needed_only_where_they_decide() {
    for (matcher, expect) in [
        (Match::default(), false),
        (with_error(|_| {}), true),
        (with_error(|m| m.kinds = vec![kind(&[""], &["Pod"])]), true),
        (with_error(|m| m.kinds = vec![kind(&[""], &["Service"])]), false),
        (with_error(|m| m.scope = Scope::Namespaced), true),
        (with_error(|m| m.scope = Scope::Cluster), false),
        (with_error(|m| m.namespaces = globs(&["app"])), true),
        (with_error(|m| m.namespaces = globs(&["other"])), false),
        (with_error(|m| m.excluded_namespaces = globs(&["app"])), false),
        (with_error(|m| m.label_selector = selector(&[("tier", "db")])), false),
        (with_error(|m| m.name = Some(Wildcard::new("web-*").unwrap())), true),
        (with_error(|m| m.name = Some(Wildcard::new("db-*").unwrap())), false),
        (with_error(|m| m.source = SourceSelector::Original), true),
        (with_error(|m| m.source = SourceSelector::Generated), false),
    ] {
        assert_eq!(matcher.needs_labels(&pod()), expect, "{matcher:?}");
        assert!(!matcher.needs_labels(&node()));
        assert!(!matcher.needs_labels(&namespace_object("app")));
    }
    let matcher = Match {
        namespace_selector: selector(&[("env", "prod")]),
        name: Some(Wildcard::new("db-*").unwrap()),
        ..Match::default()
    };
    assert!(!matcher.needs_labels(&pod()));
    // Where they are not needed, no labels lead to another verdict.
    for own in [BTreeMap::new(), labels(&[("env", "prod")])] {
        let namespace = Namespace { name: "app", labels: Ok(&own) };
        assert_eq!(matcher.matches_one(&pod(), Some(&namespace)), Ok(false));
    }
}

#[test]
fn a_kind_is_named_by_its_own_name_only() {
    for (kinds, expect) in [
        (vec![], false),
        (vec![kind(&[], &[])], false),
        (vec![kind(&["apps"], &["*"])], false),
        (vec![kind(&["apps"], &["Deployment"])], true),
        (vec![kind(&["*"], &["*", "Deployment"])], true),
        (vec![kind(&[], &["Deployment"])], true),
        (vec![kind(&[""], &["Deployment"])], false),
        (vec![kind(&["apps"], &["StatefulSet"])], false),
        (vec![kind(&["apps"], &["*"]), kind(&["apps"], &["Deployment"])], true),
    ] {
        let matcher = Match { kinds, ..Match::default() };
        assert_eq!(matcher.names_kind(&deployment()), expect, "{matcher:?}");
    }
}

#[test]
fn errors_name_the_namespace() {
    for (error, expect) in [
        (missing("app"), "namespaceSelector: namespace 'app' was not supplied with the object"),
        (
            Err(MatchError::NamespaceLabels {
                namespace: "app".to_owned(),
                reason: "it was not found".to_owned(),
            }),
            "namespaceSelector: the labels of namespace 'app' are not known: it was not found",
        ),
        (Err(MatchError::NoObject), "there is neither an object nor an old object"),
    ] {
        assert_eq!(error.unwrap_err().to_string(), expect);
    }
}
