//! A set of numbers that finds its first gap fast, and costs nothing where it is empty.

use imbl::OrdMap;
use std::sync::Arc;

const WORDS: usize = 64;
const CHUNK_BITS: u32 = 12;
const CHUNK_SIZE: u128 = 1 << CHUNK_BITS;

/// A set of offsets: a bitmap in chunks of 4,096, of which only those in use exist. A full /16 is
/// sixteen chunks (8 KiB), an IPv6 /64 with one endpoint is one. Clones share their chunks until
/// one of them changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OffsetSet {
    chunks: OrdMap<u128, Arc<Chunk>>,
}

impl OffsetSet {
    /// Adds an offset; false if it was there.
    pub(super) fn insert(&mut self, offset: u128) -> bool {
        let chunk = self.chunks.entry(offset >> CHUNK_BITS).or_default();
        !chunk.has(bit_of(offset)) && Arc::make_mut(chunk).set(bit_of(offset), true)
    }

    /// Removes an offset; false if it was not there.
    pub(super) fn remove(&mut self, offset: u128) -> bool {
        let index = offset >> CHUNK_BITS;
        let Some(chunk) = self.chunks.get_mut(&index) else {
            return false;
        };
        if !chunk.has(bit_of(offset)) {
            return false;
        }
        let chunk = Arc::make_mut(chunk);
        let removed = chunk.set(bit_of(offset), false);
        if chunk.count == 0 {
            self.chunks.remove(&index);
        }
        removed
    }

    /// Whether an offset is in the set.
    pub(super) fn contains(&self, offset: u128) -> bool {
        let chunk = self.chunks.get(&(offset >> CHUNK_BITS));
        chunk.is_some_and(|chunk| chunk.has(bit_of(offset)))
    }

    /// The lowest offset from `first` to `last` that is not in the set.
    pub(super) fn first_gap(&self, first: u128, last: u128) -> Option<u128> {
        let mut at = first;
        while at <= last {
            let Some(chunk) = self.chunks.get(&(at >> CHUNK_BITS)) else {
                return Some(at);
            };
            if let Some(bit) = chunk.first_gap(bit_of(at)) {
                let gap = (at & !(CHUNK_SIZE - 1)) + bit as u128;
                return (gap <= last).then_some(gap);
            }
            at = (at | (CHUNK_SIZE - 1)).checked_add(1)?;
        }
        None
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Chunk {
    words: [u64; WORDS],
    count: u32,
}

impl Default for Chunk {
    fn default() -> Self {
        Self {
            words: [0; WORDS],
            count: 0,
        }
    }
}

impl Chunk {
    fn has(&self, bit: usize) -> bool {
        self.words[bit / 64] >> (bit % 64) & 1 == 1
    }

    /// Sets or clears a bit; true if that changed it.
    fn set(&mut self, bit: usize, value: bool) -> bool {
        if self.has(bit) == value {
            return false;
        }
        self.words[bit / 64] ^= 1 << (bit % 64);
        self.count = if value {
            self.count + 1
        } else {
            self.count - 1
        };
        true
    }

    fn first_gap(&self, from: usize) -> Option<usize> {
        if u128::from(self.count) == CHUNK_SIZE {
            return None;
        }
        let before = (1u64 << (from % 64)) - 1;
        let first = (from / 64, self.words[from / 64] | before);
        let rest = (from / 64 + 1..WORDS).map(|index| (index, self.words[index]));
        let (index, word) = std::iter::once(first)
            .chain(rest)
            .find(|(_, word)| *word != u64::MAX)?;
        Some(index * 64 + word.trailing_ones() as usize)
    }
}

fn bit_of(offset: u128) -> usize {
    (offset & (CHUNK_SIZE - 1)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_gap_is_found_across_words_and_chunks() {
        let mut set = OffsetSet::default();
        for offset in 0..10_000 {
            assert_eq!(set.first_gap(0, u128::MAX), Some(offset));
            assert!(set.insert(offset));
        }
        set.remove(63);
        set.remove(4_096);
        assert_eq!(set.first_gap(0, 9_999), Some(63));
        assert_eq!(set.first_gap(64, 9_999), Some(4_096));
        assert_eq!(set.first_gap(4_097, 9_999), None);
    }

    #[test]
    fn the_highest_offset_is_no_special_case() {
        let mut set = OffsetSet::default();
        assert!(set.insert(u128::MAX));
        assert!(!set.insert(u128::MAX));
        assert_eq!(set.first_gap(u128::MAX, u128::MAX), None);
        assert!(set.remove(u128::MAX));
        assert!(set.chunks.is_empty(), "an empty chunk is given back");
    }
}
