//! Filters of lists and prunes: keys with values, as the client sent them.

use crate::ContainerError;
use crate::record::Record;
use jiff::{SignedDuration, Timestamp};
use regex_lite::Regex;
use std::collections::BTreeMap;

/// Filters by key.
pub(crate) type Filters = BTreeMap<String, Vec<String>>;

/// Refuses keys that mean nothing here.
pub(crate) fn check_keys(filters: &Filters, known: &[&str]) -> Result<(), ContainerError> {
    match filters.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => {
            let shown: String = key.chars().take(80).collect();
            Err(ContainerError::Invalid(format!("invalid filter '{shown}'")))
        }
        None => Ok(()),
    }
}

/// The values of a key; none if it is absent.
pub(crate) fn values<'a>(filters: &'a Filters, key: &str) -> &'a [String] {
    filters.get(key).map_or(&[], Vec::as_slice)
}

/// Whether a text equals one of the values or matches it as a regular expression; so does
/// everything without values.
pub(crate) fn text_matches(values: &[String], text: &str) -> bool {
    let fits = |value: &String| {
        value == text || Regex::new(value).is_ok_and(|pattern| pattern.is_match(text))
    };
    values.is_empty() || values.iter().any(fits)
}

/// Whether a container has all labels of `label` and none of `label!`.
pub(crate) fn labels_match(filters: &Filters, record: &Record) -> bool {
    let none = BTreeMap::new();
    let labels = record.config.labels.as_ref().unwrap_or(&none);
    let has = |wanted: &String| match wanted.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|own| own == value),
        None => labels.contains_key(wanted),
    };
    values(filters, "label").iter().all(has) && !values(filters, "label!").iter().any(has)
}

/// The time of `until`, of which there may be one.
pub(crate) fn until(
    filters: &Filters,
    now: Timestamp,
) -> Result<Option<Timestamp>, ContainerError> {
    match values(filters, "until") {
        [] => Ok(None),
        [text] => parse_time(text, now).map(Some).ok_or_else(|| {
            let shown: String = text.chars().take(80).collect();
            ContainerError::Invalid(format!(
                "invalid filter 'until={shown}': write Unix seconds, RFC 3339 or a duration like \
                 10m"
            ))
        }),
        _ => Err(ContainerError::Invalid(
            "more than one until filter specified".into(),
        )),
    }
}

/// Reads seconds since 1970, RFC 3339, or a duration before `now`.
fn parse_time(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Timestamp::from_duration(SignedDuration::try_from_secs_f64(seconds).ok()?).ok();
    }
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    if let Ok(date) = text.parse::<jiff::civil::DateTime>() {
        return Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp());
    }
    now.checked_sub(text.parse::<SignedDuration>().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::record;
    use sealane_core::model::derive_id;

    fn filters(pairs: &[(&str, &str)]) -> Filters {
        let mut filters = Filters::new();
        for (key, value) in pairs {
            filters
                .entry((*key).into())
                .or_default()
                .push((*value).into());
        }
        filters
    }

    #[test]
    fn unknown_keys_are_refused() {
        let refusal = check_keys(&filters(&[("nosuch", "x")]), &["label"]).unwrap_err();
        assert_eq!(refusal.to_string(), "invalid filter 'nosuch'");
    }

    #[test]
    fn values_are_texts_and_patterns() {
        let matches = |value: &str, text: &str| text_matches(&[value.to_owned()], text);
        assert!(matches("^/?web$", "web"));
        assert!(!matches("^/?web$", "webs"));
        assert!(matches("eb", "web"));
        assert!(matches("(", "("), "no pattern, but equal");
        assert!(text_matches(&[], "anything"));
    }

    #[test]
    fn labels_are_wanted_or_unwanted() {
        let mut record = record(derive_id(&[b"c"]), "web");
        record.config.labels = Some([("a".to_owned(), "1".to_owned())].into());
        let matches = |pairs: &[(&str, &str)]| labels_match(&filters(pairs), &record);
        assert!(matches(&[("label", "a"), ("label", "a=1")]));
        assert!(!matches(&[("label", "a=2")]));
        assert!(!matches(&[("label!", "a")]));
        assert!(matches(&[("label!", "b=1")]));
    }

    #[test]
    fn until_is_a_time_or_a_duration() {
        let now: Timestamp = "2024-01-02T00:00:00Z".parse().unwrap();
        let read = |text: &str| until(&filters(&[("until", text)]), now).map(Option::unwrap);
        assert_eq!(read("24h").unwrap().to_string(), "2024-01-01T00:00:00Z");
        assert_eq!(read("1h30m").unwrap().to_string(), "2024-01-01T22:30:00Z");
        assert_eq!(
            read("1704067200").unwrap().to_string(),
            "2024-01-01T00:00:00Z"
        );
        assert_eq!(
            read("2024-01-01T00:00:00").unwrap().to_string(),
            "2024-01-01T00:00:00Z"
        );
        assert!(read("yesterday").is_err());
        assert!(until(&filters(&[("until", "1h"), ("until", "2h")]), now).is_err());
    }
}
