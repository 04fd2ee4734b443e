//! The shape of Go's JSON: `null` reads as empty, and empty fields are written.

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
