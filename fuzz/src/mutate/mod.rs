//! One input made of others: a few changes to a seed, most of them such that it still parses.

mod attributes;
mod bytes;
mod json;
mod tar;

use crate::dice::Dice;
use crate::{Shape, Target};

/// Longer inputs are cut: nothing is learnt from them that a short one does not teach.
const LONGEST: usize = 64 << 10;

/// A mutation of one of the seeds.
pub(crate) fn mutated(dice: &mut Dice, target: &Target, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut input = dice.pick(seeds).cloned().unwrap_or_default();
    let other = dice.pick(seeds).map_or(&[][..], Vec::as_slice);
    // Mostly one change, sometimes many.
    let changes = 1 + dice.below(4) * dice.below(4);
    for _ in 0..changes {
        change(dice, target, &mut input, other);
    }
    input.truncate(LONGEST);
    if target.shape == Shape::Tar && !dice.one_in(8) {
        tar::mend_checksums(&mut input);
    }
    input
}

fn change(dice: &mut Dice, target: &Target, input: &mut Vec<u8>, other: &[u8]) {
    let structured = !dice.one_in(4);
    match target.shape {
        Shape::Json if structured && json::change(dice, target.words, input, other) => {}
        Shape::Attributes if structured => attributes::change(dice, input),
        Shape::Tar if structured => tar::change(dice, target.words, input),
        Shape::Text if structured => bytes::change_text(dice, target.words, input, other),
        Shape::Bytes | Shape::Text | Shape::Json | Shape::Attributes | Shape::Tar => {
            bytes::change(dice, target.words, input, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seen;

    fn target(shape: Shape) -> Target {
        Target {
            name: "none",
            shape,
            words: &["word"],
            made: Vec::new,
            run: |_| Seen::NOTHING,
        }
    }

    #[test]
    fn a_seed_of_the_dice_gives_the_same_inputs() {
        let seeds = [b"{\"a\":[1,2]}".to_vec(), b"{\"b\":{}}".to_vec()];
        let inputs = |seed| -> Vec<Vec<u8>> {
            let mut dice = Dice::new(seed);
            let target = target(Shape::Json);
            (0..200)
                .map(|_| mutated(&mut dice, &target, &seeds))
                .collect()
        };
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
    }

    #[test]
    fn most_mutations_of_json_are_json() {
        let seeds = [b"{\"Name\":\"x\",\"Options\":{\"a\":\"1\"}}".to_vec()];
        let mut dice = Dice::new(7);
        let target = target(Shape::Json);
        let parses = |input: &Vec<u8>| serde_json::from_slice::<serde_json::Value>(input).is_ok();
        let made: Vec<_> = (0..400)
            .map(|_| mutated(&mut dice, &target, &seeds))
            .collect();
        let good = made.iter().filter(|input| parses(input)).count();
        assert!(good > 200, "{good}");
        assert!(made.iter().any(|input| *input != seeds[0] && parses(input)));
    }

    #[test]
    fn nothing_is_too_short_to_be_changed() {
        for shape in [
            Shape::Bytes,
            Shape::Text,
            Shape::Json,
            Shape::Attributes,
            Shape::Tar,
        ] {
            let mut dice = Dice::new(3);
            for seed in [vec![], vec![0], vec![0; 511], vec![0; 1024]] {
                for _ in 0..200 {
                    mutated(&mut dice, &target(shape), std::slice::from_ref(&seed));
                }
            }
        }
    }
}
