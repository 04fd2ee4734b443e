//! Points in time as clients write them.

use crate::error::ApiError;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Reads `1700000000[.123]`, RFC 3339 with or without zone and time, or a duration before `now`
/// such as `1h30m`.
pub(crate) fn parse(text: &str, now: Timestamp) -> Result<Timestamp, ApiError> {
    unix(text)
        .or_else(|| text.parse().ok())
        .or_else(|| civil(text))
        .or_else(|| now.checked_sub(go_duration(text)?).ok())
        .ok_or_else(|| {
            let shown: String = text.chars().take(80).collect();
            ApiError::invalid(format!(
                "failed to parse value as time or duration: \"{shown}\"; write Unix seconds, \
                 RFC 3339 or a duration like 10m"
            ))
        })
}

/// A parameter that may be absent; `0` is absent too where it would mean "until 1970".
pub(crate) fn optional(text: Option<&str>, now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
    text.map(|text| parse(text, now)).transpose()
}

/// Seconds since 1970, with up to nine digits after the dot.
fn unix(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = seconds.parse().ok()?;
    let nanos: i32 = format!("{fraction:0<9}").parse().ok()?;
    Timestamp::new(seconds, nanos).ok()
}

/// A date, perhaps with a time, without a zone: taken as UTC.
fn civil(text: &str) -> Option<Timestamp> {
    let date: DateTime = text.parse().ok()?;
    date.to_zoned(TimeZone::UTC)
        .ok()
        .map(|zoned| zoned.timestamp())
}

/// A duration as Go writes it: numbers with units, `1h30m`, `1.5s`, `300ms`.
fn go_duration(text: &str) -> Option<SignedDuration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut seconds = 0.0_f64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        seconds += number.parse::<f64>().ok()? * unit_seconds(unit)?;
        rest = tail;
    }
    SignedDuration::try_from_secs_f64(seconds).ok()
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        let now = Timestamp::from_second(1_000_000).unwrap();
        parse(text, now)
            .ok()
            .map(|time| time.as_nanosecond().to_string())
    }

    #[test]
    fn all_spellings_of_a_time_are_read() {
        assert_eq!(read("0").as_deref(), Some("0"));
        assert_eq!(read("12.5").as_deref(), Some("12500000000"));
        assert_eq!(read("12.000000001").as_deref(), Some("12000000001"));
        assert_eq!(read("1970-01-01T00:00:01Z").as_deref(), Some("1000000000"));
        assert_eq!(
            read("1970-01-01T01:00:01+01:00").as_deref(),
            Some("1000000000")
        );
        assert_eq!(read("1970-01-02").as_deref(), Some("86400000000000"));
        assert_eq!(read("1970-01-01T00:01").as_deref(), Some("60000000000"));
        assert_eq!(read("1h30m").as_deref(), Some("994600000000000"));
        assert_eq!(read("1.5s").as_deref(), Some("999998500000000"));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "x",
            "1x",
            "1h-",
            "--1",
            "1.2.3",
            "99999999999999999999",
            "1e9h",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
