//! Changes to a tar that know where the fields of a header are, and keep its checksums right.

use crate::dice::Dice;

const BLOCK: usize = 512;
const CHECKSUM: std::ops::Range<usize> = 148..156;
/// Name, mode, owner, group, size, time, type, link name, major, minor, prefix.
const FIELDS: [(usize, usize); 11] = [
    (0, 100),
    (100, 8),
    (108, 8),
    (116, 8),
    (124, 12),
    (136, 12),
    (156, 1),
    (157, 100),
    (329, 8),
    (337, 8),
    (345, 155),
];
const KINDS: &[u8] = b"0123456789LKxgSV\0D";

/// Changes a field of a header, or blocks as a whole.
pub(crate) fn change(dice: &mut Dice, words: &[&str], input: &mut Vec<u8>) {
    let headers: Vec<usize> = headers(input).collect();
    let Some(&at) = dice.pick(&headers) else {
        return input.extend_from_slice(&[0; BLOCK]);
    };
    match dice.below(8) {
        0 => input[at + 156] = KINDS[dice.below(KINDS.len())],
        1 | 2 => {
            let word = dice.pick(words).copied().unwrap_or("x");
            let field = if dice.one_in(2) { FIELDS[0] } else { FIELDS[7] };
            fill(&mut input[at..at + BLOCK], field, word.as_bytes());
        }
        3 => {
            let number = [
                "0",
                "777",
                "4777",
                "17777777777",
                "-1",
                "8",
                "1000",
                "00000000001",
            ];
            let number = number[dice.below(number.len())].as_bytes();
            let field = FIELDS[[1, 2, 3, 4, 5, 8, 9][dice.below(7)]];
            fill(&mut input[at..at + BLOCK], field, number);
        }
        4 => {
            // The binary form of large numbers.
            let (start, length) = FIELDS[[2, 3, 4, 5][dice.below(4)]];
            let place = &mut input[at + start..at + start + length];
            place.fill(if dice.one_in(2) { 0xff } else { 0 });
            place[0] = 0x80 | (dice.byte() & 0x7f);
        }
        5 => {
            let copy = input[at..at + BLOCK].to_vec();
            let to = dice.below(input.len() / BLOCK + 1) * BLOCK;
            input.splice(to..to, copy);
        }
        6 => drop(input.drain(at..at + BLOCK)),
        _ => input[at + dice.below(BLOCK)] = dice.byte(),
    }
}

/// Gives every header the checksum of what it is now.
pub(crate) fn mend_checksums(input: &mut [u8]) {
    for at in headers(input).collect::<Vec<_>>() {
        let header = &mut input[at..at + BLOCK];
        header[CHECKSUM].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

fn headers(input: &[u8]) -> impl Iterator<Item = usize> {
    let blocks = input.chunks_exact(BLOCK).enumerate();
    blocks
        .filter(|(_, block)| block[257..].starts_with(b"ustar"))
        .map(|(number, _)| number * BLOCK)
}

fn fill(header: &mut [u8], (start, length): (usize, usize), value: &[u8]) {
    let place = &mut header[start..start + length];
    place.fill(0);
    let length = length.min(value.len());
    place[..length].copy_from_slice(&value[..length]);
}
