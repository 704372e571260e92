//! JSON read the simple way, member by member, to compare with what the code under test made of it.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// The text at `path` in `json`: names of members, and a number for an item of a list. Nothing where
/// there is none, or where it is null.
pub(crate) fn at(json: &[u8], path: &[&str]) -> Option<String> {
    // What the code under test skips need not be UTF-8.
    let mut text = String::from_utf8_lossy(json).into_owned();
    for step in path {
        let part = match step.parse::<usize>() {
            Err(_) => serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(&text)
                .ok()?
                .remove(*step)?,
            Ok(index) => {
                let items: Vec<Box<RawValue>> = serde_json::from_str(&text).ok()?;
                items.into_iter().nth(index)?
            }
        };
        text = part.get().to_owned();
    }
    (text != "null").then_some(text)
}

/// The string at `path` in `json`.
pub(crate) fn string_at(json: &[u8], path: &[&str]) -> Option<String> {
    serde_json::from_str(&at(json, path)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_there() {
        let json = br#" {"a": [{}, {"b": "c\u0064"}], "n": null} "#;
        assert_eq!(at(json, &["a", "1"]).as_deref(), Some(r#"{"b": "c\u0064"}"#));
        assert_eq!(string_at(json, &["a", "1", "b"]).as_deref(), Some("cd"));
        for path in [["n"].as_slice(), &["b"], &["a", "2"], &["a", "b"], &["a", "0", "b"]] {
            assert_eq!(at(json, path), None, "{path:?}");
        }
        assert_eq!(string_at(json, &["a"]), None);
    }
}
