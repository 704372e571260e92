//! The house as it stands, and the map that `ARCHITECTURE.md` draws of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, MetadataCommand};

/// A member of the workspace.
pub(crate) struct Member {
    /// Relative to the root: `crates/core`.
    pub(crate) folder: String,
    pub(crate) dependencies: Vec<Dependency>,
}

/// One direct dependency of a member.
pub(crate) struct Dependency {
    /// The package; for a member of the workspace its folder's name.
    pub(crate) name: String,
    pub(crate) features: Vec<String>,
    pub(crate) is_dev: bool,
    pub(crate) is_optional: bool,
    pub(crate) is_member: bool,
}

/// A row of the crates table.
pub(crate) struct Room {
    pub(crate) folder: String,
    /// Names of folders.
    pub(crate) may_depend_on: BTreeSet<String>,
    /// Libraries that only the rooms naming them may use; see [`Dependency::is`].
    pub(crate) may_use: BTreeSet<String>,
}

impl Dependency {
    /// Whether `pattern` means this dependency: `kube`, `kube/client` (with that feature) or
    /// `sigstore*` (any package whose name starts so).
    pub(crate) fn is(&self, pattern: &str) -> bool {
        match (pattern.strip_suffix('*'), pattern.split_once('/')) {
            (Some(prefix), _) => self.name.starts_with(prefix),
            (_, Some((name, feature))) => {
                self.name == name && self.features.iter().any(|own| own == feature)
            }
            _ => self.name == pattern,
        }
    }
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("crates/tidy").to_owned()
}

/// The text of a file of the workspace.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every member, as Cargo knows it.
pub(crate) fn members() -> Vec<Member> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata");
    let mut members = Vec::new();
    for package in metadata.packages {
        let folder = package.manifest_path.parent().expect("a folder");
        let folder = folder.strip_prefix(root()).expect("below the root");
        members.push(Member {
            folder: folder.to_string(),
            dependencies: package.dependencies.into_iter().map(dependency).collect(),
        });
    }
    members
}

fn dependency(dependency: cargo_metadata::Dependency) -> Dependency {
    let folder = dependency.path.as_ref().and_then(|path| path.file_name());
    Dependency {
        name: folder.unwrap_or(&dependency.name).to_owned(),
        is_member: folder.is_some(),
        features: dependency.features,
        is_dev: dependency.kind == DependencyKind::Development,
        is_optional: dependency.optional,
    }
}

/// Every package that is compiled for this machine, tests included. `cargo tree` and not `cargo
/// metadata`: only the former leaves out what a feature names without turning it on.
pub(crate) fn compiled_packages() -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--edges", "normal,build,dev"])
        .args(["--prefix", "none", "--format", "{p}"])
        .current_dir(root())
        .output()
        .expect("cargo tree");
    assert!(output.status.success(), "{output:?}");
    let names = String::from_utf8(output.stdout).expect("names of packages");
    let names = names.lines().filter_map(|line| line.split(' ').next());
    names.map(str::to_owned).collect()
}

/// The rooms of the crates table.
pub(crate) fn rooms() -> Vec<Room> {
    let rows = table("crate").into_iter().map(|row| match row.as_slice() {
        [folder, _role, arrows, libraries] => Room {
            folder: folder.trim_matches('`').to_owned(),
            may_depend_on: quoted(arrows),
            may_use: quoted(libraries),
        },
        _ => panic!("not four cells: {row:?}"),
    });
    rows.collect()
}

/// The cells of the table in `ARCHITECTURE.md` whose first heading is `heading`, row by row.
pub(crate) fn table(heading: &str) -> Vec<Vec<String>> {
    let text = read("ARCHITECTURE.md");
    let head = format!("| {heading} |");
    let lines = text.lines().skip_while(|line| !line.starts_with(&head));
    let rows = lines.skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| cells(row.trim_matches('|'))).collect()
}

fn cells(row: &str) -> Vec<String> {
    row.split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// What stands in backticks.
pub(crate) fn quoted(text: &str) -> BTreeSet<String> {
    let parts = text.split('`').skip(1).step_by(2);
    parts.map(str::to_owned).collect()
}

/// Fails with every finding, one a line.
#[track_caller]
pub(crate) fn assert_none(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}
