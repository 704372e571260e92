//! The result, for people and for machines.

use std::fmt::Write;

use assay_policy::{ImageVerdict, Object, PolicyVerdict, Verdict, VerificationResult, Violation};
use jiff::Timestamp;

use super::Judged;
use crate::cli::Output;

/// The result in the form asked for.
pub(super) fn render(
    output: Output,
    judged: &[Judged],
    id: &str,
    timestamp: Timestamp,
) -> anyhow::Result<String> {
    let verdicts: Vec<&Verdict> = judged.iter().map(|judged| &judged.verdict).collect();
    let result = VerificationResult::new(&verdicts, id, timestamp);
    Ok(match output {
        Output::Table => table(judged),
        Output::Json => format!("{}\n", serde_json::to_string_pretty(&result)?),
        Output::Yaml => serde_saphyr::to_string(&result)?,
    })
}

/// `Deployment web`; empty for a bare image.
pub(super) fn object_name(object: &Object) -> String {
    let name = if object.name.is_empty() { &object.generate_name } else { &object.name };
    if name.is_empty() { String::new() } else { format!("{} {name}", object.kind) }
}

fn table(judged: &[Judged]) -> String {
    let mut text = String::new();
    for Judged { object, verdict } in judged {
        for image in &verdict.images {
            let places = image.places.join(", ");
            let place = match (object.is_empty(), places.is_empty()) {
                (true, _) => String::new(),
                (false, true) => format!(" ({object})"),
                (false, false) => format!(" ({object}, {places})"),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{:<9} {}{place}", image.effect().as_str(), image.subject);
            if !image.covered {
                let _ = writeln!(text, "          no policy covers this image");
            }
            image.policies.iter().for_each(|policy| describe(&mut text, image, policy));
        }
    }
    text
}

fn describe(text: &mut String, image: &ImageVerdict, policy: &PolicyVerdict) {
    let rule =
        policy.rule.map(|rule| format!(", rule {}", rule.saturating_add(1))).unwrap_or_default();
    let _ = writeln!(text, "          [{}]{rule}: {}", policy.policy, policy.effect.as_str());
    for Violation { verifier, code, message } in &policy.violations {
        let verifier = verifier.as_deref().map(|name| format!("{name}: ")).unwrap_or_default();
        let _ = writeln!(text, "            {verifier}{code}: {message}");
        let _ = writeln!(text, "            next: {}", code.remediation());
    }
    for code in &policy.warnings {
        let _ = writeln!(text, "            warning: {code}: {}", code.remediation());
    }
    let signed = image
        .reports
        .iter()
        .filter(|named| named.policy == policy.policy && named.report.is_success);
    for named in signed {
        let _ = writeln!(text, "            {}: {}", named.name, named.report.message);
    }
}
