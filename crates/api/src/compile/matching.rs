//! `spec.match` into a [`Match`].

use assay_policy::{
    Invalid, KindSelector, LabelExpression, LabelSelector, Match, Scope, SourceSelector, Wildcard,
};

use crate::invalid;
use crate::limits::{MATCH_ITEMS_MAX, MATCH_TEXT_LENGTH_MAX};
use crate::resources::{self, KindsSpec, LabelSelectorSpec, MatchSpec};

/// The kinds in which images are known, with their groups.
const IMAGE_KINDS: [(&str, &str); 9] = [
    ("", "Pod"),
    ("", "PodTemplate"),
    ("", "ReplicationController"),
    ("apps", "DaemonSet"),
    ("apps", "Deployment"),
    ("apps", "ReplicaSet"),
    ("apps", "StatefulSet"),
    ("batch", "CronJob"),
    ("batch", "Job"),
];

/// The matcher that `spec` describes.
pub(super) fn compile(spec: &MatchSpec) -> Result<Match, Invalid> {
    check_length("spec.match.kinds", spec.kinds.len())?;
    Ok(Match {
        kinds: spec.kinds.iter().enumerate().map(kinds).collect::<Result<_, _>>()?,
        scope: match spec.scope {
            resources::Scope::Any => Scope::Any,
            resources::Scope::Cluster => Scope::Cluster,
            resources::Scope::Namespaced => Scope::Namespaced,
        },
        namespaces: wildcards("spec.match.namespaces", &spec.namespaces)?,
        excluded_namespaces: wildcards("spec.match.excludedNamespaces", &spec.excluded_namespaces)?,
        label_selector: selector("spec.match.labelSelector", spec.label_selector.as_ref())?,
        namespace_selector: selector(
            "spec.match.namespaceSelector",
            spec.namespace_selector.as_ref(),
        )?,
        name: spec.name.as_deref().map(|name| wildcard("spec.match.name", name)).transpose()?,
        source: match spec.source {
            resources::Source::All => SourceSelector::All,
            resources::Source::Generated => SourceSelector::Generated,
            resources::Source::Original => SourceSelector::Original,
        },
    })
}

/// Refuses an entry of `kinds` that names a kind in which no images are known, in a group of the
/// entry: the policy would look as if it guarded that kind.
pub(super) fn check_kinds(spec: Option<&MatchSpec>) -> Result<(), Invalid> {
    let entries = spec.map(|spec| spec.kinds.as_slice()).unwrap_or_default();
    for (index, entry) in entries.iter().enumerate() {
        let any_group =
            entry.api_groups.is_empty() || entry.api_groups.iter().any(|group| group == "*");
        let in_group = |group: &str| any_group || entry.api_groups.iter().any(|own| own == group);
        let known =
            |kind: &str| IMAGE_KINDS.iter().any(|(group, known)| *known == kind && in_group(group));
        if let Some(kind) = entry.kinds.iter().find(|kind| *kind != "*" && !known(kind)) {
            let reason = format!(
                "no images are known in kind '{kind}' of these apiGroups; kinds with images are {}",
                IMAGE_KINDS.map(|(group, kind)| format!("{kind} of \"{group}\"")).join(", ")
            );
            return Err(invalid(format!("spec.match.kinds[{index}]"), reason));
        }
    }
    Ok(())
}

fn kinds((index, spec): (usize, &KindsSpec)) -> Result<KindSelector, Invalid> {
    check_length(&format!("spec.match.kinds[{index}].apiGroups"), spec.api_groups.len())?;
    check_length(&format!("spec.match.kinds[{index}].kinds"), spec.kinds.len())?;
    Ok(KindSelector { api_groups: spec.api_groups.clone(), kinds: spec.kinds.clone() })
}

fn wildcards(field: &str, globs: &[String]) -> Result<Vec<Wildcard>, Invalid> {
    check_length(field, globs.len())?;
    let globs = globs.iter().enumerate();
    globs.map(|(index, glob)| wildcard(&format!("{field}[{index}]"), glob)).collect()
}

fn wildcard(field: &str, glob: &str) -> Result<Wildcard, Invalid> {
    if glob.len() > MATCH_TEXT_LENGTH_MAX {
        return Err(invalid(field, format!("is longer than {MATCH_TEXT_LENGTH_MAX} characters")));
    }
    Wildcard::new(glob).map_err(|error| invalid(field, error.to_string()))
}

fn selector(
    field: &str,
    spec: Option<&LabelSelectorSpec>,
) -> Result<Option<LabelSelector>, Invalid> {
    let Some(spec) = spec else { return Ok(None) };
    check_length(&format!("{field}.matchLabels"), spec.match_labels.len())?;
    check_length(&format!("{field}.matchExpressions"), spec.match_expressions.len())?;
    let mut expressions = Vec::new();
    for (index, expression) in spec.match_expressions.iter().enumerate() {
        check_length(
            &format!("{field}.matchExpressions[{index}].values"),
            expression.values.len(),
        )?;
        expressions.push(LabelExpression {
            key: expression.key.clone(),
            operator: expression.operator.clone(),
            values: expression.values.clone(),
        });
    }
    let selector = LabelSelector::new(spec.match_labels.clone(), expressions);
    selector.map(Some).map_err(|error| invalid(field, error.to_string()))
}

fn check_length(field: &str, length: usize) -> Result<(), Invalid> {
    if length > MATCH_ITEMS_MAX {
        return Err(invalid(field, format!("has more than {MATCH_ITEMS_MAX} entries")));
    }
    Ok(())
}
