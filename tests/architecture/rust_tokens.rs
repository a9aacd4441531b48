//! Rust text as tokens, as far as the checks of this binary need them: names, `::` and single signs, without comments,
//! without what is between quotes, and without what is compiled for tests only.

/// Stands for a literal between quotes.
const QUOTED: &str = "\"";

/// The tokens of a file, without the items that only tests have.
pub(crate) fn tokens(text: &str) -> Vec<String> {
    without_tests(&all_tokens(text))
}

fn all_tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < chars.len() {
        let (token, next) = token_at(&chars, at);
        found.extend(token);
        at = next;
    }
    found
}

/// The token at a place, if there is one, and the place after it.
fn token_at(chars: &[char], at: usize) -> (Option<String>, usize) {
    let next = chars.get(at + 1).copied().unwrap_or(' ');
    match chars[at] {
        '/' if next == '/' => (None, position_from(chars, at, |c| c == '\n')),
        '/' if next == '*' => (None, after_block_comment(chars, at)),
        '"' => (Some(QUOTED.to_owned()), after_string(chars, at + 1)),
        '\'' => after_quote(chars, at),
        ':' if next == ':' => (Some("::".to_owned()), at + 2),
        c if is_of_name(c) => {
            let end = position_from(chars, at, |c| !is_of_name(c));
            let word: String = chars[at..end].iter().collect();
            let is_prefix = matches!(word.as_str(), "r" | "b" | "br" | "c" | "cr");
            match chars.get(end) {
                Some('#' | '"') if is_prefix && word.contains('r') => match after_raw_string(chars, end) {
                    Some(end) => (Some(QUOTED.to_owned()), end),
                    None => (None, end + 1),
                },
                Some('"') if is_prefix => (Some(QUOTED.to_owned()), after_string(chars, end + 1)),
                _ => (Some(word), end),
            }
        }
        c if c.is_whitespace() => (None, at + 1),
        c => (Some(c.to_string()), at + 1),
    }
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn position_from(chars: &[char], at: usize, is_it: impl Fn(char) -> bool) -> usize {
    chars[at..].iter().position(|&c| is_it(c)).map_or(chars.len(), |ahead| at + ahead)
}

fn after_block_comment(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) if depth == 1 => return at + 2,
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

fn after_string(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// After `#"…"#` with as many `#` as there are. `None` for a raw name: `r#type`.
fn after_raw_string(chars: &[char], at: usize) -> Option<usize> {
    let start = position_from(chars, at, |c| c != '#');
    let signs = start - at;
    if chars.get(start) != Some(&'"') {
        return None;
    }
    let is_end = |end: &usize| {
        chars[*end] == '"' && chars[end + 1..].iter().take_while(|c| **c == '#').take(signs).count() == signs
    };
    Some((start + 1..chars.len()).find(is_end).map_or(chars.len(), |end| end + 1 + signs))
}

/// A character or a lifetime. A lifetime is left out as well.
fn after_quote(chars: &[char], at: usize) -> (Option<String>, usize) {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => {
            (Some(QUOTED.to_owned()), position_from(chars, (at + 3).min(chars.len()), |c| c == '\'') + 1)
        }
        (Some(_), Some('\'')) => (Some(QUOTED.to_owned()), at + 3),
        _ => (None, position_from(chars, at + 1, |c| !is_of_name(c))),
    }
}

/// Leaves out every item behind `#[cfg(test)]`.
fn without_tests(tokens: &[String]) -> Vec<String> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let is_marked =
            tokens[at..].len() >= MARK.len() && tokens[at..].iter().zip(MARK).all(|(a, b)| a == b);
        if is_marked {
            at = after_item(tokens, at + MARK.len());
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// The place after the item that begins at `at`: after its `;` or its block.
fn after_item(tokens: &[String], at: usize) -> usize {
    let mut depth = 0_u32;
    for (ahead, token) in tokens[at..].iter().enumerate() {
        match token.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" if depth == 1 => return at + ahead + 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            ";" if depth == 0 => return at + ahead + 1,
            _ => {}
        }
    }
    tokens.len()
}

#[test]
fn the_reader_of_tokens_sees_names_only_where_they_are_code() {
    let text = r##"
        //! crate::a
        /* crate::b /* c */ */ use crate::d; let e = "crate::f \" g"; let h: &'static str = r#"crate::"i"#;
        let j = ('\'', 'k', b'l'); #[cfg(test)] mod tests { fn m() { n() } } #[cfg(test)] use crate::o; r#p::q
    "##;
    let names: Vec<_> = tokens(text).into_iter().filter(|token| token.chars().all(is_of_name)).collect();
    assert_eq!(names, ["use", "crate", "d", "let", "e", "let", "h", "str", "let", "j", "b", "p", "q"]);
}
