//! Negotiating permessage-deflate (RFC 7692 section 7.1) from `Sec-WebSocket-Extensions`.

/// Whether a connection's messages may be compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deflate {
    /// permessage-deflate wasn't agreed upon.
    Off,
    /// It was, without context takeover in either direction.
    On,
}

/// The header breaks RFC 6455's grammar (section 9.1), after which nothing may be negotiated.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The window every compressed frame uses; they are shared, so nobody can have a smaller one.
const SERVER_WINDOW_BITS: u8 = 15;

/// What is answered to an accepted offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// To an offer that says nothing of the server's window.
    Plain,
    /// To one that asks for the window there is: RFC 7692 section 7.1.2.1 wants it repeated.
    WithServerWindow,
}

impl Answer {
    pub(super) fn header(self) -> &'static str {
        match self {
            Self::Plain => "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            Self::WithServerWindow => {
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                 server_max_window_bits=15"
            }
        }
    }
}

/// The answer to the first offer in `header` that can be kept, if one can.
pub(super) fn negotiate(header: &str) -> Result<Option<Answer>, Malformed> {
    let mut answer = None;
    for extension in split(header, ',') {
        if extension.is_empty() {
            continue; // RFC 7230 section 7: a list may have empty elements.
        }
        let mut parts = split(extension, ';');
        let name = parts.next().filter(|name| is_token(name)).ok_or(Malformed)?;
        let params = parts.map(parse_param).collect::<Result<Vec<_>, _>>()?;
        if name == "permessage-deflate" {
            answer = answer.or_else(|| accept(&params));
        }
    }
    Ok(answer)
}

/// The answer to one offer; `None` declines it, which an unknown, repeated or ill-valued parameter
/// demands (RFC 7692 section 7.1).
fn accept(params: &[(&str, Option<&str>)]) -> Option<Answer> {
    let mut answer = Answer::Plain;
    for (index, &(name, value)) in params.iter().enumerate() {
        if params[..index].iter().any(|&(earlier, _)| earlier == name) {
            return None;
        }
        match (name, value) {
            ("server_no_context_takeover" | "client_no_context_takeover", None) => {}
            // A hint that we needn't take: any window of the client's can be inflated.
            ("client_max_window_bits", None) => {}
            ("client_max_window_bits", Some(bits)) => {
                window_bits(bits)?;
            }
            ("server_max_window_bits", Some(bits)) if window_bits(bits)? == SERVER_WINDOW_BITS => {
                answer = Answer::WithServerWindow;
            }
            _ => return None,
        }
    }
    Some(answer)
}

/// 8 to 15, in decimal, without leading zeros.
fn window_bits(value: &str) -> Option<u8> {
    let bits = value.parse::<u8>().ok().filter(|bits| (8..=15).contains(bits))?;
    (bits.to_string() == value).then_some(bits)
}

/// `name`, `name=value` or `name="value"`; the value must be a token either way.
fn parse_param(param: &str) -> Result<(&str, Option<&str>), Malformed> {
    let (name, value) = match param.split_once('=') {
        None => (param, None),
        Some((name, value)) => (name.trim_end_matches(SPACE), Some(unquote(value.trim_start_matches(SPACE)))),
    };
    if is_token(name) && value.is_none_or(is_token) { Ok((name, value)) } else { Err(Malformed) }
}

fn unquote(value: &str) -> &str {
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

/// The pieces of a list, without the blanks around them. A quoted value must be a token, so it holds
/// no separator, and one that does is malformed whichever way it is cut.
fn split(list: &str, separator: char) -> impl Iterator<Item = &str> {
    list.split(separator).map(|piece| piece.trim_matches(SPACE))
}

/// RFC 7230's optional white space.
const SPACE: [char; 2] = [' ', '\t'];

/// RFC 7230's `token`: what names of extensions, parameters and subprotocols are made of.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
