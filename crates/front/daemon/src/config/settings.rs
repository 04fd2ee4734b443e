//! Values as the types they stand for.

use super::error::{Result, refuse};
use super::flags::Values;
use serde_json::{Map, Value};
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

/// Merged values with readers that name the option in their errors.
pub(crate) struct Settings(pub(crate) Values);

impl Settings {
    /// A text; absent and empty are the same.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// A path.
    pub(crate) fn path(&self, name: &str, usual: &str) -> PathBuf {
        self.text(name).unwrap_or(usual).into()
    }

    /// A switch.
    pub(crate) fn switch(&self, name: &str, usual: bool) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(usual)
    }

    /// A whole number.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.0.get(name)?.as_i64()
    }

    /// The items of a list.
    pub(crate) fn items(&self, name: &str) -> &[Value] {
        self.0
            .get(name)
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    /// The texts of a list.
    pub(crate) fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.items(name).iter().filter_map(Value::as_str)
    }

    /// The entries of a map.
    pub(crate) fn entries(&self, name: &str) -> Option<&Map<String, Value>> {
        self.0.get(name)?.as_object()
    }

    /// A text that is something: an address, a prefix.
    pub(crate) fn parsed<T>(&self, name: &str, what: &str) -> Result<Option<T>>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.text(name)
            .map(|text| parse(name, text, what))
            .transpose()
    }
}

/// Reads a text that is something.
pub(crate) fn parse<T>(name: &str, text: &str, what: &str) -> Result<T>
where
    T: FromStr,
    T::Err: Display,
{
    match text.trim().parse() {
        Ok(value) => Ok(value),
        Err(error) => refuse(format!("{name}: \"{text}\" is not {what}: {error}")),
    }
}
