//! Changes to netlink messages that know where lengths and types stand: on every fourth byte.

use crate::dice::Dice;

/// Changes a length, a type, or an attribute as a whole.
pub(crate) fn change(dice: &mut Dice, input: &mut Vec<u8>) {
    let words = input.len() / 4;
    let at = dice.below(words.max(1)) * 4;
    if at + 4 > input.len() {
        return input.extend_from_slice(&[0; 4]);
    }
    let length = usize::from(u16::from_ne_bytes([input[at], input[at + 1]]));
    match dice.below(6) {
        0 => {
            // Too short, exactly right, one too many, far too long.
            let left = input.len() - at;
            let wrong = [
                0,
                1,
                3,
                4,
                5,
                left,
                left + 1,
                0xffff,
                length + 1,
                length.max(1) - 1,
            ];
            put(input, at, wrong[dice.below(wrong.len())] as u16);
        }
        1 => put(input, at + 2, dice.below(64) as u16),
        // Nested, in network order.
        2 => input[at + 3] ^= [0x80, 0x40][dice.below(2)],
        3 if (4..512).contains(&length) && at + length <= input.len() => {
            let attribute = input[at..at + length].to_vec();
            let to = dice.below(words.max(1)) * 4;
            input.splice(to..to, attribute);
        }
        4 if (4..512).contains(&length) && at + length <= input.len() => {
            input.drain(at..at + length);
        }
        _ => input[at + dice.below(4)] = dice.byte(),
    }
    // The message as a whole says its length, too; mostly it is right.
    if !dice.one_in(4) && input.len() >= 16 {
        let whole = (input.len() as u32).to_ne_bytes();
        input[..4].copy_from_slice(&whole);
    }
}

fn put(input: &mut [u8], at: usize, value: u16) {
    if let Some(place) = input.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_ne_bytes());
    }
}
