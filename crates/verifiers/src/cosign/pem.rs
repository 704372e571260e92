//! The PEM of a trust store: public keys, comments, and nothing that might hide something else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What is wrong with the text, to be read after "holds". It repeats nothing of it: a private key
/// may stand there by mistake.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PemError {
    #[error("a PEM block that is cut short or not base64")]
    Block,
    #[error("no key: give one PEM block PUBLIC KEY or more")]
    Empty,
    #[error("a PEM block of another kind: only PUBLIC KEY is supported")]
    OtherBlock,
    #[error("a private key: give the public key, and consider the private one as leaked")]
    PrivateKey,
    #[error("text outside of its PEM blocks: only comments after '#' may stand there")]
    Text,
}

/// The content of every `PUBLIC KEY` block (RFC 7468, section 13), of which there is at least one.
/// Between blocks there are blank lines and lines that begin with `#`; anything else is a mistake
/// that might hide a key.
///
/// # Errors
/// [`PemError`], by what is wrong first.
pub(super) fn public_keys(bytes: &[u8]) -> Result<Vec<Vec<u8>>, PemError> {
    let text = str::from_utf8(bytes).map_err(|_| PemError::Text)?;
    let mut keys = Vec::new();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    while let Some(line) = lines.next() {
        match line {
            "-----BEGIN PUBLIC KEY-----" => keys.push(content(&mut lines)?),
            _ if line.starts_with('#') => {}
            _ if line.contains("PRIVATE KEY") => return Err(PemError::PrivateKey),
            _ if line.starts_with("-----BEGIN ") => return Err(PemError::OtherBlock),
            _ => return Err(PemError::Text),
        }
    }
    if keys.is_empty() { Err(PemError::Empty) } else { Ok(keys) }
}

fn content<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Result<Vec<u8>, PemError> {
    let mut content = String::new();
    for line in lines {
        if line == "-----END PUBLIC KEY-----" {
            return STANDARD.decode(content).map_err(|_| PemError::Block);
        }
        content.push_str(line);
    }
    Err(PemError::Block)
}
