//! Flags and file together: each option is said in one place.

use super::error::{ConfigError, Result, refuse};
use super::flags::Values;
use super::options::{Effect, OPTIONS, Opt};
use serde_json::Value;

/// Joins the values of flags and file, and refuses options that both have.
pub(crate) fn merge(flags: Values, mut file: Values) -> Result<Values> {
    rename_old_key(&mut file)?;
    let conflicts: Vec<String> = flags
        .iter()
        .filter_map(|(name, flag)| {
            let counts = |value: &&Value| *name != "runtimes" && !is_empty(value);
            let in_file = file.get(name).filter(counts)?;
            Some(format!(
                "{name}: (from flag: {}, from file: {})",
                shown(flag),
                shown(in_file)
            ))
        })
        .collect();
    if !conflicts.is_empty() {
        return Err(ConfigError::Conflicts { conflicts });
    }
    let mut values = file;
    for (name, value) in flags {
        match (values.get_mut(name), value) {
            // Runtimes may be added in both places.
            (Some(Value::Object(known)), Value::Object(added)) => known.extend(added),
            (_, value) => {
                values.insert(name, value);
            }
        }
    }
    Ok(values)
}

/// `host-gateway-ip` was one text before it became a list.
fn rename_old_key(file: &mut Values) -> Result<()> {
    let Some(old) = file.remove("host-gateway-ip") else {
        return Ok(());
    };
    if file.contains_key("host-gateway-ips") {
        return refuse(
            "host-gateway-ip and host-gateway-ips must not both be specified in the config file",
        );
    }
    file.insert("host-gateway-ips", Value::Array(vec![old]));
    Ok(())
}

/// Refuses what must not be ignored, and returns a sentence for each option without effect.
pub(crate) fn without_effect(values: &Values) -> Result<Vec<String>> {
    let mut sentences = Vec::new();
    for option in OPTIONS {
        let Some(value) = values.get(option.name()) else {
            continue;
        };
        match option.effect {
            Effect::Works => {}
            Effect::Nothing(why) => {
                sentences.push(format!("{} has no effect: {why}", spelled(option)));
            }
            Effect::Refused(why) if asks_for_something(value) => {
                return Err(ConfigError::Refused {
                    flag: option.flag,
                    why,
                });
            }
            Effect::Refused(_) => {}
        }
    }
    Ok(sentences)
}

fn spelled(option: &Opt) -> String {
    if option.flag.is_empty() {
        option.key.into()
    } else {
        format!("--{}", option.flag)
    }
}

fn asks_for_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(on) => *on,
        Value::Number(_) => true,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
    }
}

/// Whether a list or a map of the file says nothing.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// A value as Docker's message shows it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            format!(
                "[{}]",
                items.iter().map(shown).collect::<Vec<_>>().join(" ")
            )
        }
        Value::Object(entries) => {
            let pairs = entries
                .iter()
                .map(|(key, value)| format!("{key}:{}", shown(value)));
            format!("map[{}]", pairs.collect::<Vec<_>>().join(" "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::tests::file;
    use serde_json::json;

    #[test]
    fn an_option_in_both_places_is_refused_with_both_values() {
        let flags = Values::from([("icc", json!(false)), ("labels", json!(["a=1", "b=2"]))]);
        let file = file(r#"{"icc": true, "labels": ["c=3"]}"#).unwrap();
        assert_eq!(
            merge(flags, file).unwrap_err().to_string(),
            "the following directives are specified both as a flag and in the configuration \
             file: icc: (from flag: false, from file: true), labels: (from flag: [a=1 b=2], from \
             file: [c=3])"
        );
    }

    #[test]
    fn an_empty_list_contradicts_no_flag() {
        let flags = Values::from([("hosts", json!(["fd://"]))]);
        let merged = merge(flags, file(r#"{"hosts": []}"#).unwrap()).unwrap();
        assert_eq!(merged["hosts"], json!(["fd://"]));
    }

    #[test]
    fn runtimes_add_up() {
        let flags = Values::from([("runtimes", json!({"a": "/a"}))]);
        let file = file(r#"{"runtimes": {"b": {"path": "/b"}}}"#).unwrap();
        let merged = merge(flags, file).unwrap();
        assert_eq!(merged["runtimes"], json!({"b": {"path": "/b"}, "a": "/a"}));
    }

    #[test]
    fn the_old_key_of_the_host_gateway_is_the_new_one() {
        let merged = merge(
            Values::new(),
            file(r#"{"host-gateway-ip": "10.0.0.1"}"#).unwrap(),
        )
        .unwrap();
        assert_eq!(merged["host-gateway-ips"], json!(["10.0.0.1"]));
        let both = file(r#"{"host-gateway-ip": "10.0.0.1", "host-gateway-ips": []}"#).unwrap();
        assert!(merge(Values::new(), both).is_err());
    }

    #[test]
    fn options_without_effect_are_told_and_unsafe_ones_refused() {
        let told =
            without_effect(&Values::from([("firewall-backend", json!("iptables"))])).unwrap();
        let sentence =
            "--firewall-backend has no effect: the firewall is nftables, in tables of our own";
        assert_eq!(told, [sentence]);
        assert!(without_effect(&Values::from([("userns-remap", json!("default"))])).is_err());
        assert!(without_effect(&Values::from([("rootless", json!(false))])).is_ok());
    }
}
