//! Docker's credential helpers: programs of the user's that keep passwords.
//!
//! Specification: <https://github.com/docker/docker-credential-helpers#credential-helper-protocol>.

use std::ffi::OsString;
use std::time::Duration;

use assay_core::Credential;
use serde::Deserialize;
use tokio::process::Command;

use crate::process;

/// How helpers are run.
#[derive(Clone, Debug)]
pub(crate) struct Helpers {
    /// Where they are looked for, in place of this process's `PATH`.
    pub(crate) search_path: Option<OsString>,
    /// The time for one answer.
    pub(crate) limit: Duration,
}

impl Default for Helpers {
    fn default() -> Self {
        Self { search_path: None, limit: HELPER_TIMEOUT }
    }
}

/// The time for one answer; helpers that ask a cloud need about one second.
const HELPER_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of an answer; identity tokens seen are below 8 KiB.
pub(crate) const HELPER_BYTES_MAX: usize = 64 * 1024;

/// The name under which an identity token is kept in place of a password.
const TOKEN_USER: &str = "<token>";

/// What a helper that knows no credentials for a host says, in some wording around it.
const NOT_FOUND: &str = "credentials not found";

/// A helper's answer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

impl Helpers {
    /// What the helper `name` keeps for `server`, if anything.
    ///
    /// # Errors
    /// A text without anything that the helper said, which may be secret.
    pub(crate) async fn get(&self, name: &str, server: &str) -> Result<Option<Credential>, String> {
        if !is_helper_name(name) {
            return Err("the name of the credential helper is not one".into());
        }
        let program = format!("docker-credential-{name}");
        let failed = |reason: &str| format!("{program} {reason}");
        let mut command = Command::new(&program);
        if let Some(path) = &self.search_path {
            command.env("PATH", path);
        }
        command.arg("get");
        let run = process::ask(command, server.as_bytes(), HELPER_BYTES_MAX);
        let run = tokio::time::timeout(self.limit, run);
        let (status, output) = match run.await {
            Ok(ended) => ended.map_err(|error| failed(&format!("failed: {}", error.kind())))?,
            Err(_) => return Err(failed("did not answer in time")),
        };
        if output.len() > HELPER_BYTES_MAX {
            return Err(failed("answered at too great a length"));
        }
        if !status.success() {
            return match String::from_utf8_lossy(&output).contains(NOT_FOUND) {
                true => Ok(None),
                false => Err(failed(&format!("failed: {status}"))),
            };
        }
        let answer = serde_json::from_slice(&output);
        let answer: Answer = answer.map_err(|_| failed("sent a malformed answer"))?;
        Ok(answer.credential())
    }
}

impl Answer {
    fn credential(self) -> Option<Credential> {
        match self.username.as_str() {
            TOKEN_USER => Some(Credential::IdentityToken(self.secret)),
            "" => None,
            _ => Some(Credential::Basic { username: self.username, password: self.secret }),
        }
    }
}

/// Whether `name` names a program in `PATH` and nothing else.
pub(crate) fn is_helper_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !name.is_empty() && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_helper_names_that_lead_elsewhere() {
        for (name, expect) in [
            ("ecr-login", true),
            ("osxkeychain", true),
            ("a_B-9", true),
            ("", false),
            ("../x", false),
            ("x/y", false),
            ("x y", false),
            ("x.exe", false),
            ("x\0", false),
        ] {
            assert_eq!(is_helper_name(name), expect, "{name}");
        }
    }
}
