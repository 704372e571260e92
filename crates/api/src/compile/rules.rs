//! `spec.rules` and `spec.groups` into rules. What is wrong here closes all that `match` selects,
//! but for verifiers that could not be built: these close the rules that name them.

use std::collections::BTreeMap;
use std::sync::Arc;

use assay_core::ports::Verifier;
use assay_policy::{ImageGlob, Invalid, Quorum, Requirement, Rule, RuleBody, Term};

use super::PolicySpec;
use crate::limits::{
    DENY_LENGTH_MAX, GLOBS_MAX, GROUPS_MAX, KEYS_MAX, NAME_LENGTH_MAX, NAMES_MAX,
    REQUIREMENT_VERIFIERS_MAX, RULES_MAX, VERIFIERS_MAX,
};
use crate::resources::{AtLeastSpec, RequirementSpec, RuleSpec};
use crate::{invalid, one_line};

/// Refuses a policy that holds more of anything than it may.
pub(super) fn check_limits(policy: &PolicySpec<'_>) -> Result<(), Invalid> {
    let globs = policy.rules.iter().map(|rule| rule.images.len()).sum();
    let cosign = policy.verifiers.iter().filter_map(|verifier| verifier.cosign.as_ref());
    let keys = cosign.map(|cosign| cosign.keys.len()).sum();
    for (field, what, count, max) in [
        ("spec.rules", "rules", policy.rules.len(), RULES_MAX),
        ("spec.rules", "image globs", globs, GLOBS_MAX),
        ("spec.verifiers", "verifiers", policy.verifiers.len(), VERIFIERS_MAX),
        ("spec.verifiers", "keys", keys, KEYS_MAX),
        ("spec.groups", "groups", policy.groups.len(), GROUPS_MAX),
    ] {
        if count > max {
            return Err(invalid(field, format!("has {count} {what}, and may have {max}")));
        }
    }
    Ok(())
}

/// The rules of a policy, with `verifiers` as they could be built, in the policy's order.
pub(super) fn compile(
    policy: &PolicySpec<'_>,
    verifiers: Vec<Result<Arc<dyn Verifier>, Invalid>>,
) -> Result<Vec<Rule>, Invalid> {
    if policy.rules.is_empty() {
        return Err(invalid("spec.rules", "is empty: without a rule the policy asks nothing"));
    }
    let mut names = Names::of_verifiers(policy, verifiers);
    names.add_groups(policy)?;
    policy.rules.iter().enumerate().map(|(index, spec)| names.rule(index, spec)).collect()
}

/// What the names in a policy stand for; an error for a verifier that cannot be built, and for a
/// group that names one.
struct Names(BTreeMap<String, Result<Term, Invalid>>);

/// Why a requirement does not compile.
enum Failure {
    /// It names a verifier that cannot be built.
    Verifier(Invalid),
    /// It is wrong itself.
    Wrong(Invalid),
}

impl Names {
    fn of_verifiers(
        policy: &PolicySpec<'_>,
        verifiers: Vec<Result<Arc<dyn Verifier>, Invalid>>,
    ) -> Self {
        let mut names = BTreeMap::new();
        for (index, (spec, built)) in policy.verifiers.iter().zip(verifiers).enumerate() {
            let name = &spec.name;
            let field = format!("spec.verifiers[{index}].name");
            let term = match built {
                _ if names.contains_key(name) => {
                    Err(invalid(field, format!("'{name}' is given twice")))
                }
                _ if !is_name(name) => Err(invalid(field, not_a_name(name))),
                Ok(verifier) => Ok(Term::Verifier(Arc::from(name.as_str()), verifier)),
                Err(invalid) => Err(invalid),
            };
            names.insert(name.clone(), term);
        }
        Self(names)
    }

    fn add_groups(&mut self, policy: &PolicySpec<'_>) -> Result<(), Invalid> {
        for (index, group) in policy.groups.iter().enumerate() {
            let field = format!("spec.groups[{index}]");
            let name = &group.name;
            if !is_name(name) {
                return Err(invalid(format!("{field}.name"), not_a_name(name)));
            }
            if self.0.contains_key(name) {
                let reason = format!("'{name}' is the name of a verifier or group already");
                return Err(invalid(format!("{field}.name"), reason));
            }
            let lists = (&group.all, &group.any, &group.at_least);
            let term = match self.requirement(&field, lists) {
                Ok(requirement) => Ok(Term::Group(Arc::new(requirement))),
                Err(Failure::Verifier(invalid)) => Err(invalid),
                Err(Failure::Wrong(invalid)) => return Err(invalid),
            };
            self.0.insert(name.clone(), term);
        }
        Ok(())
    }

    fn rule(&self, index: usize, spec: &RuleSpec) -> Result<Rule, Invalid> {
        let field = format!("spec.rules[{index}]");
        if spec.images.is_empty() {
            return Err(invalid(format!("{field}.images"), "is empty: `**` is every image"));
        }
        let globs = spec.images.iter().enumerate().map(|(at, glob)| {
            let error = |error: assay_policy::GlobError| {
                invalid(format!("{field}.images[{at}]"), error.to_string())
            };
            ImageGlob::parse(glob).map_err(error)
        });
        let images = globs.collect::<Result<_, _>>()?;
        Ok(Rule { images, body: self.body(&field, spec)? })
    }

