//! Every combination of what a Mandatory, a Baseline and a namespace's policy do about an image, and of
//! `defaultAction`, against the contract's text ("Tiers", "No cover"), image by image.

use std::sync::Arc;

use assay_policy::{DefaultAction, Effect, ImageVerdict, Policy, Snapshot};

use crate::world::{World, policy, store};

/// What a policy says: its enforcementAction, and what it does about the image `app`.
#[derive(Clone, Copy, Debug)]
struct Said {
    action: Action,
    body: Body,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    Deny,
    Warn,
    Dryrun,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Body {
    /// `allow: true`.
    Allow,
    /// Its `match` does not compile.
    BrokenMatch,
    /// A verifier that its only rule names does not.
    BrokenRule,
    /// It has no rules.
    BrokenRules,
    /// `deny: TEXT`.
    Deny,
    /// Its rule is about an image that is not there.
    Elsewhere,
    /// It requires what is there.
    Signed,
    /// It requires what is not there.
    Unsigned,
}

/// One row of the table; `None` is no such policy.
#[derive(Clone, Copy, Debug)]
struct Row {
    mandatory: Option<Said>,
    baseline: Option<Said>,
    own: Option<Said>,
    default_action: DefaultAction,
}

const ACTIONS: [Action; 3] = [Action::Deny, Action::Warn, Action::Dryrun];

/// What a policy of the cluster is not about, the second image shows in each row.
const CLUSTER_BODIES: [Body; 3] = [Body::BrokenRules, Body::Signed, Body::Unsigned];

const OWN_BODIES: [Body; 8] = [
    Body::Allow,
    Body::BrokenMatch,
    Body::BrokenRule,
    Body::BrokenRules,
    Body::Deny,
    Body::Elsewhere,
    Body::Signed,
    Body::Unsigned,
];

const DEFAULT_ACTIONS: [DefaultAction; 3] =
    [DefaultAction::Allow, DefaultAction::Warn, DefaultAction::Deny];

// What the contract says.

impl Said {
    /// "An image that no rule of a policy matches is not covered by it"; what does not compile "closes
    /// the rules that name it", "all that `match` selects", or everything.
    fn covers(self, image: &str) -> bool {
        match self.body {
            Body::BrokenMatch | Body::BrokenRules => true,
            Body::Elsewhere => false,
            Body::Allow | Body::BrokenRule | Body::Deny | Body::Signed | Body::Unsigned => {
                image == "app"
            }
        }
    }

    fn compiles(self) -> bool {
        !matches!(self.body, Body::BrokenMatch | Body::BrokenRule | Body::BrokenRules)
    }

