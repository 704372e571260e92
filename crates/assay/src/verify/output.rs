//! The result, for people and for machines.

use std::iter;

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

/// `Deployment web`; empty for an image of the command line.
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
            line(&mut text, 0, format!("{:<9} {}{place}", image.effect().as_str(), image.subject));
            if !image.covered {
                line(&mut text, 10, "no policy covers this image");
            }
            image.policies.iter().for_each(|policy| describe(&mut text, image, policy));
        }
    }
    text
}

fn describe(text: &mut String, image: &ImageVerdict, policy: &PolicyVerdict) {
    let rule = policy.rule.map(|rule| format!(" rules[{rule}]")).unwrap_or_default();
    line(text, 10, format!("[{}]{rule}: {}", policy.policy, policy.effect.as_str()));
    for Violation { verifier, code, message } in &policy.violations {
        let verifier = verifier.as_deref().map(|name| format!("{name}: ")).unwrap_or_default();
        line(text, 12, format!("{verifier}{code}: {message}"));
        line(text, 12, format!("next: {}", code.remediation()));
    }
    for code in &policy.warnings {
        line(text, 12, format!("warning: {code}: {}", code.remediation()));
    }
    let signed = image
        .reports
        .iter()
        .filter(|named| named.policy == policy.policy && named.report.is_success);
    for named in signed {
        line(text, 12, format!("{}: {}", named.name, named.report.message));
    }
}

/// Adds a line. Names and references are whatever their author wrote: none may break the line, or
/// tell the terminal anything.
fn line(text: &mut String, indent: usize, words: impl AsRef<str>) {
    text.extend(iter::repeat_n(' ', indent));
    text.extend(words.as_ref().chars().map(|char| if char.is_control() { ' ' } else { char }));
    text.push('\n');
}
