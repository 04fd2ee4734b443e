//! The query of a request: parameters as texts, read the way Docker reads them.

use crate::error::ApiError;
use std::borrow::Cow;

/// The parameters of a request, in order.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Splits the text after the question mark.
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name, true)?, decode(value, true)?))
        });
        pairs.collect::<Result<_, _>>().map(Self)
    }

    /// The first value of a parameter; `None` if it is absent or empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let first = self.0.iter().find(|(key, _)| key == name);
        first
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// All values of a parameter.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether a switch is on. Everything but a few words for "no" is a yes.
    pub(crate) fn flag(&self, name: &str) -> bool {
        let value = self
            .text(name)
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        !matches!(value.as_str(), "" | "0" | "no" | "false" | "none")
    }

    /// A whole number; `None` if absent.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let refused = |_| {
            let shown: String = text.chars().take(80).collect();
            ApiError::invalid(format!(
                "invalid value for \"{name}\": \"{shown}\" is not a number"
            ))
        };
        text.parse().map(Some).map_err(refused)
    }
}

/// Undoes percent-encoding; in a query, `+` is a space.
pub(crate) fn decode(text: &str, plus_is_space: bool) -> Result<String, ApiError> {
    let text = match plus_is_space && text.contains('+') {
        true => Cow::Owned(text.replace('+', " ")),
        false => Cow::Borrowed(text),
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2).ok_or_else(|| bad_escape(rest))?;
        bytes.push(hex_pair(digits).ok_or_else(|| bad_escape(digits))?);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| ApiError::invalid("the URL is not UTF-8"))
}

fn hex_pair(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let value = digit(digits[0])? * 16 + digit(digits[1])?;
    u8::try_from(value).ok()
}

fn bad_escape(digits: &[u8]) -> ApiError {
    ApiError::invalid(format!("invalid URL escape \"%{}\"", digits.escape_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded() {
        let query = Query::parse("name=a%2Fb+c&x&all=1&all=2&empty=").unwrap();
        assert_eq!(query.text("name"), Some("a/b c"));
        assert_eq!(query.text("empty"), None);
        assert_eq!(query.all("all").collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn a_broken_escape_is_refused() {
        for text in ["a=%", "a=%1", "a=%zz", "a=%ff"] {
            assert!(Query::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn switches_read_as_docker_reads_them() {
        let query = Query::parse("a=1&b=true&c=False&d=0&e=NO&f=none&g=&h&i=2").unwrap();
        let on: String = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "absent"]
            .into_iter()
            .filter(|name| query.flag(name))
            .collect();
        assert_eq!(on, "abi");
    }

    #[test]
    fn a_number_is_whole() {
        let query = Query::parse("t=10&u=-1&bad=x").unwrap();
        assert_eq!(query.integer("t").unwrap(), Some(10));
        assert_eq!(query.integer("u").unwrap(), Some(-1));
        assert_eq!(query.integer("absent").unwrap(), None);
        assert!(query.integer("bad").is_err());
    }
}
