//! The words for the person whose image was refused: one line per image and policy, most important
//! first, and short enough for an event.

use crate::verdict::{Decision, Effect, ImageVerdict, PolicyVerdict, Verdict, Violation};

/// Bytes of a whole message: an event's note holds 1,024, and the API server adds its own words.
pub const MESSAGE_BYTES_MAX: usize = 900;

/// Characters of one warning: what the Kubernetes API asks for.
pub const WARNING_CHARACTERS_MAX: usize = 120;

/// Violations shown in a line; further ones are counted.
pub const VIOLATIONS_SHOWN: usize = 3;

/// The message of a refusal; empty where the verdict admits. `id` is the request's, in every line.
pub fn refusal(verdict: &Verdict, id: &str) -> String {
    let strictest = match verdict.decision {
        Decision::Admit(_) => return String::new(),
        Decision::Deny => Effect::Deny,
        Decision::Undecided => Effect::Undecided,
    };
    let mut lines: Vec<(Effect, String)> = Vec::new();
    for image in &verdict.images {
        let refusing = image.policies.iter().filter(|policy| policy.effect >= Effect::Undecided);
        lines.extend(refusing.map(|policy| (policy.effect, line(image, policy, id))));
    }
    lines.sort_by_key(|(effect, _)| *effect != strictest);
    join(lines.into_iter().map(|(_, line)| line).collect())
}

/// The warnings of a verdict, each once: policy, container, image without digest, code.
pub fn warnings(verdict: &Verdict) -> Vec<String> {
    let mut warnings = Vec::new();
    for image in &verdict.images {
        for policy in &image.policies {
            let violations = policy.violations.iter().map(|violation| violation.code);
            let violations = violations.filter(|_| policy.effect == Effect::Warn);
            for code in violations.chain(policy.warnings.iter().copied()) {
                let text =
                    format!("[{}] {}{}: {code}", policy.policy, places(image, " "), image.name);
                let text = cut(&printable(&text), WARNING_CHARACTERS_MAX, code.as_str());
                if !warnings.contains(&text) {
                    warnings.push(text);
                }
            }
        }
    }
    warnings
}

/// `[policy] Subject failed verification: SUBJECT (container "web"): VIOLATION; … (request ID)`.
pub fn line(image: &ImageVerdict, policy: &PolicyVerdict, id: &str) -> String {
    let named = match places(image, "") {
        none if none.is_empty() => none,
        some => format!(" ({some})"),
    };
    let reasons = violations(&policy.violations);
    let text = format!(
        "[{}] Subject failed verification: {}{named}: {reasons}",
        policy.policy, image.subject
    );
    let tail = format!(" (request {id})");
    let room = MESSAGE_BYTES_MAX.saturating_sub(tail.len());
    format!("{}{tail}", cut(&printable(&text), room, ""))
}

/// `text` on one line: names and references that do not parse are whatever their author wrote.
fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

fn violations(violations: &[Violation]) -> String {
    let mut shown: Vec<String> = violations.iter().take(VIOLATIONS_SHOWN).map(violation).collect();
    let more = violations.len().saturating_sub(VIOLATIONS_SHOWN);
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join("; ")
}

fn violation(violation: &Violation) -> String {
    let message = &violation.message;
    match &violation.verifier {
        Some(verifier) => format!("{verifier}: {}: {message}", violation.code),
        None => format!("{}: {message}", violation.code),
    }
}

/// `container "web"` for the first of the places, and how many more there are.
fn places(image: &ImageVerdict, end: &str) -> String {
    match image.places.as_slice() {
        [] => String::new(),
        [one] => format!("{one}{end}"),
        [first, rest @ ..] => format!("{first} and {} more{end}", rest.len()),
    }
}

/// As many whole lines as fit, and how many more there are.
fn join(lines: Vec<String>) -> String {
    const MORE: usize = "\nand 256 more".len();
    let total = lines.len();
    let mut message = String::new();
    for (index, line) in lines.into_iter().enumerate() {
        let last = index + 1 == total;
        let room = if last { MESSAGE_BYTES_MAX } else { MESSAGE_BYTES_MAX - MORE };
        if index > 0 && message.len() + 1 + line.len() > room {
            message.push_str(&format!("\nand {} more", total - index));
            break;
        }
        if index > 0 {
            message.push('\n');
        }
        message.push_str(&line);
    }
    message
}

/// `text` in at most `room` bytes, ending in an ellipsis and `keep` where it was cut.
fn cut(text: &str, room: usize, keep: &str) -> String {
    if text.len() <= room {
        return text.to_owned();
    }
    let end = format!("…{keep}");
    let mut length = room.saturating_sub(end.len());
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    format!("{}{end}", text.get(..length).unwrap_or_default())
}
