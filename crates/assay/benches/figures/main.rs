//! The figures of `docs/benchmarks.md`, each beside a yardstick of the same run: `make bench`, or
//! `cargo bench -p assay --bench figures -- NAME…` for some of them.
//!
//! What is measured is the built binary as a process, but for parsing and matching, which are too
//! short to be seen from outside. It reads processor time and memory from `/proc`, so: on Linux.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the time")]
#![allow(clippy::print_stdout, reason = "the table goes to standard output")]
#![allow(clippy::expect_used, reason = "a benchmark may end where something is broken")]

mod cold;
mod constant;
mod load;
mod matching;
mod numbers;
mod parse;
mod process;
mod table;
mod warm;
mod world;

use std::path::Path;

use anyhow::{Context, Result, ensure};

use table::Figure;

/// Measures one group of figures.
type Measure = fn() -> Result<Vec<Figure>>;

/// What can be named, and what takes its figures.
const GROUPS: [(&str, Measure); 6] = [
    ("parse", parse::figures),
    ("matching", matching::figures),
    ("start", process::start),
    ("warm", warm::figures),
    ("cold", cold::figures),
    ("memory", process::memory),
];

fn main() -> Result<()> {
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        anyhow::bail!("a crypto provider is installed already");
    }
    // `cargo bench` adds --bench.
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let Some(constant::ARGUMENT) = arguments.first().map(String::as_str) {
        return constant::run(Path::new(arguments.get(1).context("the folder is missing")?));
    }
    let names = GROUPS.map(|(name, _)| name);
    for argument in &arguments {
        ensure!(names.contains(&argument.as_str()), "{argument} is none of {names:?}");
    }
    print_machine();
    table::print_head();
    for (name, figures) in GROUPS {
        if arguments.is_empty() || arguments.iter().any(|argument| argument == name) {
            for figure in figures().with_context(|| name.to_owned())? {
                figure.print();
            }
        }
    }
    Ok(())
}

/// Says what the figures are of.
fn print_machine() {
    let line = |file: &str, key| world::line_of(Path::new(file), key);
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    println!("{}, {processors} processors", line("/proc/cpuinfo", "model name"));
    println!("{} of memory, {}", line("/proc/meminfo", "MemTotal"), line("/proc/version", "Linux"));
    println!("load average {}", line("/proc/loadavg", ""));
}
