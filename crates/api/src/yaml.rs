//! YAML text into JSON values into types, as `kubectl` does it, so that a document means in a file
//! what it means in the cluster, and an error names the field.

use std::ops::Range;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::{MessageFormatter, UserMessageFormatter};

use crate::limits::{YAML_DEPTH_MAX, YAML_NODES_MAX};

/// The documents of a YAML stream: the index of each one's first line, from 0, and its text.
///
/// A line that begins with `---` or `...` and a blank is a marker wherever it stands (YAML 1.2,
/// section 9.1.2), so a document that does not parse cannot hide the next one.
pub(crate) fn split(text: &str) -> Vec<(usize, &str)> {
    let mut documents = Vec::new();
    let mut range = Range { start: 0, end: 0 };
    let mut first_line = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if is_marker(line) {
            documents.push((first_line, range.clone()));
            range.start = range.end;
            first_line = index;
        }
        range.end += line.len();
    }
    documents.push((first_line, range));
    let text_of = |(line, range)| Some((line, text.get(range)?));
    documents.into_iter().filter_map(text_of).collect()
}

fn is_marker(line: &str) -> bool {
    let rest = line.strip_prefix("---").or_else(|| line.strip_prefix("..."));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// The value of one document, `None` where it is empty. `first_line` is that of the document in its
/// file, for the error.
pub(crate) fn parse(text: &str, first_line: usize) -> Result<Option<Value>, String> {
    // What follows the end of a document belongs to no document.
    let text = text.strip_prefix("...").unwrap_or(text);
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: YAML_DEPTH_MAX,
            flow_nesting_limit: YAML_DEPTH_MAX,
            max_nodes: YAML_NODES_MAX,
            max_events: 4 * YAML_NODES_MAX,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: YAML_NODES_MAX },
        // YAML 1.2: a namespace `n` and a text `no` are no booleans.
        strict_booleans: true,
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options(text, options) {
        Ok(Value::Null) => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(describe(&error, first_line)),
    }
}

fn describe(error: &serde_saphyr::Error, first_line: usize) -> String {
    let message = UserMessageFormatter.format_message(error);
    let location =
        error.location().and_then(|at| Some((usize::try_from(at.line()).ok()?, at.column())));
    match location {
        Some((line, column)) => {
            format!("line {}, column {column}: {message}", line.saturating_add(first_line))
        }
        None => message.into_owned(),
    }
}

/// `value` as a `T`.
///
/// # Errors
/// The path of the field that does not fit, `document` for the whole, and why.
pub(crate) fn decode<T: DeserializeOwned>(value: Value) -> Result<T, (String, String)> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { "document".to_owned() } else { path };
        (path, error.into_inner().to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_split(text: &str, expect: &[(usize, &str)]) {
        assert_eq!(split(text), expect, "{text:?}");
    }

    #[test]
    fn splits_at_markers_only() {
        check_split("a: 1\n", &[(0, "a: 1\n")]);
        check_split("a: 1\n---\nb: 2\n", &[(0, "a: 1\n"), (1, "---\nb: 2\n")]);
        check_split("a\n...\nb", &[(0, "a\n"), (1, "...\nb")]);
        check_split("a: |\n  x\n--- # y\nb", &[(0, "a: |\n  x\n"), (2, "--- # y\nb")]);
        check_split("a\r\n---\r\nb", &[(0, "a\r\n"), (1, "---\r\nb")]);
        for text in ["-----BEGIN\nx", "a: |\n  ---\n  x", "---x\n", "....\n"] {
            check_split(text, &[(0, text)]);
        }
    }

    #[test]
    fn names_the_line_in_the_file() {
        let error = parse("---\na: 1\nb: ]\n", 9).unwrap_err();
        assert!(error.starts_with("line 12, "), "{error}");
    }

    #[test]
    fn names_the_field() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Outer {
            #[serde(rename = "inner")]
            _inner: Vec<Inner>,
        }
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Inner {
            #[serde(rename = "number")]
            _number: u8,
        }
        for (text, expect) in [
            ("{inner: [{number: 1}, {number: x}]}", "inner[1].number"),
            ("{inner: [{number: 1, more: 2}]}", "inner[0].more"),
            ("{inner: [{}]}", "inner[0]"),
            ("[]", "document"),
        ] {
            let value = parse(text, 0).unwrap().unwrap();
            assert_eq!(decode::<Outer>(value).unwrap_err().0, expect, "{text}");
        }
    }

    #[test]
    fn bounds_depth_and_nodes() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let wide = |nodes: usize| format!("[{}]", vec!["1"; nodes - 1].join(","));
        for (name, text, expect) in [
            ("depth at the bound", nested(YAML_DEPTH_MAX), true),
            ("depth past it", nested(YAML_DEPTH_MAX + 1), false),
            ("nodes at the bound", wide(YAML_NODES_MAX), true),
            ("nodes past it", wide(YAML_NODES_MAX + 1), false),
        ] {
            assert_eq!(parse(&text, 0).is_ok(), expect, "{name}");
        }
    }

    #[test]
    fn rejects_alias_bombs_and_doubled_keys() {
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..9 {
            let refs = vec![format!("*a{}", level - 1); 10].join(",");
            bomb.push_str(&format!("a{level}: &a{level} [{refs}]\n"));
        }
        assert!(parse(&bomb, 0).is_err());
        assert!(parse("a: &a [1]\nb: *a\n", 0).is_ok());
        assert!(parse("a: 1\na: 2\n", 0).is_err());
    }
}
