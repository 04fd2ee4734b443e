//! Changes to a JSON document that leave it one: other values, keys of other documents, less, more.

use super::bytes;
use crate::dice::Dice;
use serde_json::{Map, Value, json};

/// As deep as documents are made; one that is deeper is refused by every decoder alike.
const DEEPEST: usize = 40;

/// Changes a document; false if the input is none.
pub(crate) fn change(dice: &mut Dice, words: &[&str], input: &mut Vec<u8>, other: &[u8]) -> bool {
    let Ok(mut document) = serde_json::from_slice::<Value>(input) else {
        return false;
    };
    let other = serde_json::from_slice::<Value>(other).unwrap_or(Value::Null);
    let places = count(&document);
    let mut place = dice.below(places);
    if let Some(value) = nth(&mut document, &mut place) {
        change_value(dice, words, value, &other);
    }
    *input = document.to_string().into_bytes();
    true
}

fn change_value(dice: &mut Dice, words: &[&str], value: &mut Value, other: &Value) {
    match (dice.below(8), &mut *value) {
        (0, _) => *value = odd(dice, words),
        (1, _) => {
            let mut place = dice.below(count(other));
            *value = nth(&mut other.clone(), &mut place).map_or(Value::Null, |found| found.take());
        }
        (2, Value::Object(fields)) => drop(nth_key(dice, fields).map(|key| fields.remove(&key))),
        (2, Value::Array(items)) if !items.is_empty() => {
            drop(items.remove(dice.below(items.len())))
        }
        (3 | 4, Value::Object(fields)) => {
            let other = other.as_object();
            let taken =
                other.and_then(|other| nth_key(dice, other).map(|key| (other[&key].clone(), key)));
            let (field, key) = taken.unwrap_or_else(|| (odd(dice, words), text(dice, words)));
            fields.insert(key, field);
        }
        (3 | 4, Value::Array(items)) => {
            let copy = dice
                .pick(items)
                .cloned()
                .unwrap_or_else(|| odd(dice, words));
            items.push(copy);
        }
        (5, _) => {
            let wraps = if dice.one_in(16) { DEEPEST } else { 1 };
            for _ in 0..wraps {
                let inner = value.take();
                *value = if dice.one_in(2) {
                    json!([inner])
                } else {
                    json!({ "a": inner })
                };
            }
        }
        (_, Value::String(string)) => {
            let mut changed = std::mem::take(string).into_bytes();
            bytes::change_text(dice, words, &mut changed, b"");
            *string = String::from_utf8_lossy(&changed).into_owned();
        }
        (_, Value::Number(_)) => *value = number(dice),
        (_, Value::Bool(on)) => *on = !*on,
        (_, _) => *value = odd(dice, words),
    }
}

fn odd(dice: &mut Dice, words: &[&str]) -> Value {
    match dice.below(8) {
        0 => Value::Null,
        1 => Value::Bool(dice.one_in(2)),
        2 => number(dice),
        3 => json!([]),
        4 => json!({}),
        5 => Value::String(String::new()),
        _ => Value::String(text(dice, words)),
    }
}

fn number(dice: &mut Dice) -> Value {
    match dice.below(7) {
        0 => json!(0),
        1 => json!(-1),
        2 => json!(i64::MAX),
        3 => json!(u64::MAX),
        4 => json!(i64::MIN),
        5 => json!(1.5e300),
        _ => json!(dice.below(70_000)),
    }
}

fn text(dice: &mut Dice, words: &[&str]) -> String {
    match dice.pick(words) {
        Some(word) if !dice.one_in(8) => (*word).to_owned(),
        _ => "x".repeat(1 << dice.below(10)),
    }
}

fn nth_key(dice: &mut Dice, fields: &Map<String, Value>) -> Option<String> {
    let place = dice.below(fields.len());
    fields.keys().nth(place).cloned()
}

/// How many values a document is made of.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// The value at a place, counted from the outside in.
fn nth<'a>(value: &'a mut Value, place: &mut usize) -> Option<&'a mut Value> {
    if *place == 0 {
        return Some(value);
    }
    *place -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| nth(item, place)),
        Value::Object(fields) => fields.values_mut().find_map(|field| nth(field, place)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}
