//! Changes that know nothing of a format, and those that know of words and lines.

use crate::dice::Dice;

/// Values at which lengths and counts go wrong.
const EDGES: [u64; 12] = [
    0,
    1,
    7,
    8,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    u64::MAX,
];

/// Numbers at which texts go wrong.
const NUMBERS: [&str; 12] = [
    "0",
    "-1",
    "1",
    "255",
    "256",
    "65535",
    "65536",
    "4294967296",
    "9223372036854775807",
    "18446744073709551616",
    "1e999",
    "00",
];

/// Changes a byte, a number, or a run of them.
pub(crate) fn change(dice: &mut Dice, words: &[&str], input: &mut Vec<u8>, other: &[u8]) {
    let at = dice.below(input.len() + 1);
    match dice.below(9) {
        0 if at < input.len() => input[at] ^= 1 << dice.below(8),
        1 if at < input.len() => input[at] = dice.byte(),
        2 => edge(dice, input, at),
        3 => input.insert(at, dice.byte()),
        4 => drop(input.drain(at..(at + 1 + dice.below(16)).min(input.len()).max(at))),
        5 => repeat(dice, input, at),
        6 => input.truncate(at),
        7 => word(dice, words, input, at),
        _ => splice(dice, input, at, other),
    }
}

/// Changes a word, a number or a line.
pub(crate) fn change_text(dice: &mut Dice, words: &[&str], input: &mut Vec<u8>, other: &[u8]) {
    let at = dice.below(input.len() + 1);
    match dice.below(6) {
        0 => replace_token(dice, words, input, at),
        1 => word(dice, words, input, at),
        2 => repeat_line(dice, input, at, other),
        3 if at < input.len() => input[at] = b" \t\n\r:/@.-_,=#\"\\0aZ\x7f\xc3"[dice.below(20)],
        4 => {
            // A character of more than one byte.
            let wide = ["ä", "\u{feff}", "\u{202e}", "😀", "\u{130}"][dice.below(5)];
            input.splice(at..at, wide.bytes());
        }
        _ => change(dice, words, input, other),
    }
}

fn edge(dice: &mut Dice, input: &mut [u8], at: usize) {
    let value = EDGES[dice.below(EDGES.len())].wrapping_add(dice.below(3) as u64);
    let width = [1, 2, 4, 8][dice.below(4)].min(input.len().saturating_sub(at));
    let bytes = if dice.one_in(2) {
        value.to_le_bytes()[..width].to_vec()
    } else {
        value.to_be_bytes()[8 - width..].to_vec()
    };
    input[at..at + width].copy_from_slice(&bytes);
}

fn repeat(dice: &mut Dice, input: &mut Vec<u8>, at: usize) {
    let end = (at + 1 + dice.below(64)).min(input.len());
    let piece = input[at.min(end)..end].to_vec();
    let times = if dice.one_in(8) {
        1 + dice.below(64)
    } else {
        1
    };
    input.splice(at..at, piece.repeat(times));
}

fn word(dice: &mut Dice, words: &[&str], input: &mut Vec<u8>, at: usize) {
    let word: &[u8] = match dice.pick(words) {
        Some(word) if !dice.one_in(4) => word.as_bytes(),
        _ => NUMBERS[dice.below(NUMBERS.len())].as_bytes(),
    };
    let over = if dice.one_in(2) { word.len() } else { 0 };
    let end = (at + over).min(input.len());
    input.splice(at..end, word.iter().copied());
}

fn splice(dice: &mut Dice, input: &mut Vec<u8>, at: usize, other: &[u8]) {
    let from = dice.below(other.len() + 1);
    let until = (from + dice.below(other.len() - from + 1)).min(other.len());
    let end = (at + dice.below(input.len() - at + 1)).min(input.len());
    input.splice(at..end, other[from..until].iter().copied());
}

/// Puts a word in the place of the one around a byte.
fn replace_token(dice: &mut Dice, words: &[&str], input: &mut Vec<u8>, at: usize) {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
    let start = input[..at].iter().rposition(|byte| !is_word(byte));
    let start = start.map_or(0, |place| place + 1);
    let end = input[at..].iter().position(|byte| !is_word(byte));
    let end = end.map_or(input.len(), |place| at + place);
    let choices = if dice.one_in(2) { words } else { &NUMBERS };
    let word = dice.pick(choices).copied().unwrap_or_default();
    input.splice(start..end, word.bytes());
}

fn repeat_line(dice: &mut Dice, input: &mut Vec<u8>, at: usize, other: &[u8]) {
    let lines: Vec<&[u8]> = other.split_inclusive(|byte| *byte == b'\n').collect();
    let line = dice.pick(&lines).copied().unwrap_or_default();
    let start = input[..at].iter().rposition(|byte| *byte == b'\n');
    let start = start.map_or(0, |place| place + 1);
    input.splice(start..start, line.iter().copied());
}
