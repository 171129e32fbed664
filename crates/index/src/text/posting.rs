//! Sets of rows of a chunk, and how they are stored.

/// A chunk has `2^CHUNK_BITS` rows. Tests come to many chunks with few rows.
const CHUNK_BITS: u32 = if cfg!(test) { 3 } else { 12 };

/// Rows of a chunk.
pub(super) const CHUNK_ROWS: usize = 1 << CHUNK_BITS;

const WORDS: usize = CHUNK_ROWS.div_ceil(64);

/// In place of a trigram: the starts of the rows of a chunk.
pub(super) const STARTS: i64 = -1;

/// In place of a trigram: the rows of a chunk whose texts are too long to be indexed.
pub(super) const LONG: i64 = -2;

/// Path and uuid of a row have together so many bytes at most, or may have every text: it bounds the memory of a step.
const TEXT_BYTES_MAX: usize = 512;

/// The chunk of a row.
pub(super) fn chunk_of(row: i64) -> i64 {
    row >> CHUNK_BITS
}

/// Where a row is in its chunk.
pub(super) fn at(row: i64) -> usize {
    usize::try_from(row & (CHUNK_ROWS as i64 - 1)).unwrap_or_default()
}

/// The row at this place of a chunk.
pub(super) fn row_of(chunk: i64, at: usize) -> i64 {
    (chunk << CHUNK_BITS) + at as i64
}

/// The trigrams of a text, letters from A to Z as if in lower case.
pub(super) fn trigrams(text: &str) -> impl Iterator<Item = i64> {
    text.as_bytes().windows(3).map(|three| {
        three.iter().fold(0, |sum, byte| sum << 8 | i64::from(byte.to_ascii_lowercase()))
    })
}

/// The trigrams of a row; none where its texts are too long to be indexed.
pub(super) fn trigrams_of(uuid: &str, path: &str) -> Option<impl Iterator<Item = i64>> {
    (uuid.len() + path.len() <= TEXT_BYTES_MAX).then(|| trigrams(uuid).chain(trigrams(path)))
}

/// A set of rows of a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rows([u64; WORDS]);

impl Rows {
    pub(super) const NONE: Rows = Rows([0; WORDS]);
    pub(super) const ALL: Rows = Rows([u64::MAX; WORDS]);

    pub(super) fn has(&self, at: usize) -> bool {
        self.0[at / 64] & (1 << (at % 64)) != 0
    }

    fn add(&mut self, at: usize) -> Option<()> {
        *self.0.get_mut(at / 64)? |= 1 << (at % 64);
        Some(())
    }

    pub(super) fn and(&mut self, other: &Rows) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= other);
    }

    pub(super) fn or(&mut self, other: &Rows) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
    }

    pub(super) fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// The places of its rows, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        let words = self.0.iter().enumerate();
        words.flat_map(|(index, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros() as usize;
                left &= left.checked_sub(1)?;
                Some(index * 64 + bit)
            })
        })
    }

    /// What [`encode`] stored. What is damaged may be any row: each is read before it is told.
    pub(super) fn decode(stored: &[u8]) -> Rows {
        Rows::read(stored).unwrap_or(Rows::ALL)
    }

    fn read(stored: &[u8]) -> Option<Rows> {
        let (form, mut rest) = stored.split_first()?;
        let mut rows = Rows::NONE;
        match *form {
            SINGLES | RUNS => {
                let mut next = 0;
                while !rest.is_empty() {
                    let first = next + number(&mut rest)?;
                    let more = if *form == RUNS { number(&mut rest)? } else { 0 };
                    next = first.checked_add(more)?.checked_add(1)?;
                    for at in first..next.min(CHUNK_ROWS + 1) {
                        rows.add(at)?;
                    }
                }
            }
            BITS => {
                for (index, byte) in rest.iter().enumerate() {
                    *rows.0.get_mut(index / 8)? |= u64::from(*byte) << (index % 8 * 8);
                }
            }
            _ => return None,
        }
        Some(rows)
    }
}

/// How a set is stored: how many rows lie between one and the next,
const SINGLES: u8 = 0;
/// the same, with how many follow without a gap,
const RUNS: u8 = 1;
/// or a bit for each row.
const BITS: u8 = 2;

