//! `assay`: arguments, configuration, wiring and signals. It decides nothing.

mod cli;
mod clock;
mod crls;
#[cfg(feature = "demo")]
mod demo;
mod files;
mod logging;
mod metrics;
mod policies;
mod serve;
mod tls;
mod verify;
mod wiring;

use std::io::Write;
use std::process::ExitCode;

use assay_api::resources::schemas;
use clap::{CommandFactory, Parser};

use cli::{Arguments, Command};

/// glibc's allocator keeps, after hours of small verifications, as much again as is in use; musl's,
/// of the static binary, is slow where several threads allocate.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Usage, or an invalid policy.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.command) {
        Ok(code) => code,
        Err(error) => {
            // The one place where an error and its causes are printed.
            let _ = writeln!(std::io::stderr(), "assay: {error:#}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    // Two providers in the graph would make every TLS client panic at its first use.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        anyhow::bail!("a crypto provider is installed already");
    }
    match command {
        Command::Serve(arguments) => block_on(serve::run(arguments))?,
        Command::Verify(arguments) => return block_on(verify::run(arguments)),
        #[cfg(feature = "demo")]
        Command::Demo => block_on(demo::run())?,
        Command::Crds => print(&assay_api::resources::crds_yaml()?)?,
        Command::Schema { kind } => print(&schema(kind)?)?,
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "assay", &mut text);
            print(&String::from_utf8(text)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What `work` ends in. Threads that still look up a name or read a file are left behind: they must
/// not hold up an exit whose time has come.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}

/// The JSON Schema of `kind`, or of all kinds in one.
fn schema(kind: Option<String>) -> anyhow::Result<String> {
    let schema = match kind {
        Some(kind) => schemas().into_iter().find(|(own, _)| *own == kind).map(|(_, own)| own),
        None => Some(assay_api::resources::schema()),
    };
    Ok(serde_json::to_string_pretty(&schema)? + "\n")
}

/// Writes a result. A reader that has seen enough is no error.
fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}
