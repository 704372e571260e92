//! Notary Project signatures: the Notary Project's own library and ours, each on what both made.

use anyhow::{Result, ensure};
use assay_e2e::{Envelope, Envelopes};

use crate::fixture::Fixture;

/// When what expires of signatures and all certificates have expired.
const LATE: &str = "2200-01-01T00:00:00Z";

pub(crate) fn agrees_with_notation_go(fixture: &mut Fixture) -> Result<()> {
    let makers = [
        ("notation-go", Envelopes::of_notation_go(&fixture.directory)?),
        ("notation-rs", Envelopes::of_notation_rs(&fixture.directory)?),
    ];
    for (maker, envelopes) in makers {
        for envelope in Envelope::all() {
            let own = envelope.key;
            let other = if own == "es256" { "ps256" } else { "es256" };
            let late = match (envelope.is_expiring, envelope.scheme) {
                (true, _) => "expiry",
                (false, "x509") => "authenticTimestamp",
                // The authority is trusted to say when it signed.
                (false, _) => "pass",
            };
            for (root, now, expected) in
                [(own, None, "pass"), (other, None, "authenticity"), (own, Some(LATE), late)]
            {
                let ours = envelopes.notation_rs_says(envelope, root, now)?;
                ensure!(ours == expected, "{maker}, {envelope:?}, {root}, {now:?}: {ours}");
            }
            for (root, expected) in [(own, true), (other, false)] {
                let theirs = envelopes.notation_go_accepts(envelope, root)?;
                ensure!(theirs == expected, "notation-go on {maker}, {envelope:?}, {root}");
            }
        }
    }
    Ok(())
}
