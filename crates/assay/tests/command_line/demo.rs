//! `assay demo`: the first thing that anybody runs.

use crate::support::Folder;

#[tokio::test]
async fn shows_each_verdict() {
    let ended = Folder::new().run(&["demo"]).await;
    ended.check("demo", 0, &[], &[]);
    // Of each scene the command, and the next line that is not a warning.
    let mut lines = ended.stdout.lines();
    let mut scenes = Vec::new();
    while lines.by_ref().any(|line| line.starts_with("$ kubectl run")) {
        scenes.push(lines.next().unwrap());
    }
    let not_found = "release-signature: SIGNATURE_NOT_FOUND: no signature by a key of release-keys";
    let expect = [
        "pod/web created",
        "pod/web created",
        "release-signature: KEY_MISMATCH: signed, but by no key of release-keys",
        not_found,
        "pod/web created",
        "vendor-signature: KEY_MISMATCH: signed, but by no certificate of vendor-roots",
        "Warning: [trial] container \"web\" ",
        "IMAGE_DENIED: images come from ",
    ];
    assert_eq!(scenes.len(), expect.len(), "{scenes:?}");
    for (scene, expect) in scenes.iter().zip(expect) {
        assert!(scene.contains(expect), "no '{expect}' in {scene}");
        let refused = expect.contains(": ") && !expect.starts_with("Warning");
        let denial =
            "Error from server (Forbidden): admission webhook \"validate.assay.dev\" denied";
        assert_eq!(scene.starts_with(denial), refused, "{scene}");
    }
    for text in
        ["\"kind\": \"VerificationResult\"", "(exit code 1)", "A new image was admitted in "]
    {
        assert!(ended.stdout.contains(text), "no '{text}' in\n{}", ended.stdout);
    }
}
