//! The `filters` parameter: two JSON forms, one meaning.

use crate::error::ApiError;
use crate::query::Query;
use regex_lite::Regex;
use sealane_core::model::ErrorClass;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Filters by key, each with its values.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Filters(pub(crate) BTreeMap<String, Vec<String>>);

#[derive(Deserialize)]
#[serde(untagged)]
enum Wire {
    /// `{"name":{"a":true}}`, what clients send today.
    Maps(BTreeMap<String, Option<BTreeMap<String, bool>>>),
    /// `{"name":["a"]}`, what older ones send.
    Lists(BTreeMap<String, Option<Vec<String>>>),
}

impl Filters {
    /// Reads the parameter `filters` and refuses keys that are not `accepted`.
    pub(crate) fn of(query: &Query, accepted: &[&str]) -> Result<Self, ApiError> {
        let filters = Self::unchecked(query)?;
        match filters
            .0
            .keys()
            .find(|key| !accepted.contains(&key.as_str()))
        {
            Some(key) => Err(ApiError::invalid(format!("invalid filter '{key}'"))),
            None => Ok(filters),
        }
    }

    /// Reads the parameter `filters`; the caller checks the keys.
    pub(crate) fn unchecked(query: &Query) -> Result<Self, ApiError> {
        let Some(text) = query.text("filters") else {
            return Ok(Self::default());
        };
        let wire = serde_json::from_str(text).map_err(|_| ApiError::invalid("invalid filter"))?;
        Ok(Self(match wire {
            Wire::Maps(maps) => {
                let values = |values: Option<BTreeMap<String, bool>>| {
                    values.unwrap_or_default().into_keys().collect()
                };
                maps.into_iter()
                    .map(|(key, map)| (key, values(map)))
                    .collect()
            }
            Wire::Lists(lists) => lists
                .into_iter()
                .map(|(key, list)| (key, list.unwrap_or_default()))
                .collect(),
        }))
    }

    /// The values of a key.
    pub(crate) fn values(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// Whether there is no value for the key, or `text` is one of them.
    pub(crate) fn exact(&self, key: &str, text: &str) -> bool {
        let values = self.values(key);
        values.is_empty() || values.iter().any(|value| value == text)
    }

    /// As [`Self::exact`], but the values are also regular expressions that match anywhere.
    pub(crate) fn pattern(&self, key: &str, text: &str) -> bool {
        let found = |value: &String| Regex::new(value).is_ok_and(|regex| regex.is_match(text));
        self.exact(key, text) || self.values(key).iter().any(found)
    }

    /// Whether the labels have all that the key asks for, as `name` or `name=value`.
    pub(crate) fn labels(&self, key: &str, labels: &BTreeMap<String, String>) -> bool {
        self.values(key)
            .iter()
            .all(|wanted| match wanted.split_once('=') {
                Some((name, value)) => labels.get(name).is_some_and(|has| has == value),
                None => labels.contains_key(wanted),
            })
    }

    /// The one value of a key that may be given once.
    pub(crate) fn single(&self, key: &str) -> Result<Option<&str>, ApiError> {
        match self.values(key) {
            [] => Ok(None),
            [value] => Ok(Some(value)),
            _ => {
                let text = format!("got more than one value for filter key \"{key}\"");
                Err(ApiError::invalid(text))
            }
        }
    }

    /// Whether a key is switched on; `None` if it is absent.
    pub(crate) fn boolean(&self, key: &str) -> Result<Option<bool>, ApiError> {
        let Some(values) = self.0.get(key) else {
            return Ok(None);
        };
        let has = |words: [&str; 2]| values.iter().any(|value| words.contains(&value.as_str()));
        match (has(["1", "true"]), has(["0", "false"])) {
            (true, false) => Ok(Some(true)),
            (false, true) => Ok(Some(false)),
            (_, _) if values.is_empty() => {
                Err(ApiError::invalid(format!("invalid filter '{key}'")))
            }
            (_, _) => {
                let shown: String = values.join(" ").chars().take(200).collect();
                Err(ApiError::invalid(format!(
                    "invalid filter '{key}=[{shown}]'"
                )))
            }
        }
    }

    /// The error for a value that the key does not have. Docker answers it with a 500.
    pub(crate) fn bad_value(key: &str, value: &str) -> ApiError {
        let shown: String = value.chars().take(200).collect();
        ApiError::new(
            ErrorClass::Internal,
            format!("invalid filter: '{key}'='{shown}'"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(json: &str) -> Result<Filters, ApiError> {
        let query = Query::parse(&format!("filters={}", json.replace('+', "%2B")))?;
        Filters::of(&query, &["name", "label", "type"])
    }

    #[test]
    fn both_forms_mean_the_same() {
        let maps = filters(r#"{"name":{"a":true,"b":true},"label":null}"#).unwrap();
        let lists = filters(r#"{"name":["a","b"],"label":null}"#).unwrap();
        assert_eq!(maps, lists);
        assert_eq!(maps.values("name"), ["a", "b"]);
    }

    #[test]
    fn what_cannot_be_read_is_refused_in_docker_words() {
        for json in [
            "x",
            "[]",
            "{\"name\":1}",
            "{\"name\":[1]}",
            "{\"name\":\"a\"}",
            "\"a\"",
        ] {
            assert_eq!(
                filters(json).unwrap_err().to_string(),
                "invalid filter",
                "{json}"
            );
        }
        let unknown = filters(r#"{"nosuch":["x"]}"#).unwrap_err();
        assert_eq!(unknown.to_string(), "invalid filter 'nosuch'");
    }

    #[test]
    fn names_match_in_part_and_as_expressions() {
        let matches = |value: &str, name: &str| {
            Filters(BTreeMap::from([("name".into(), vec![value.into()])])).pattern("name", name)
        };
        assert!(matches("we", "web") && matches("^web$", "web") && matches("a(", "a("));
        assert!(!matches("^eb", "web") && !matches("a(", "xa("));
        assert!(Filters::default().pattern("name", "anything"));
    }

    #[test]
    fn a_switch_is_on_or_off() {
        let read = |values: &[&str]| {
            let values = values.iter().map(ToString::to_string).collect();
            Filters(BTreeMap::from([("on".into(), values)]))
                .boolean("on")
                .map_err(|error| error.to_string())
        };
        assert_eq!(Filters::default().boolean("on").unwrap(), None);
        assert_eq!(read(&["1"]), Ok(Some(true)));
        assert_eq!(read(&["false", "0"]), Ok(Some(false)));
        assert_eq!(read(&[]), Err("invalid filter 'on'".into()));
        assert_eq!(read(&["x"]), Err("invalid filter 'on=[x]'".into()));
        assert_eq!(read(&["0", "1"]), Err("invalid filter 'on=[0 1]'".into()));
    }

    #[test]
    fn every_wanted_label_must_be_there() {
        let labels = BTreeMap::from([("a".to_string(), "1".to_string())]);
        let matches = |wanted: &[&str]| {
            let wanted = wanted.iter().map(ToString::to_string).collect();
            Filters(BTreeMap::from([("label".into(), wanted)])).labels("label", &labels)
        };
        assert!(matches(&[]) && matches(&["a"]) && matches(&["a=1"]));
        assert!(!matches(&["a=2"]) && !matches(&["a", "b"]));
    }
}
