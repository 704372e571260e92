//! Rules about files: each Rust file says why it exists and stays short, nothing is left undone,
//! no text names a folder of one machine, and no link leads nowhere.

use std::path::Path;

use crate::house::{assert_none, root};

/// Lines of a Rust file without its tests; past this, look for the second idea in it.
const LINES_MAX: usize = 600;

/// What no file may hold, and why. This file is the one exception.
const FORBIDDEN: &[(&str, &str)] = &[
    ("todo!(", "is left undone"),
    ("unimplemented!(", "is left undone"),
    ("FIXME", "is left undone"),
    ("XXX", "is left undone"),
    ("#[ignore", "has a test that does not run"),
    ("/work/", "names a folder of one machine"),
    ("/home/", "names a folder of one machine"),
    ("/Users/", "names a folder of one machine"),
    ("/tmp/", "names a folder that is not everywhere: ask for a temporary one"),
];

/// Folders and files that nobody wrote by hand.
const NOT_OURS: [&str; 4] = [".git", "Cargo.lock", "go.sum", "target"];

/// A text file of the workspace.
struct File {
    /// Relative to the root.
    path: String,
    text: String,
}

impl File {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether it holds the tests of the file beside it, which says why they exist.
    fn is_unit_tests(&self) -> bool {
        self.path.ends_with("/tests.rs")
    }

    /// The lines before the tests; none of a file that holds only tests.
    fn lines_without_tests(&self) -> usize {
        if self.path.contains("/tests/") || self.is_unit_tests() {
            return 0;
        }
        let code = self.text.split("#[cfg(test)]\nmod tests {").next();
        code.unwrap_or_default().lines().count()
    }

    /// The links to other files of the workspace.
    fn links(&self) -> impl Iterator<Item = &str> {
        let is_text = self.path.ends_with(".md");
        let links = self.text.split("](").skip(1).filter(move |_| is_text);
        let links = links.filter_map(|rest| rest.split([')', '#']).next());
        links.filter(|link| !link.is_empty() && !link.contains(':'))
    }
}

/// What is wrong with a file.
fn faults(file: &File) -> Vec<String> {
    let mut faults = Vec::new();
    if file.is_rust() && !file.is_unit_tests() && !file.text.starts_with("//!") {
        faults.push("does not begin by saying why it exists (//!)".to_owned());
    }
    let lines = file.lines_without_tests();
    if file.is_rust() && lines > LINES_MAX {
        faults.push(format!("has {lines} lines: look for the second idea in it"));
    }
    let held = FORBIDDEN.iter().filter(|(word, _)| file.text.contains(word));
    faults.extend(held.map(|(word, why)| format!("{why}: {word}")));
    faults
}

/// Every text file below `folder`.
fn files(folder: &Path) -> Vec<File> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default();
        if NOT_OURS.iter().any(|other| name == *other) {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path));
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            let path = path.strip_prefix(root()).expect("below the root");
            let path = path.display().to_string();
            found.push(File { path, text });
        }
    }
    found
}

#[test]
fn files_keep_the_rules() {
    let files = files(&root());
    assert!(files.iter().any(|file| file.path == "crates/core/src/lib.rs"));
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| !file.path.ends_with(file!())) {
        findings.extend(faults(file).iter().map(|fault| format!("{} {fault}", file.path)));
    }
    assert_none(&findings);
}

#[test]
fn links_lead_somewhere() {
    let mut findings = Vec::new();
    for file in files(&root()) {
        let path = root().join(&file.path);
        let here = path.parent().expect("a folder");
        let dead = file.links().filter(|link| !here.join(link).exists());
        findings.extend(dead.map(|link| format!("{}: no {link}", file.path)));
    }
    assert_none(&findings);
}

#[track_caller]
fn check_faults(path: &str, text: &str, expect: usize) {
    let (path, text) = (path.to_owned(), text.to_owned());
    let found = faults(&File { path, text });
    assert_eq!(found.len(), expect, "{found:?}");
}

#[test]
fn rules_refuse_untidy_files() {
    let head = "//! Why.\n";
    let at_most = head.repeat(LINES_MAX);
    let tests = format!("{at_most}#[cfg(test)]\nmod tests {{\n");
    for (path, text, expect) in [
        ("src/a.rs", head, 0),
        ("src/a.rs", "use std::fs;\n", 1),
        ("src/a/tests.rs", "use std::fs;\n", 0),
        ("README.md", "use std::fs;\n", 0),
        ("src/a.rs", at_most.as_str(), 0),
        ("src/a.rs", &format!("{at_most}fn more() {{}}\n"), 1),
        ("src/a.rs", &tests.repeat(2), 0),
        ("crates/a/tests/b.rs", &at_most.repeat(2), 0),
        ("src/a.rs", "//! Why.\nfn a() { todo!() }\n", 1),
        ("src/a.rs", "//! Why.\n#[ignore = \"slow\"]\n", 1),
        ("docs/a.md", "see /home/someone/assay\n", 1),
    ] {
        check_faults(path, text, expect);
    }
}
