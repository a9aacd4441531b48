//! Repairs what some programs write as JSON and parsers refuse: a byte order mark in front, and unpaired surrogates.
//!
//! Not here: anything else that is not valid JSON, such as comments, `NaN` or trailing commas. Those stay errors.

use std::borrow::Cow;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// JSON without a byte order mark (RFC 8259 lets parsers ignore one), and with U+FFFD in place of each surrogate that
/// stands alone: JavaScript's `slice` cuts characters in two, and `JSON.stringify` writes the half as `\ud83d`, which
/// no UTF-8 text can hold. What is replaced is as long as before, so that lines and columns stay true.
pub(super) fn repair(body: &[u8]) -> Cow<'_, [u8]> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    let mut mended: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(found) = body.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\\')) {
        at += found;
        match escape(body, at) {
            Escape::Pair => at += 12,
            Escape::Alone => {
                if let Some(place) = mended.get_or_insert_with(|| body.to_vec()).get_mut(at..at + 6) {
                    place.copy_from_slice(b"\\ufffd");
                }
                at += 6;
            }
            Escape::Other => at += 2,
        }
    }
    mended.map_or(Cow::Borrowed(body), Cow::Owned)
}

enum Escape {
    /// Two surrogates that are a character together.
    Pair,
    /// A surrogate without its other half.
    Alone,
    /// Anything else that begins with a backslash.
    Other,
}

fn escape(body: &[u8], at: usize) -> Escape {
    match surrogate(body, at) {
        Some(0xd800..=0xdbff) => match surrogate(body, at + 6) {
            Some(0xdc00..=0xdfff) => Escape::Pair,
            _ => Escape::Alone,
        },
        Some(_) => Escape::Alone,
        None => Escape::Other,
    }
}

/// The surrogate that is written as `\uXXXX` here.
fn surrogate(body: &[u8], at: usize) -> Option<u16> {
    let digits = body.get(at..at + 6)?.strip_prefix(b"\\u")?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let unit = u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    (0xd800..=0xdfff).contains(&unit).then_some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mended(text: &str) -> String {
        String::from_utf8(repair(text.as_bytes()).into_owned()).expect("UTF-8")
    }

    #[test]
    fn h1_half_a_character_is_read_as_u_fffd() {
        for (text, then) in [
            (r#""cut \ud83d""#, r#""cut \ufffd""#),
            (r#""\uDE00 cut""#, r#""\ufffd cut""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ud83d\u0041""#, r#""\ufffd\u0041""#),
            (r#""\ud83d\\ude00""#, r#""\ufffd\\ude00""#),
            (r#""\ud83d\ude00\ude00""#, r#""\ud83d\ude00\ufffd""#),
        ] {
            assert_eq!(mended(text), then, "{text}");
        }
    }

    #[test]
    fn h1_all_else_is_left_as_it_is() {
        for text in
            [r#""\ud83d\ude00 \\ud83d \u00e9 \n""#, r#""\ud8"#, "\\", r#""\\\\ud83d""#, r#""\u+83d""#, ""]
        {
            assert_eq!(mended(text), text);
        }
        assert!(matches!(repair(br#"{"a": "\ud83d\ude00"}"#), Cow::Borrowed(_)), "no copy without need");
    }

    #[test]
    fn h1_a_byte_order_mark_is_ignored_in_front_alone() {
        assert_eq!(mended("\u{feff}{}"), "{}");
        assert_eq!(mended("\"\u{feff}\""), "\"\u{feff}\"");
    }
}
