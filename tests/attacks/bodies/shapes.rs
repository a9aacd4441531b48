//! Bodies of every shape, the same for the same seed: as trees, so that keys may repeat, in JSON or MessagePack.

use std::fmt::Write as _;

use dao_api::http::Format;

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    pub(crate) fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// A document. Unlike a JSON value it may have a key more than once.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    Null,
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Tree>),
    Fields(Vec<(String, Tree)>),
}

impl Tree {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn fields<const N: usize>(fields: [(&str, Self); N]) -> Self {
        Self::Fields(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    pub(crate) fn encode(&self, format: Format) -> Vec<u8> {
        match format {
            Format::Json => {
                let mut text = String::new();
                self.write_json(&mut text);
                text.into_bytes()
            }
            Format::MessagePack => {
                let mut bytes = Vec::new();
                self.write_message_pack(&mut bytes);
                bytes
            }
        }
    }

    fn write_json(&self, to: &mut String) {
        match self {
            Self::Null => to.push_str("null"),
            Self::Int(number) => write!(to, "{number}").unwrap(),
            Self::Float(number) => write!(to, "{number:e}").unwrap(),
            Self::Text(text) => to.push_str(&serde_json::to_string(text).unwrap()),
            Self::List(items) => {
                to.push('[');
                for (index, item) in items.iter().enumerate() {
                    to.push_str(if index > 0 { "," } else { "" });
                    item.write_json(to);
                }
                to.push(']');
            }
            Self::Fields(fields) => {
                to.push('{');
                for (index, (key, value)) in fields.iter().enumerate() {
                    to.push_str(if index > 0 { "," } else { "" });
                    to.push_str(&serde_json::to_string(key).unwrap());
                    to.push(':');
                    value.write_json(to);
                }
                to.push('}');
            }
        }
    }

    fn write_message_pack(&self, to: &mut Vec<u8>) {
        match self {
            Self::Null => rmp::encode::write_nil(to).unwrap(),
            Self::Int(number) => drop(rmp::encode::write_sint(to, *number).unwrap()),
            Self::Float(number) => rmp::encode::write_f64(to, *number).unwrap(),
            Self::Text(text) => rmp::encode::write_str(to, text).unwrap(),
            Self::List(items) => {
                rmp::encode::write_array_len(to, u32::try_from(items.len()).unwrap()).unwrap();
                items.iter().for_each(|item| item.write_message_pack(to));
            }
            Self::Fields(fields) => {
                rmp::encode::write_map_len(to, u32::try_from(fields.len()).unwrap()).unwrap();
                for (key, value) in fields {
                    rmp::encode::write_str(to, key).unwrap();
                    value.write_message_pack(to);
                }
            }
        }
    }
}

/// What a large value is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Matter {
    Zeros,
    HugeFloats,
    LongNumbers,
    Nulls,
    ManyKeys,
    NullKeys,
    OneKeyAgain,
    KeysOfTwo,
    PairsOfOneKey,
    EmptyLists,
    ListsOfOne,
    EmptyObjects,
    ObjectsOfOne,
    EmptyTexts,
    ShortTexts,
    OneText,
    Escapes,
    Deep,
    BelowLongKey,
    LongKeys,
}

pub(crate) const MATTERS: [Matter; 20] = [
    Matter::Zeros,
    Matter::HugeFloats,
    Matter::LongNumbers,
    Matter::Nulls,
    Matter::ManyKeys,
    Matter::NullKeys,
    Matter::OneKeyAgain,
    Matter::KeysOfTwo,
    Matter::PairsOfOneKey,
    Matter::EmptyLists,
    Matter::ListsOfOne,
    Matter::EmptyObjects,
    Matter::ObjectsOfOne,
    Matter::EmptyTexts,
    Matter::ShortTexts,
    Matter::OneText,
    Matter::Escapes,
    Matter::Deep,
    Matter::BelowLongKey,
    Matter::LongKeys,
];

fn repeated(count: usize, item: Tree) -> Tree {
    Tree::List(vec![item; count.max(1)])
}

fn keyed(count: usize, key: impl Fn(usize) -> String, value: Tree) -> Tree {
    Tree::Fields((0..count.max(1)).map(|index| (key(index), value.clone())).collect())
}

/// An object of about so many bytes as JSON.
pub(crate) fn matter(of: Matter, bytes: usize, rng: &mut Rng) -> Tree {
    let below = |value| Tree::fields([("k", value)]);
    match of {
        Matter::Zeros => below(repeated(bytes / 2, Tree::Int(0))),
        Matter::HugeFloats => below(repeated(bytes / 5, Tree::Float(1e30))),
        Matter::LongNumbers => below(repeated(bytes / 20, Tree::Int(i64::MIN))),
        Matter::Nulls => below(repeated(bytes / 5, Tree::Null)),
        Matter::ManyKeys => keyed(bytes / 9, |index| format!("{index:x}"), Tree::Int(1)),
        Matter::NullKeys => keyed(bytes / 12, |index| format!("{index:x}"), Tree::Null),
        Matter::OneKeyAgain => keyed(bytes / 6, |_| "a".to_owned(), Tree::Int(1)),
        Matter::KeysOfTwo => keyed(bytes / 6, |index| format!("{}", index % 2), Tree::Int(1)),
        Matter::PairsOfOneKey => {
            let pair = keyed(2, |_| "a".to_owned(), Tree::Int(1));
            below(repeated(bytes / 14, pair))
        }
        Matter::EmptyLists => below(repeated(bytes / 3, Tree::List(vec![]))),
        Matter::ListsOfOne => below(repeated(bytes / 4, Tree::List(vec![Tree::Int(0)]))),
        Matter::EmptyObjects => below(repeated(bytes / 3, Tree::Fields(vec![]))),
        Matter::ObjectsOfOne => below(repeated(bytes / 7, keyed(1, |_| String::new(), Tree::Int(0)))),
        Matter::EmptyTexts => below(repeated(bytes / 3, Tree::text(""))),
        Matter::ShortTexts => below(repeated(bytes / 4, Tree::text("a"))),
        Matter::OneText => below(Tree::text("x".repeat(bytes))),
        Matter::Escapes => below(Tree::text("\u{1}".repeat(bytes / 6))),
        Matter::Deep => {
            let depth = 40 + rng.below(12);
            let inner = |_| (0..depth).fold(Tree::Int(0), |value, _| Tree::List(vec![value]));
            below(Tree::List((0..bytes / (2 * depth + 2)).map(inner).collect()))
        }
        Matter::BelowLongKey => {
            let inner = if rng.below(2) == 0 { Matter::OneKeyAgain } else { Matter::HugeFloats };
            Tree::Fields(vec![("k".repeat(bytes / 2), matter(inner, bytes / 2, rng))])
        }
        Matter::LongKeys => {
            let length = 1 + rng.below(bytes / 4);
            keyed(bytes / (length + 4), |index| format!("{index}{}", "k".repeat(length)), Tree::Int(1))
        }
    }
}
