//! Programs that know passwords: asked by their standard input, and answering by their standard output,
//! of which only so much is read.

use std::io;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// How `command`, given `input`, ended, and the first bytes of what it wrote: one more than
/// `bytes_max` where there are more. It is killed where nobody waits for it any longer.
pub(crate) async fn ask(
    mut command: Command,
    input: &[u8],
    bytes_max: usize,
) -> io::Result<(ExitStatus, Vec<u8>)> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read what it is asked may still answer.
        let _ = stdin.write_all(input).await;
    }
    let mut output = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
        stdout.take(limit.saturating_add(1)).read_to_end(&mut output).await?;
    }
    Ok((child.wait().await?, output))
}
