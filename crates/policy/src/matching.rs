//! `spec.match`: Gatekeeper's constraint match, matcher by matcher and in its order, so that a
//! `match` block means here what it meant there (Gatekeeper's `pkg/mutation/match`).

use std::collections::BTreeMap;

use crate::{LabelSelector, Object, Source, Wildcard};

/// A compiled `match`. The default matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// Kinds, any of which must hold; empty holds.
    pub kinds: Vec<KindSelector>,
    /// Whether cluster-scoped or namespaced objects are meant.
    pub scope: Scope,
    /// Namespaces, any of which must match; empty holds.
    pub namespaces: Vec<Wildcard>,
    /// Namespaces, none of which may match.
    pub excluded_namespaces: Vec<Wildcard>,
    /// Over the object's own labels.
    pub label_selector: Option<LabelSelector>,
    /// Over the labels of the object's namespace.
    pub namespace_selector: Option<LabelSelector>,
    /// The object's name, or its `generateName`; empty holds.
    pub name: Option<Wildcard>,
    /// Whether objects as sent or generated ones are meant.
    pub source: SourceSelector,
}

/// An entry of `match.kinds`. Versions are not matched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KindSelector {
    /// API groups, `""` being the core group; empty, or with an item `*`: all.
    pub api_groups: Vec<String>,
    /// Kinds; empty, or with an item `*`: all.
    pub kinds: Vec<String>,
}

/// Which objects `match.scope` means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// `*`: all.
    #[default]
    Any,
    /// Namespace objects, and objects without a namespace.
    Cluster,
    /// Objects in a namespace.
    Namespaced,
}

/// Which objects `match.source` means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceSelector {
    /// Both.
    #[default]
    All,
    /// Pods that stand for a workload's template.
    Generated,
    /// Objects as the API server sent them.
    Original,
}

/// The namespace that is supplied with an object.
#[derive(Clone, Copy, Debug)]
pub struct Namespace<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its labels, or why they could not be had.
    pub labels: Result<&'a BTreeMap<String, String>, &'a str>,
}

/// Why it cannot be told whether an object matches; the policy's enforcementAction applies.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MatchError {
    /// A namespaceSelector, and the labels of the object's namespace could not be had.
    #[error("namespaceSelector: the labels of namespace '{namespace}' are not known: {reason}")]
    NamespaceLabels {
        /// The namespace's name.
        namespace: String,
        /// Why.
        reason: String,
    },
    /// A namespaceSelector, and the namespace of a namespaced object was not supplied.
    #[error("namespaceSelector: namespace '{namespace}' was not supplied with the object")]
    NamespaceMissing {
        /// The namespace's name.
        namespace: String,
    },
    /// Neither object nor oldObject (on DELETE the object is oldObject).
    #[error("there is neither an object nor an old object")]
    NoObject,
}