    fn body(&self, field: &str, spec: &RuleSpec) -> Result<RuleBody, Invalid> {
        match (&spec.require, spec.allow, &spec.deny) {
            (Some(require), None, None) => self.require(&format!("{field}.require"), require),
            (None, Some(true), None) => Ok(RuleBody::Allow),
            (None, Some(false), None) => {
                Err(invalid(format!("{field}.allow"), "can only be true; `deny: TEXT` refuses"))
            }
            (None, None, Some(text)) => deny(&format!("{field}.deny"), text),
            _ => Err(invalid(field, "needs exactly one of require, allow, deny")),
        }
    }

    fn require(&self, field: &str, spec: &RequirementSpec) -> Result<RuleBody, Invalid> {
        match self.requirement(field, (&spec.all, &spec.any, &spec.at_least)) {
            Ok(requirement) => Ok(RuleBody::Require(requirement)),
            Err(Failure::Verifier(invalid)) => Ok(RuleBody::Invalid(invalid)),
            Err(Failure::Wrong(invalid)) => Err(invalid),
        }
    }

    /// The requirement of exactly one of `all`, `any` and `atLeast`.
    fn requirement(
        &self,
        field: &str,
        lists: (&Option<Vec<String>>, &Option<Vec<String>>, &Option<AtLeastSpec>),
    ) -> Result<Requirement, Failure> {
        let (quorum, names, field) = match lists {
            (Some(names), None, None) => (Quorum::All, names, format!("{field}.all")),
            (None, Some(names), None) => (Quorum::Any, names, format!("{field}.any")),
            (None, None, Some(AtLeastSpec { count, of })) => {
                // A count that is no usize is above any number of names.
                let count = usize::try_from(*count).unwrap_or(usize::MAX);
                if count == 0 || count > of.len() {
                    let reason =
                        format!("is {count}, and must be 1 to {}, the number of names", of.len());
                    return Err(Failure::Wrong(invalid(format!("{field}.atLeast.count"), reason)));
                }
                (Quorum::AtLeast(count), of, format!("{field}.atLeast.of"))
            }
            _ => return Err(Failure::wrong(field, "needs exactly one of all, any, atLeast")),
        };
        let requirement = Requirement { quorum, of: self.terms(&field, names)? };
        let mut verifiers: usize = 0;
        requirement.for_each_verifier(&mut |_, _| verifiers = verifiers.saturating_add(1));
        if verifiers > REQUIREMENT_VERIFIERS_MAX {
            let reason = format!(
                "comes to {verifiers} verifiers through its groups, and may come to {REQUIREMENT_VERIFIERS_MAX}"
            );
            return Err(Failure::wrong(&field, &reason));
        }
        Ok(requirement)
    }

    /// What `names` stand for. A name that is wrong is the stronger error: the list is looked at to
    /// its end even where a verifier could not be built.
    fn terms(&self, field: &str, names: &[String]) -> Result<Vec<Term>, Failure> {
        if names.is_empty() {
            return Err(Failure::wrong(field, "is empty"));
        }
        if names.len() > NAMES_MAX {
            return Err(Failure::wrong(field, &format!("has more than {NAMES_MAX} names")));
        }
        let mut terms = Vec::new();
        let mut not_built = None;
        for (index, name) in names.iter().enumerate() {
            let field = format!("{field}[{index}]");
            if names.iter().take(index).any(|earlier| earlier == name) {
                return Err(Failure::wrong(&field, &format!("names '{name}' twice")));
            }
            match self.0.get(name) {
                None => return Err(Failure::wrong(&field, &self.unknown(name))),
                Some(Ok(term)) => terms.push(term.clone()),
                Some(Err(invalid)) => not_built = not_built.or(Some(invalid.clone())),
            }
        }
        not_built.map_or(Ok(terms), |invalid| Err(Failure::Verifier(invalid)))
    }

    fn unknown(&self, name: &str) -> String {
        let known: Vec<&str> = self.0.keys().map(String::as_str).collect();
        format!("'{name}' is no verifier, and no group above; known are: {}", known.join(", "))
    }
}

impl Failure {
    fn wrong(field: &str, reason: &str) -> Self {
        Self::Wrong(invalid(field, reason))
    }
}

fn deny(field: &str, text: &str) -> Result<RuleBody, Invalid> {
    if text.chars().count() > DENY_LENGTH_MAX {
        return Err(invalid(field, format!("is longer than {DENY_LENGTH_MAX} characters")));
    }
    let text = one_line(text);
    if text.is_empty() {
        return Err(invalid(field, "is empty: say why, and where to go instead"));
    }
    Ok(RuleBody::Deny(text))
}

/// Whether `name` follows the grammar of the CRD: it stands in messages, between our own words.
fn is_name(name: &str) -> bool {
    let legal = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(legal)
        && name.len() <= NAME_LENGTH_MAX
}

fn not_a_name(name: &str) -> String {
    format!(
        "'{name}' is no name: at most {NAME_LENGTH_MAX} letters, digits, '-', '_' and '.', beginning with a letter or digit"
    )
}
