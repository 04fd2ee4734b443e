//! The shape of Go's JSON: `null` reads as empty, and empty fields are written.

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// Decodes `null` as the empty value, as Go does.
pub(crate) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Decodes an object, or `null` as an empty one. Other than the derived decoder it takes no array
/// for an object.
pub(crate) fn strict<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + DeserializeOwned,
{
    let fields: Option<Map<String, Value>> = Option::deserialize(deserializer)?;
    fields.map_or_else(|| Ok(T::default()), from_fields)
}

/// Decodes an array of objects, or `null` as an empty one.
pub(crate) fn strict_list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let items: Option<Vec<Map<String, Value>>> = Option::deserialize(deserializer)?;
    items
        .unwrap_or_default()
        .into_iter()
        .map(from_fields)
        .collect()
}

fn from_fields<T: DeserializeOwned, E: Error>(fields: Map<String, Value>) -> Result<T, E> {
    serde_json::from_value(Value::Object(fields)).map_err(E::custom)
}

/// Fills in the fields that a value leaves out with those of a template, in the template's order.
/// What only the value has follows.
pub(crate) fn complete(value: Value, template: &Value) -> Value {
    match (value, template) {
        (Value::Object(mut fields), Value::Object(template)) => {
            let mut whole = Map::with_capacity(template.len());
            for (key, usual) in template {
                let field = match fields.shift_remove(key) {
                    Some(field) => complete(field, usual),
                    None => usual.clone(),
                };
                whole.insert(key.clone(), field);
            }
            whole.extend(fields);
            Value::Object(whole)
        }
        (value, _) => value,
    }
}

/// The object under a key.
pub(crate) fn object<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Map<String, Value>> {
    value.get_mut(key)?.as_object_mut()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Outer {
        #[serde(deserialize_with = "strict")]
        inner: Inner,
        #[serde(deserialize_with = "strict_list")]
        list: Vec<Inner>,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Inner {
        a: i32,
    }

    #[test]
    fn an_array_is_no_object() {
        let read = |text| serde_json::from_str::<Outer>(text);
        assert_eq!(
            read(r#"{"inner":null,"list":null}"#).unwrap(),
            Outer::default()
        );
        assert_eq!(
            read(r#"{"inner":{"a":1},"list":[{"a":2}]}"#).unwrap().list[0].a,
            2
        );
        for text in [
            r#"{"inner":[]}"#,
            r#"{"inner":1}"#,
            r#"{"list":{}}"#,
            r#"{"list":[[]]}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_template_fills_gaps_and_orders() {
        let template = json!({"a": "", "b": {"c": null, "d": 0}, "e": {}});
        let value = json!({"z": 1, "b": {"d": 2}, "e": {"any": "label"}});
        let whole = complete(value, &template).to_string();
        assert_eq!(
            whole,
            r#"{"a":"","b":{"c":null,"d":2},"e":{"any":"label"},"z":1}"#
        );
    }
}
