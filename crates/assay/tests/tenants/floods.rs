//! More of everything than anyone needs: it closes the namespace that brings it, and costs no other.

use assay_api::Document;
use assay_api::limits::{GLOBS_MAX, NAMESPACE_POLICIES_MAX};
use assay_policy::DefaultAction::Allow;

use crate::world::{World, documents, policy};

/// What a namespace has after its limit: one policy that stands for those beyond.
const IN_FORCE_MAX: usize = NAMESPACE_POLICIES_MAX + 1;

/// Policies of `namespace` that allow everything.
fn flood(namespace: &str, count: usize) -> Vec<Document> {
    let spec = "{rules: [{images: ['**'], allow: true}]}";
    let names: Vec<String> = (0..count).map(|index| format!("p{index:05}")).collect();
    let files = names.chunks(1_000).map(|names| {
        names.iter().map(|name| policy(Some(namespace), name, spec)).collect::<String>()
    });
    files.flat_map(|file| documents(&file)).collect()
}

#[tokio::test]
async fn ten_thousand_policies_close_their_namespace_alone() {
    let world = World::new().await;
    let (app, _) = world.push("app", None);
    let mut all = flood("evil", 10_000);
    all.extend(flood("shop", 1));
    let problems = world.enforce_documents(&all, Allow);
    assert_eq!(problems.len(), 10_000 - NAMESPACE_POLICIES_MAX);

    let verdict = world.judge("evil", &[&app]).await;
    assert!(!verdict.is_admitted());
    assert_eq!(verdict.images[0].policies.len(), IN_FORCE_MAX);
    let verdict = world.judge("shop", &[&app]).await;
    assert!(verdict.is_admitted());
    assert_eq!(verdict.images[0].policies.len(), 1);
}

#[tokio::test]
async fn ten_thousand_policies_of_a_hundred_namespaces_are_looked_at_where_they_are() {
    let world = World::new().await;
    let (app, _) = world.push("app", None);
    let namespaces = (0..100).map(|index| format!("evil-{index}"));
    let all: Vec<Document> = namespaces.flat_map(|name| flood(&name, 100)).collect();
    assert_eq!(world.enforce_documents(&all, Allow), Vec::<String>::new());
    for (namespace, expect) in [("evil-7", 100), ("evil", 0), ("shop", 0)] {
        let verdict = world.judge(namespace, &[&app]).await;
        assert!(verdict.is_admitted());
        assert_eq!(verdict.images[0].policies.len(), expect, "{namespace}");
    }
}

/// As many globs as a policy may have, each of which invites a matcher to search: one that tried every
/// way would not end.
#[tokio::test]
async fn hostile_globs_are_matched_soon() {
    let world = World::new().await;
    let host = "registry.example";
    let deep = format!("{host}/**/{}**/b", "a/".repeat(5));
    let wide = format!("{host}/*{}b", "a*".repeat(100));
    let globs = (0..GLOBS_MAX).map(|index| if index % 2 == 0 { &deep } else { &wide });
    let globs: Vec<String> = globs.map(|glob| format!("'{glob}'")).collect();
    let spec = format!("{{rules: [{{images: [{}], deny: no}}]}}", globs.join(", "));
    let text = policy(Some("evil"), "globs", &spec);
    assert_eq!(world.enforce(&text, Allow), Vec::<String>::new());
    for (end, is_refused) in [("a", false), ("b", true)] {
        for path in ["a/".repeat(100), "a".repeat(200)] {
            let image = format!("{host}/{path}{end}");
            assert_eq!(!world.refusal("evil", &image).await.is_empty(), is_refused, "{image}");
        }
    }
}
