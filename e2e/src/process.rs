//! Child processes that cannot outlive the test, and commands that run to their end.

use std::fs::{File, OpenOptions, read_to_string};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::wait::until;

/// Lines of a log that a failure shows.
const LOG_TAIL_LINES: usize = 20;

/// A running part. It is killed when dropped, so also when a test panics.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// What a command printed, and whether it succeeded.
#[derive(Clone, Debug)]
pub struct Output {
    /// Whether it exited with 0.
    pub success: bool,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Process {
    /// The started `command`, which writes its output to `<directory>/<name>.log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(name: &str, mut command: Command, directory: &Path) -> Result<Self> {
        let log = directory.join(format!("{name}.log"));
        let file = OpenOptions::new().create(true).append(true).open(&log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// Returns once `ready` holds.
    ///
    /// # Errors
    /// When the process exits first, or does not become ready in time; both with the end of its
    /// log.
    pub(crate) fn wait_until(&mut self, mut ready: impl FnMut() -> bool) -> Result<()> {
        let Self { name, child, log } = self;
        until(&format!("{name} to be ready"), || {
            if let Some(status) = child.try_wait()? {
                bail!("{name} ended with {status}");
            }
            Ok(ready().then_some(()))
        })
        .with_context(|| tail(log))
    }
}

impl Process {
    /// The process's number.
    pub(crate) fn number(&self) -> u32 {
        self.child.id()
    }

    /// The bytes of it that are in memory.
    ///
    /// # Errors
    /// When the system does not tell: it tells on Linux.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        let status = read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(kibibytes.context("no VmRSS")?.trim().parse::<u64>()? * 1024)
    }

    /// Ends it as kubelet does, by SIGTERM, and waits for it.
    ///
    /// # Errors
    /// When it does not end, or not with success.
    pub(crate) fn terminate(mut self) -> Result<()> {
        // The shell's own `kill`: a program of that name is not everywhere.
        let kill = format!("kill -TERM {}", self.child.id());
        run(Command::new("sh").args(["-c", &kill]), "")?.succeeded()?;
        let Self { name, child, log } = &mut self;
        let status = until(&format!("the end of {name}"), || Ok(child.try_wait()?))?;
        ensure!(status.success(), "{name} ended with {status}; {}", tail(log));
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only where the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Output {
    /// The standard output.
    ///
    /// # Errors
    /// When the command failed, with what it printed.
    pub fn succeeded(self) -> Result<String> {
        ensure!(self.success, "unexpected failure: {}", self.stderr);
        Ok(self.stdout)
    }

    /// The standard error.
    ///
    /// # Errors
    /// When the command succeeded, with what it printed.
    pub fn failed(self) -> Result<String> {
        ensure!(!self.success, "unexpected success: {}{}", self.stdout, self.stderr);
        Ok(self.stderr)
    }
}

/// A command that sees nothing of the caller's environment: no proxies, no credentials, no cluster.
pub(crate) fn command(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("HOME", home).current_dir(home);
    command
}

/// What `command` printed when it was given `input`. It must bound its own run time.
pub(crate) fn run(command: &mut Command, input: &str) -> Result<Output> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
    // Dropping the pipe ends the input. A command that does not read it closes it: no error.
    child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    Ok(Output {
        success: output.status.success(),
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}

/// A port of 127.0.0.1 that was free just now.
///
/// # Errors
/// When there is none.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Writes `text` into a new file that only the owner can read, and returns its path.
pub(crate) fn write(directory: &Path, name: &str, text: &str) -> Result<PathBuf> {
    use std::os::unix::fs::OpenOptionsExt;
    let path = directory.join(name);
    let options = File::options().write(true).create(true).truncate(true).mode(0o600).clone();
    options.open(&path)?.write_all(text.as_bytes())?;
    Ok(path)
}

fn tail(log: &Path) -> String {
    let text = read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let end = lines.get(lines.len().saturating_sub(LOG_TAIL_LINES)..).unwrap_or_default();
    format!("the end of {}:\n{}", log.display(), end.join("\n"))
}
