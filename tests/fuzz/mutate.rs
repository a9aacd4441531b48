//! Changes bytes, the same way for the same seed.

/// Bytes of a case at most.
const CASE_BYTES_MAX: usize = 8 << 10;

/// What decoders look for: marks of JSON, MessagePack and frames, and numbers at the edge of a type.
#[rustfmt::skip]
const WORDS: [&[u8]; 26] = [
    b"{", b"}", b"[", b"]", b"\"", b":", b",", b"null", b"-0", b"1e400", b"18446744073709551616",
    b"9223372036854775808", b"\\ud800", b"\xff", b"\xc0", b"\xc1", b"\xc6\xff\xff\xff\xff",
    b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xcb\x7f\xf8\0\0\0\0\0\0",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", b"*", b"\0", b"\xef\xbf\xbf", b"99999999999999999999d",
];

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub(crate) struct Mutator {
    state: u64,
}

impl Mutator {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`, or 0.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn span(&mut self, length: usize) -> std::ops::Range<usize> {
        let (a, b) = (self.below(length + 1), self.below(length + 1));
        a.min(b)..a.max(b)
    }

    /// One of the seeds, changed once or some times.
    pub(crate) fn case(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let first = self.below(seeds.len());
        let mut case = seeds[first].clone();
        for _ in 0..=self.below(6) {
            self.change(&mut case, seeds);
            case.truncate(CASE_BYTES_MAX);
        }
        case
    }

    fn change(&mut self, case: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(case.len());
        match self.below(8) {
            0 if !case.is_empty() => case[at] ^= 1 << self.below(8),
            1 if !case.is_empty() => case[at] = self.next() as u8,
            2 => drop(case.drain(self.span(case.len()))),
            3 => {
                let copied = case[self.span(case.len())].to_vec();
                case.splice(at..at, copied);
            }
            4 => {
                let word = WORDS[self.below(WORDS.len())];
                case.splice(at..at, word.iter().copied());
            }
            5 => {
                let word = WORDS[self.below(WORDS.len())];
                let end = (at + word.len()).min(case.len());
                case.splice(at..end, word.iter().copied());
            }
            6 => {
                let other = &seeds[self.below(seeds.len())];
                let piece = other[self.span(other.len())].to_vec();
                case.splice(at..at, piece);
            }
            _ => {
                let piece = case[self.span(case.len())].to_vec();
                for _ in 0..self.below(64) {
                    case.splice(at..at, piece.iter().copied());
                    if case.len() > CASE_BYTES_MAX {
                        break;
                    }
                }
            }
        }
    }
}
