//! Mutants by fixed numbers: what libFuzzer does, without its eyes, in every test run.

/// Texts that mean something to one parser or another, and that no flip of a bit would find.
#[rustfmt::skip]
pub const DICTIONARY: &[&str] = &[
    // references and globs
    "*", "**", "/", "/**", "//", ".", "..", ":", ":443", ":5000", "@", "@sha256:", "sha256:", "sha512:", "latest",
    "docker.io", "index.docker.io", "library/", "localhost", "LOCALHOST", "[::1]", "127.0.0.1", "registry.example",
    "__", "-", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    // JSON
    "{", "}", "[", "]", ",", "\"", "\\", "\\u0000", "\\ud800", "\\u002a", "null", "true", "false", "{}", "[]", "\"\"",
    "0", "-1", "1e999", "18446744073709551616", "[[[[[[[[[[[[[[[[", "{\"a\":{\"a\":{\"a\":{\"a\":",
    // reviews and objects
    "\"uid\":\"1\",", "\"operation\":\"DELETE\",", "\"subResource\":\"status\",", "\"object\":null,", "\"kind\":\"Pod\",",
    "\"kind\":\"Job\",", "\"kind\":\"CronJob\",", "\"kind\":\"PodTemplate\",", "\"apiVersion\":\"batch/v1\",",
    "\"image\":\"x\"", "\"initContainers\":[{}],", "\"ephemeralContainers\":[{}],", "\"volumes\":[{\"image\":{}}],",
    "\"Containers\":[],", "\"spec\":{},", "\"template\":{},",
    // manifests and signatures
    "\"schemaVersion\":2,", "\"mediaType\":\"application/vnd.oci.image.index.v1+json\",", "\"manifests\":[],",
    "\"layers\":[],", "\"config\":null,", "\"subject\":null,", "\"artifactType\":\"\",", "\"annotations\":{},",
    "\"tlogEntries\":[],", "\"certificate\":{},", "\"messageSignature\":{},", "\"hint\":\"\"", "\"optional\":null,", "=", "==",
    // Notary Project envelopes, names and policies
    "\"alg\":\"none\",", "\"crit\":[],", "\"x5c\":[],", "\"b64\":false,", "eyJ9", "ES256", "PS256", "notary.x509", "C=US,",
    "io.cncf.notary.verificationPlugin",
    "\\2c", "\\ ", "=#", "+O=", ";", "x509.subject:", "ca:a", "\"level\":\"skip\"", "\"override\":{},", "\u{0}\u{0}\u{0}",
    // YAML
    "\n", "\r\n", "\n---\n", "\n...\n", "---", "- ", "  ", ": ", "#", "|", ">", "&a ", "*a", "<<: *a", "!!binary ", "? ",
    "\t", "~", "'", "yes", "0x1", "kind: List\nitems:\n", "kind: ImageAdmissionPolicy", "namespace: shop", "deny: no",
    "enforcementAction: warn", "tier: Baseline", "allow: true", "requireDigest: deny", "onError: allow", "10s",
    // bytes that are no text, or not quite
    "\0", "\u{7f}", "\u{feff}", "\u{85}", "\u{2028}", "ä", "ſ", "İ", "🦀",
];

/// How many changes a mutant has at most. One is what finds an unchecked byte; many make one step
/// away from what any check was written for.
const CHANGES_MAX: usize = 5;

/// Bytes that a single change takes away, copies or replaces at most.
const PIECE_BYTES_MAX: usize = 32;

/// An endless source of mutants, the same for the same number.
pub struct Mutator {
    state: u64,
}

impl Mutator {
    /// The source with this number.
    pub fn new(number: u64) -> Self {
        // Xorshift stays at zero.
        Self { state: number | 1 << 63 }
    }

    /// A mutant of one of `seeds`, which must not be empty.
    pub fn mutant(&mut self, seeds: &[&[u8]]) -> Vec<u8> {
        let mut bytes = self.pick(seeds).to_vec();
        for _ in 0..=self.below(CHANGES_MAX) {
            self.change(&mut bytes, seeds);
        }
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, seeds: &[&[u8]]) {
        let at = self.below(bytes.len() + 1);
        let end = at + self.below((bytes.len() - at).min(PIECE_BYTES_MAX) + 1);
        match self.below(8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            3 => drop(bytes.splice(at..at, self.pick(DICTIONARY).bytes())),
            4 => drop(bytes.splice(at..end, self.pick(DICTIONARY).bytes())),
            5 => {
                let other = self.pick(seeds);
                let from = self.below(other.len() + 1);
                drop(bytes.splice(at.., other[from..].iter().copied()));
            }
            flips => {
                let mask = if flips == 6 { 1 << self.below(8) } else { self.next() as u8 };
                bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= mask);
            }
        }
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A number below `bound`, which is not zero.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// Marsaglia's xorshift.
    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn makes_the_same_mutants_from_the_same_number_and_hardly_one_twice() {
        let mutants = |number| {
            let mut mutator = Mutator::new(number);
            (0..100).map(move |_| mutator.mutant(&[b"registry.example/app:1.0"]))
        };
        assert!(mutants(1).eq(mutants(1)));
        assert!(!mutants(1).eq(mutants(2)));
        assert!(mutants(1).collect::<BTreeSet<_>>().len() > 90);
    }
}