    /// "`deny` rejects; `warn` admits with a warning; `dryrun` admits silently."
    fn effect(self) -> Effect {
        match (self.body, self.action) {
            (Body::Allow | Body::Signed, _) => Effect::Allow,
            (_, Action::Deny) => Effect::Deny,
            (_, Action::Warn) => Effect::Warn,
            (_, Action::Dryrun) => Effect::Dryrun,
        }
    }
}

impl Row {
    /// What each policy does about `image`.
    fn expect(&self, image: &str) -> Vec<(&'static str, Effect)> {
        let covering = |policy: Option<Said>| policy.filter(|policy| policy.covers(image));
        let own = covering(self.own);
        // "A Baseline policy gives way where an ImageAdmissionPolicy of the namespace covers the image,
        // compiles, and denies (`enforcementAction: deny`); a tenant's warn, dryrun or broken policy
        // displaces nothing."
        let gives_way = own.is_some_and(|own| own.compiles() && own.action == Action::Deny);
        // "`defaultAction` decides, beside whatever the namespace's own policies say, for each image that
        // no *cluster* policy with `enforcementAction: deny` covers".
        let of_cluster = [covering(self.mandatory), covering(self.baseline)];
        let is_covered = of_cluster.iter().flatten().any(|policy| policy.action == Action::Deny);
        let by_default = match self.default_action {
            _ if is_covered => None,
            DefaultAction::Allow => None,
            DefaultAction::Deny => Some(Effect::Deny),
            DefaultAction::Warn => Some(Effect::Warn),
        };
        let effect = |policy: Option<Said>| covering(policy).map(Said::effect);
        let all = [
            ("baseline", effect(self.baseline).filter(|_| !gives_way)),
            ("defaultAction", by_default),
            ("evil/own", effect(self.own)),
            ("mandatory", effect(self.mandatory)),
        ];
        all.into_iter().filter_map(|(name, effect)| Some((name, effect?))).collect()
    }
}

// The same as documents, and what comes of them.

fn spec(Said { action, body }: Said, store: &str, host: &str) -> String {
    let action = format!("{action:?}").to_lowercase();
    let verifier =
        |name: &str, key: &str| format!("{{name: {name}, cosign: {{keys: [{{{store}: {key}}}]}}}}");
    let verifiers = [
        verifier("there", "release-keys"),
        verifier("not-there", "other-keys"),
        verifier("broken", "lost-keys"),
    ];
    let rule = |image: &str, body: &str| format!("{{images: ['{host}/{image}'], {body}}}");
    let (verifiers, rules) = match body {
        Body::Allow | Body::BrokenMatch => (None, rule("app", "allow: true")),
        Body::BrokenRule => (Some(&verifiers[2]), rule("app", "require: {all: [broken]}")),
        Body::BrokenRules => (None, String::new()),
        Body::Deny => (None, rule("app", "deny: no")),
        Body::Elsewhere => (None, rule("elsewhere", "deny: no")),
        Body::Signed => (Some(&verifiers[0]), rule("app", "require: {all: [there]}")),
        Body::Unsigned => (Some(&verifiers[1]), rule("app", "require: {all: [not-there]}")),
    };
    let verifiers = verifiers.cloned().unwrap_or_default();
    let matching = match body {
        Body::BrokenMatch => "{namespaces: ['e*l']}",
        _ => "{}",
    };
    format!(
        "{{enforcementAction: {action}, requireDigest: allow, match: {matching}, \
         verifiers: [{verifiers}], rules: [{rules}]}}"
    )
}

/// A policy with each thing that it may say, compiled; and none.
fn compiled(
    world: &World,
    (namespace, name, tier): (Option<&str>, &str, &str),
    bodies: &[Body],
) -> Vec<Option<(Said, Arc<Policy>)>> {
    let stores = world.release_keys() + &store(None, "other-keys", &world.mallory);
    let reference = if namespace.is_some() { "clusterTrustStore" } else { "trustStore" };
    let compile = |action, body| {
        let said = Said { action, body };
        let spec = spec(said, reference, &world.open.host());
        let spec = spec.replacen('{', &format!("{{{tier}"), 1);
        world.enforce(&(stores.clone() + &policy(namespace, name, &spec)), DefaultAction::Allow);
        let policies = world.snapshots.load().policies.to_vec();
        assert_eq!(policies.len(), 1, "{spec}");
        Some((said, policies[0].clone()))
    };
    let all = ACTIONS.iter().flat_map(|action| bodies.iter().map(|body| compile(*action, *body)));
    all.chain([None]).collect()
}

fn found(image: &ImageVerdict) -> Vec<(String, Effect)> {
    let policies = image.policies.iter();
    let mut found: Vec<_> =
        policies.map(|policy| (policy.policy.to_string(), policy.effect)).collect();
    found.sort();
    found
}

/// Judges a pod of `app` and of an image that no policy is about: whether it was refused.
async fn check(world: &World, row: Row, images: [&str; 2]) -> bool {
    let verdict = world.judge("evil", &images).await;
    let expect = [row.expect("app"), row.expect("other")];
    let strictest = expect.iter().flatten().map(|(_, effect)| *effect).max();
    let is_admitted = strictest.is_none_or(|effect| effect < Effect::Undecided);
    assert_eq!(verdict.images.len(), 2, "{row:?}");
    for (image, expect) in verdict.images.iter().zip(expect) {
        let expect: Vec<_> = expect.into_iter().map(|(name, did)| (name.to_owned(), did)).collect();
        assert_eq!(found(image), expect, "{row:?} {}", image.written);
    }
    assert_eq!(verdict.is_admitted(), is_admitted, "{row:?}");
    !is_admitted
}

#[tokio::test]
async fn every_combination_is_what_the_contract_says() {
    let world = World::new().await;
    let (app, _) = world.push("app", Some(&world.release));
    let (other, _) = world.push("other", None);
    let all_mandatory = compiled(&world, (None, "mandatory", "tier: Mandatory, "), &CLUSTER_BODIES);
    let all_baseline = compiled(&world, (None, "baseline", "tier: Baseline, "), &CLUSTER_BODIES);
    let all_own = compiled(&world, (Some("evil"), "own", ""), &OWN_BODIES);
    let (mut rows, mut refused) = (0, 0);
    for mandatory in &all_mandatory {
        for baseline in &all_baseline {
            for own in &all_own {
                for default_action in DEFAULT_ACTIONS {
                    let policies = [baseline, mandatory, own].into_iter().flatten();
                    world.snapshots.store(Arc::new(Snapshot {
                        policies: policies.map(|(_, policy)| policy.clone()).collect(),
                        default_action,
                        ..Snapshot::default()
                    }));
                    let said = |policy: &Option<(Said, _)>| policy.as_ref().map(|(said, _)| *said);
                    let row = Row {
                        mandatory: said(mandatory),
                        baseline: said(baseline),
                        own: said(own),
                        default_action,
                    };
                    rows += 1;
                    refused += usize::from(check(&world, row, [&app, &other]).await);
                }
            }
        }
    }
    assert_eq!(rows, 10 * 10 * 25 * 3);
    assert!(refused > rows / 2 && refused < rows, "{refused} of {rows}");
}
