//! Converts YAML to JSON text, so that one reader applies the rules of the wire: repeated keys stay repeated, and an
//! integer that fits 64 bits stays one.

use std::io::{self, Write};

use serde_json::ser::{CompactFormatter, Formatter, Serializer};

/// The most levels of nesting: more than the JSON reader allows, so that the reader reports too deep a document with
/// its path.
const DEPTH_MAX: usize = 200;
/// The most values of one file.
const NODES_MAX: usize = 10_000_000;

/// Converts a text to at most this many bytes of JSON: aliases can make a short text long. An error is one line, with
/// line and column.
pub(super) fn as_json(text: &str, max: usize) -> Result<Vec<u8>, String> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_nodes: NODES_MAX,
            max_events: 2 * NODES_MAX,
        },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
        // As in YAML 1.2: `y` and `no` are texts.
        strict_booleans: true,
        with_snippet: false,
    };
    let mut json = Bounded { bytes: vec![], max };
    let read = serde_saphyr::with_deserializer_from_str_with_options(text, options, |deserializer| {
        let mut serializer = Serializer::with_formatter(&mut json, Exact);
        // The outer error is the deserializer's; the serializer's is only about the bound.
        serde_transcode::transcode(deserializer, &mut serializer).map_err(serde::de::Error::custom)
    });
    read.map_err(|error| one_place(&error.to_string())).map(|()| json.bytes)
}

/// An error inside nested lists names a place per level; the first is the innermost.
fn one_place(problem: &str) -> String {
    const AT: &str = " at line ";
    let problem = problem.lines().next().unwrap_or_default();
    let mut parts = problem.split(AT);
    let (what, place) = (parts.next().unwrap_or_default(), parts.next());
    place.map_or_else(|| what.to_owned(), |place| format!("{what}{AT}{place}"))
}

/// Writes numbers so that none is silently rounded. A float of 2^63 or more may have been an integer that YAML reads
/// as a float: it is written as an integer, and the JSON reader refuses it (rule G6).
struct Exact;

impl Formatter for Exact {
    fn write_f64<W: ?Sized + Write>(&mut self, to: &mut W, value: f64) -> io::Result<()> {
        const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
        if value.abs() >= TWO_TO_63 {
            return write!(to, "{value:.0}");
        }
        CompactFormatter.write_f64(to, value)
    }
}

struct Bounded {
    bytes: Vec<u8>,
    max: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.max {
            return Err(io::Error::other(format!("it is more than {} bytes", self.max)));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Result<String, String> {
        as_json(text, 1_000).map(|json| String::from_utf8(json).expect("UTF-8"))
    }

    #[test]
    fn g6_numbers_are_exact_or_too_large_for_who_reads_them() {
        let text =
            "{a: 18446744073709551615, b: -9223372036854775808, c: 0.5, d: 18446744073709551616, e: 1, e: 2}";
        let json = r#"{"a":18446744073709551615,"b":-9223372036854775808,"c":0.5,"d":18446744073709551616,"e":1,"e":2}"#;
        assert_eq!(said(text).as_deref(), Ok(json));
        assert!(said("{a: .nan}").is_err() && said("{a: .inf}").is_err() && said("{a: 1e999}").is_err());
    }

    #[test]
    fn o3_aliases_make_no_more_of_a_text_than_may_be() {
        let bomb = (1..9).fold("a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned(), |text, n| {
            let all = vec![format!("*a{}", n - 1); 8].join(", ");
            format!("{text}a{n}: &a{n} [{all}]\n")
        });
        assert!(said(&bomb).is_err());
    }
}
