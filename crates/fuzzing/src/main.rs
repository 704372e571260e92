//! Writes what libFuzzer begins with into a folder: the seeds of each target, and the dictionary.

use std::path::PathBuf;
use std::{env, fs, io};

use assay_fuzzing::{DICTIONARY, TARGETS};

fn main() -> io::Result<()> {
    let usage = || io::Error::other("usage: assay-fuzzing FOLDER");
    let folder = env::args_os().nth(1).map(PathBuf::from).ok_or_else(usage)?;
    for target in TARGETS {
        let folder = folder.join(target.name);
        fs::create_dir_all(&folder)?;
        for (index, seed) in target.seeds.to_bytes().iter().enumerate() {
            fs::write(folder.join(format!("seed-{index}")), seed)?;
        }
    }
    let entries: Vec<String> = DICTIONARY.iter().map(|token| entry(token)).collect();
    fs::write(folder.join("dictionary"), entries.concat())
}

/// A line of libFuzzer's dictionaries, where everything may be written as a byte in hexadecimal.
fn entry(token: &str) -> String {
    let bytes: String = token.bytes().map(|byte| format!("\\x{byte:02x}")).collect();
    format!("\"{bytes}\"\n")
}
