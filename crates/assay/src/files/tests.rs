use assay_verifiers::Factory;

use super::*;

/// A folder of one test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("assay-files-{name}-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    fn policies(&self) -> PolicyFiles {
        PolicyFiles::read(vec![self.0.clone()], CompileOptions::default()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const POLICY: &str = "
apiVersion: assay.dev/v1alpha1
kind: ClusterImageAdmissionPolicy
metadata: {name: all}
spec: {rules: [{images: ['**'], deny: closed}]}
";

/// Looks again, and holds what was found against whether there is something to compile and against
/// what the complaints, and the documents by now, say.
#[track_caller]
fn check_refresh(
    name: &str,
    files: &PolicyFiles,
    changed: bool,
    complaints: &[&str],
    documents: &str,
) {
    let refresh = files.refresh();
    assert_eq!(refresh.changed, changed, "{name}: {refresh:?}");
    assert_eq!(refresh.complaints.len(), complaints.len(), "{name}: {refresh:?}");
    for (found, expect) in refresh.complaints.iter().zip(complaints) {
        assert!(found.contains(expect), "{name}: {found}");
    }
    let found: Vec<String> = files
        .documents()
        .into_iter()
        .map(|document| match document.body {
            Ok(_) => "good".to_owned(),
            Err(error) => error.invalid.field,
        })
        .collect();
    assert_eq!(found.join(", "), documents, "{name}");
}

#[test]
fn keeps_the_last_good_version_of_what_cannot_be_read() {
    let folder = Folder::new("good");
    let bad = |field: &str| POLICY.replace("spec: {", &format!("spec: {{{field}: 1, "));
    folder.write("policy.yaml", &bad("one"));
    folder.write("notes.txt", "no policy");
    let files = folder.policies();
    check_refresh("bad from the start", &files, false, &[], "spec.one");
    folder.write("policy.yaml", &bad("two"));
    check_refresh("bad as before", &files, true, &[], "spec.two");
    folder.write("policy.yaml", POLICY);
    check_refresh("good", &files, true, &[], "good");
    folder.write("policy.yaml", &bad("three"));
    let complaint = "policy.yaml, document 1: spec.three: unknown field";
    check_refresh("bad after good", &files, false, &[complaint], "good");
    check_refresh("the same again", &files, false, &[], "good");
    fs::remove_file(folder.0.join("policy.yaml")).unwrap();
    check_refresh("gone", &files, true, &[], "");
}

#[test]
fn keeps_what_a_folder_held_that_cannot_be_listed() {
    let folder = Folder::new("listed");
    let (inner, away) = (folder.0.join("policies"), folder.0.join("away"));
    fs::create_dir(&inner).unwrap();
    folder.write("policies/policy.yaml", POLICY);
    let files = PolicyFiles::read(vec![inner.clone()], CompileOptions::default()).unwrap();
    fs::rename(&inner, &away).unwrap();
    check_refresh("away", &files, false, &["policies: "], "good");
    fs::rename(&away, &inner).unwrap();
    check_refresh("back", &files, false, &[], "good");
}

#[test]
fn sees_that_keys_changed() {
    let folder = Folder::new("keys");
    folder.write(
        "store.yaml",
        "
apiVersion: assay.dev/v1alpha1
kind: ClusterTrustStore
metadata: {name: keys}
spec: {publicKeys: {file: cosign.pub}}
",
    );
    let files = folder.policies();
    assert_eq!(files.compile(&Factory::default(), None).problems.len(), 1);
    check_refresh("no key", &files, false, &[], "good");
    for (name, key) in [("a key", "one"), ("another key", "two")] {
        folder.write("cosign.pub", key);
        check_refresh(name, &files, true, &[], "good");
        files.compile(&Factory::default(), None);
        check_refresh("the same again", &files, false, &[], "good");
    }
}

#[test]
fn bounds_the_files_of_a_folder() {
    let folder = Folder::new("bound");
    (0..FILES_MAX).for_each(|index| folder.write(&format!("{index}.yaml"), ""));
    assert_eq!(list(&folder.0).unwrap().len(), FILES_MAX);
    folder.write("one-more.yaml", "");
    assert!(list(&folder.0).is_err());
}