impl Match {
    /// Whether `object` matches, or else `old_object`, so that a relabelling UPDATE escapes nothing.
    ///
    /// # Errors
    /// There is neither, or [`Match::matches_one`] fails for the first that does not match.
    pub fn matches(
        &self,
        object: Option<&Object>,
        old_object: Option<&Object>,
        namespace: Option<&Namespace<'_>>,
    ) -> Result<bool, MatchError> {
        if object.is_none() && old_object.is_none() {
            return Err(MatchError::NoObject);
        }
        for object in [object, old_object].into_iter().flatten() {
            if self.matches_one(object, namespace)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether one object matches. For a Namespace object and for cluster-scoped ones `namespace` is
    /// none.
    ///
    /// # Errors
    /// The namespaceSelector's turn comes, and the labels of a namespaced object's namespace are not
    /// there: not even `{}` holds then.
    pub fn matches_one(
        &self,
        object: &Object,
        namespace: Option<&Namespace<'_>>,
    ) -> Result<bool, MatchError> {
        Ok(self.holds_before_namespace_selector(object, namespace)
            && self.namespace_selector_holds(object, namespace)?
            && self.holds_after_namespace_selector(object))
    }

    /// Whether the labels of the object's namespace make a difference to [`Match::matches_one`].
    ///
    /// Where they make none, it comes to the same verdict with any labels, so also with a
    /// [`Namespace`] of the object's that has none.
    pub fn needs_labels(&self, object: &Object) -> bool {
        self.namespace_selector.is_some()
            && !object.is_namespace()
            && !object.namespace.is_empty()
            && self.holds_before_namespace_selector(object, None)
            && self.holds_after_namespace_selector(object)
    }

    /// Whether an entry of `kinds` that holds names the object's kind literally; absence and `*` do
    /// not count.
    pub fn names_kind(&self, object: &Object) -> bool {
        let names =
            |entry: &KindSelector| entry.kinds.contains(&object.kind) && entry.holds(object);
        self.kinds.iter().any(names)
    }

    fn holds_before_namespace_selector(
        &self,
        object: &Object,
        namespace: Option<&Namespace<'_>>,
    ) -> bool {
        let labels_hold = |selector: &LabelSelector| selector.matches(&object.labels);
        (self.kinds.is_empty() || self.kinds.iter().any(|entry| entry.holds(object)))
            && self.scope.holds(object, namespace)
            && self.namespaces_hold(object, namespace)
            && self.label_selector.as_ref().is_none_or(labels_hold)
    }

    fn namespaces_hold(&self, object: &Object, namespace: Option<&Namespace<'_>>) -> bool {
        let name = match namespace {
            _ if object.is_namespace() => &object.name,
            Some(namespace) => namespace.name,
            None if object.namespace.is_empty() => return true,
            None => &object.namespace,
        };
        let any = |globs: &[Wildcard]| globs.iter().any(|glob| glob.matches(name));
        (self.namespaces.is_empty() || any(&self.namespaces)) && !any(&self.excluded_namespaces)
    }

    fn namespace_selector_holds(
        &self,
        object: &Object,
        namespace: Option<&Namespace<'_>>,
    ) -> Result<bool, MatchError> {
        let Some(selector) = &self.namespace_selector else {
            return Ok(true);
        };
        if object.is_namespace() {
            return Ok(selector.matches(&object.labels));
        }
        let Some(namespace) = namespace else {
            if object.namespace.is_empty() {
                return Ok(true);
            }
            return Err(MatchError::NamespaceMissing { namespace: object.namespace.clone() });
        };
        let labels = namespace.labels.map_err(|reason| MatchError::NamespaceLabels {
            namespace: namespace.name.to_owned(),
            reason: reason.to_owned(),
        })?;
        Ok(selector.matches(labels))
    }

    fn holds_after_namespace_selector(&self, object: &Object) -> bool {
        let name_holds = |glob: &Wildcard| {
            glob.is_empty()
                || glob.matches(&object.name)
                || glob.matches_generate_name(&object.generate_name)
        };
        self.name.as_ref().is_none_or(name_holds) && self.source.holds(object.source)
    }
}

impl KindSelector {
    fn holds(&self, object: &Object) -> bool {
        let selects = |items: &[String], own: &str| {
            items.is_empty() || items.iter().any(|item| item == "*" || item == own)
        };
        selects(&self.kinds, &object.kind) && selects(&self.api_groups, &object.group)
    }
}

impl Scope {
    fn holds(self, object: &Object, namespace: Option<&Namespace<'_>>) -> bool {
        let has_namespace = namespace.is_some() || !object.namespace.is_empty();
        let namespaced = has_namespace && !object.is_namespace();
        match self {
            Self::Any => true,
            Self::Cluster => !namespaced,
            Self::Namespaced => namespaced,
        }
    }
}

impl SourceSelector {
    fn holds(self, source: Source) -> bool {
        match self {
            Self::All => true,
            Self::Generated => source == Source::Generated,
            Self::Original => source == Source::Original,
        }
    }
}

#[cfg(test)]
mod tests;
