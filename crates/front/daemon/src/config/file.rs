//! `daemon.json`

use super::error::{ConfigError, Result};
use super::flags::Values;
use super::options::{Kind, OPTIONS, Opt, by_key};
use serde_json::{Map, Value};
use std::io;
use std::path::Path;

/// Reads the file. One that is not there is empty, unless it was asked for.
pub(crate) fn read(path: &Path, asked_for: bool) -> Result<Values> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(path, &text),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !asked_for => Ok(Values::new()),
        Err(source) => Err(ConfigError::Unreadable {
            path: path.into(),
            source,
        }),
    }
}

/// Reads the text of a file.
pub(crate) fn parse(path: &Path, text: &str) -> Result<Values> {
    let not_json = |reason: String| ConfigError::NotJson {
        path: path.into(),
        reason,
    };
    // An empty file is what people leave when they have removed the last line.
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Ok(Values::new());
    }
    let entries = match serde_json::from_str(text) {
        Ok(Value::Object(entries)) => entries,
        Ok(_) => return Err(not_json("it is not an object".into())),
        Err(error) => return Err(not_json(error.to_string())),
    };
    values(flatten(entries))
}

/// Lifts the keys of groups that mean nothing themselves, as dockerd does.
fn flatten(entries: Map<String, Value>) -> Map<String, Value> {
    let mut flat = Map::new();
    for (key, value) in entries {
        if let Value::Object(inner) = &value
            && by_key(&key).is_none()
        {
            flat.extend(inner.clone());
        } else {
            flat.insert(key, value);
        }
    }
    flat
}

fn values(entries: Map<String, Value>) -> Result<Values> {
    let known = |key: &str| {
        OPTIONS
            .iter()
            .any(|option| option.key == key && !key.is_empty())
    };
    let unknown: Vec<String> = entries.keys().filter(|key| !known(key)).cloned().collect();
    if !unknown.is_empty() {
        return Err(ConfigError::UnknownKeys { keys: unknown });
    }
    let mut values = Values::new();
    for (key, value) in entries {
        let Some(option) = by_key(&key) else { continue };
        // Docker's own examples write `""` for what is not set, whatever the kind of the key.
        if value.is_null() || value == "" {
            continue;
        }
        check(option, &value)?;
        values.insert(option.key, value);
    }
    Ok(values)
}

fn check(option: &Opt, value: &Value) -> Result<()> {
    let objects_too = option.key == "default-address-pools";
    let text_or_object = |item: &Value| item.is_string() || (objects_too && item.is_object());
    let (fits, expected) = match option.kind {
        Kind::Switch => (value.is_boolean(), "true or false"),
        Kind::Text => (value.is_string(), "a text"),
        Kind::Number => (value.is_i64(), "a whole number"),
        Kind::Map => (value.is_object(), "an object"),
        Kind::List => {
            let items = value.as_array();
            (
                items.is_some_and(|items| items.iter().all(text_or_object)),
                "an array of texts",
            )
        }
    };
    if fits {
        return Ok(());
    }
    let found: String = value.to_string().chars().take(80).collect();
    Err(ConfigError::WrongType {
        key: option.key,
        expected,
        found,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn file(text: &str) -> Result<Values> {
        parse(Path::new("daemon.json"), text)
    }

    #[test]
    fn keys_are_docker_s() {
        let values = file(
            r#"{"icc": false, "mtu": 1400, "hosts": ["fd://"], "dns-opts": ["ndots:1"],
            "default-address-pools": [{"base": "10.0.0.0/8", "size": 24}],
            "runtimes": {"x": {"path": "/x"}}, "features": {"a": true}, "labels": null}"#,
        )
        .unwrap();
        assert_eq!(values.len(), 7);
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let error = file(r#"{"dns-opt": [], "nosuch": 1}"#).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the following directives don't match any configuration option: dns-opt, nosuch"
        );
        let nested = file(r#"{"group-of": {"nosuch": 1}}"#).unwrap_err();
        assert!(nested.to_string().ends_with("option: nosuch"), "{nested}");
    }

    #[test]
    fn a_value_of_another_kind_is_refused() {
        let error = file(r#"{"icc": "no"}"#).unwrap_err().to_string();
        let expected = r#""icc" in the configuration file must be true or false, not "no""#;
        assert_eq!(error, expected);
        for text in [
            r#"{"mtu": 1.5}"#,
            r#"{"dns": "1.1.1.1"}"#,
            r#"{"dns": [1]}"#,
            "[]",
            "{",
        ] {
            assert!(file(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_empty_text_is_not_set() {
        for option in OPTIONS.iter().filter(|option| !option.key.is_empty()) {
            let text = format!(r#"{{"{}": ""}}"#, option.key);
            assert!(file(&text).unwrap().is_empty(), "{text}");
        }
    }

    #[test]
    fn an_empty_file_says_nothing() {
        assert!(file("").unwrap().is_empty() && file("\n{}").unwrap().is_empty());
    }
}
