//! The command line, as clap reads it.

use std::path::PathBuf;

use assay_api::StoreId;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// The kinds that have a schema.
const KINDS: [&str; 4] =
    ["ClusterImageAdmissionPolicy", "ClusterTrustStore", "ImageAdmissionPolicy", "TrustStore"];

/// Lets a workload run only when the supply-chain evidence of each of its images checks out.
#[derive(Debug, Parser)]
#[command(name = "assay", version, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve admission reviews.
    Serve(ServeArguments),
    /// Judge images or manifests as the cluster would.
    ///
    /// Exit codes: 0 admitted, 1 denied, 2 usage or invalid policy, 3 could not decide,
    /// 4 no policy covers an image.
    Verify(VerifyArguments),
    /// Show signed, wrongly signed and unsigned images meeting the webhook.
    #[cfg(feature = "demo")]
    Demo,
    /// Print the custom resource definitions.
    Crds,
    /// Print the JSON Schema of policies and trust stores, for editors.
    Schema {
        /// The kind; all of them in one schema unless it is given.
        #[arg(value_name = "KIND", value_parser = KINDS)]
        kind: Option<String>,
    },
    /// Print shell completions.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// The configuration file.
    #[arg(long, env = "ASSAY_CONFIG", value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Where to serve, in place of the configuration's webhook.listen.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<std::net::SocketAddr>,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(false))]
pub(crate) struct VerifyArguments {
    /// Images to judge under every given cluster policy, and the policies of --namespace.
    #[arg(value_name = "IMAGE", group = "what")]
    pub(crate) images: Vec<String>,
    /// Manifests to judge, each object as the cluster would judge it; - is standard input.
    #[arg(short = 'f', long = "filename", value_name = "MANIFESTS", group = "what")]
    pub(crate) manifests: Vec<PathBuf>,
    /// Policies, trust stores, and the Secrets and ConfigMaps they name: files or directories.
    #[arg(short, long, required = true, value_name = "FILE|DIR", num_args = 1)]
    pub(crate) policy: Vec<PathBuf>,
    /// The namespace of images, and of objects that name none.
    #[arg(short, long, default_value = "default", value_name = "NAME")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) namespace: String,
    /// A label of --namespace.
    #[arg(long = "namespace-label", value_name = "K=V", value_parser = label)]
    pub(crate) namespace_labels: Vec<(String, String)>,
    /// A file of public keys that stands in for a trust store; NAMESPACE/NAME is a namespace's.
    #[arg(long = "trust-store", value_name = "NAME=FILE", value_parser = stand_in)]
    pub(crate) trust_stores: Vec<(StoreId, PathBuf)>,
    /// A configuration file, for its defaultAction, registries and credentials.
    #[arg(long, env = "ASSAY_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The form of the result.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    /// What else than a denial makes the exit code 1.
    #[arg(long, value_enum)]
    pub(crate) fail_on: Option<FailOn>,
    /// Exit with 0 where no policy covers an image.
    #[arg(long)]
    pub(crate) allow_unmatched: bool,
    /// Seconds after which what is not known counts as not decided.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// For machines.
    Json,
    /// For machines, in YAML.
    Yaml,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// Warnings.
    Warn,
}

/// A label. Its value may be empty, as in Kubernetes.
fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

fn stand_in(text: &str) -> Result<(StoreId, PathBuf), String> {
    match text.split_once('=') {
        Some((store, file)) if !file.is_empty() => Ok((store.parse()?, file.into())),
        _ => Err("write NAME=FILE, or NAMESPACE/NAME=FILE".to_owned()),
    }
}
