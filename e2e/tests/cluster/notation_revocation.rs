//! Whether certificates of signers are revoked, asked where they say, each way that they can say it
//! (`e2e/tools/notation/revocation.go`).

use anyhow::{Result, ensure};
use assay_e2e::{IDENTITY, Order};
use serde_json::json;

use crate::fixture::Fixture;
use crate::notation::{Stage, store};

/// What a refusal says where a certificate is revoked; where the answer does not tell; and where there
/// is no answer, so that the image is not decided.
const REVOKED: &[&str] = &["(Forbidden)", "enforced: CERTIFICATE_REVOKED: "];
const UNKNOWN: &[&str] = &["(Forbidden)", "enforced: REVOCATION_UNKNOWN: "];
const UNDECIDED: &[&str] = &["(ServiceUnavailable)", "enforced: REVOCATION_UNKNOWN: "];

pub(crate) fn asks_lists(fixture: &mut Fixture) -> Result<()> {
    check(fixture, "notation-lists", &[("good", &[]), ("revoked", REVOKED), ("unlisted", UNKNOWN)])
}

/// By GET, and by POST where the question is too long.
pub(crate) fn asks_responders(fixture: &mut Fixture) -> Result<()> {
    check(
        fixture,
        "notation-responders",
        &[
            ("ocsp-good", &[]),
            ("ocsp-revoked", REVOKED),
            ("ocsp-unknown", UNKNOWN),
            ("ocsp-posted", &[]),
            ("ocsp-silent", UNDECIDED),
        ],
    )
}

pub(crate) fn believes_responders_whose_purpose_it_is(fixture: &mut Fixture) -> Result<()> {
    check(
        fixture,
        "notation-delegates",
        &[("ocsp-delegate", &[]), ("ocsp-delegate-revoked", REVOKED), ("ocsp-pretender", UNKNOWN)],
    )
}

pub(crate) fn asks_lists_where_responders_are_silent(fixture: &mut Fixture) -> Result<()> {
    check(
        fixture,
        "notation-fallback",
        &[("ocsp-silent-good", &[]), ("ocsp-silent-revoked", REVOKED)],
    )
}

/// Holds that images by these signers are refused with these texts, or admitted if there are none, and
/// that the Notary Project's own library has it the same; and that all are admitted if nobody is asked.
fn check(fixture: &Fixture, name: &'static str, signers: &[(&str, &[&str])]) -> Result<()> {
    let notary = fixture.notary()?;
    let root = store(fixture, name, "ca", &notary.root("good")?)?;
    let spec = |revocation: &str| {
        json!({
            "trustStores": [root],
            "trustedIdentities": [IDENTITY],
            "revocation": revocation,
        })
    };
    let verifiers = [("enforced", spec("enforce")), ("skipped", spec("skip"))];
    let stage = Stage::set(fixture, name, &verifiers)?;
    for (signer, texts) in signers {
        let [enforced, skipped] = [stage.push("enforced", signer)?, stage.push("skipped", signer)?];
        notary.sign(&[Order::new(&enforced, signer), Order::new(&skipped, signer)])?;
        if texts.is_empty() {
            stage.admits(signer, &enforced)?;
        }
        for text in *texts {
            stage.refuses(signer, &enforced, text)?;
        }
        stage.admits(&format!("{signer}, skipped"), &skipped)?;
        let found = notary.accepts(&enforced, "ca", signer, None)?;
        // The library does not look at the purpose of a responder.
        let expected = texts.is_empty() || *signer == "ocsp-pretender";
        ensure!(found == expected, "notation-go on {signer}: {found}");
    }
    Ok(())
}