/// Puts a set of places in order, each once, into the shortest form.
pub(super) fn encode(places: &[usize], into: &mut Vec<u8>) {
    let bits_len = places.last().map_or(0, |last| last / 8 + 1);
    into.clear();
    into.push(RUNS);
    let mut next = 0;
    for run in places.chunk_by(|a, b| a + 1 == *b) {
        let first = run.first().copied().unwrap_or_default();
        put(into, first - next);
        put(into, run.len() - 1);
        next = first + run.len();
    }
    // A single has one byte at least, and a gap of its own.
    if into.len() > places.len() {
        let runs = std::mem::take(into);
        into.push(SINGLES);
        let mut next = 0;
        for place in places {
            put(into, place - next);
            next = place + 1;
        }
        if runs.len() < into.len() {
            *into = runs;
        }
    }
    if into.len() > bits_len + 1 {
        into.clear();
        into.resize(bits_len + 1, 0);
        into[0] = BITS;
        for place in places {
            into[1 + place / 8] |= 1 << (place % 8);
        }
    }
}

/// Seven bits a byte, the lowest first.
fn put(into: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        into.push(lowest_byte(number) | 0x80);
        number >>= 7;
    }
    into.push(lowest_byte(number));
}

fn lowest_byte(number: usize) -> u8 {
    number.to_le_bytes()[0]
}

/// What [`put`] put; a chunk has no number of over three bytes.
fn number(from: &mut &[u8]) -> Option<usize> {
    let mut number = 0;
    for shift in [0, 7, 14] {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        number |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// The starts of the rows of a chunk, by their distance from the first of them in as many bytes as the last one takes.
pub(super) fn encode_starts(starts: &[(usize, i64)], (first_ms, last_ms): (i64, i64)) -> Vec<u8> {
    let distance = |start_ms: i64| start_ms.wrapping_sub(first_ms).cast_unsigned();
    let width = (64 - distance(last_ms).leading_zeros()).div_ceil(8) as usize;
    let length = starts.last().map_or(0, |(at, _)| at + 1);
    let mut stored = vec![0; 1 + length * width];
    stored[0] = lowest_byte(width);
    for (at, start_ms) in starts {
        let from = 1 + at * width;
        stored[from..from + width].copy_from_slice(&distance(*start_ms).to_le_bytes()[..width]);
    }
    stored
}

/// The start of the row at this place of a chunk; none where that is not stored.
pub(super) fn start(stored: &[u8], first_ms: i64, at: usize) -> Option<i64> {
    let width = usize::from(*stored.first()?);
    let bytes = stored.get(1 + at * width..1 + (at + 1) * width)?;
    let mut distance = [0; 8];
    distance.get_mut(..width)?.copy_from_slice(bytes);
    Some(first_ms.wrapping_add(u64::from_le_bytes(distance).cast_signed()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_is_what_was_stored(places in proptest::collection::btree_set(0..CHUNK_ROWS, 0..=CHUNK_ROWS)) {
            let places: Vec<usize> = places.into_iter().collect();
            let mut stored = Vec::new();
            encode(&places, &mut stored);
            prop_assert!(stored.len() <= 2 + CHUNK_ROWS / 8);
            let rows = Rows::read(&stored).expect("a set");
            prop_assert_eq!(rows.iter().collect::<Vec<_>>(), places.clone());
            prop_assert_eq!(rows.count() as usize, places.len());
        }

        #[test]
        fn whatever_is_stored_is_some_set(stored in proptest::collection::vec(any::<u8>(), 0..12)) {
            let _ = Rows::decode(&stored);
            let _ = start(&stored, i64::MAX, 3);
        }

        #[test]
        fn starts_are_what_was_stored(starts in proptest::collection::btree_map(0..CHUNK_ROWS, any::<i64>(), 1..CHUNK_ROWS)) {
            let starts: Vec<(usize, i64)> = starts.into_iter().collect();
            let first_ms = starts.iter().map(|(_, start)| *start).min().expect("one");
            let last_ms = starts.iter().map(|(_, start)| *start).max().expect("one");
            let stored = encode_starts(&starts, (first_ms, last_ms));
            for (at, start_ms) in starts {
                prop_assert_eq!(start(&stored, first_ms, at), Some(start_ms));
            }
        }
    }

    #[test]
    fn trigrams_do_not_tell_cases_apart() {
        assert!(trigrams("ABCd-").eq(trigrams("abcD-")));
        assert_eq!(trigrams("ab").count(), 0);
        assert_eq!(trigrams("\u{e9}a").count(), 1, "they are bytes");
        assert!(trigrams_of("u", &"x".repeat(TEXT_BYTES_MAX)).is_none());
    }
}
