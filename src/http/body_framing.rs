//! What the HTTP parser does not tell: whether a head says two things about where its body ends.
//!
//! RFC 9112 (6.3) lets a server that sees `Transfer-Encoding` beside `Content-Length` go on without the length, and
//! hyper does, leaving no trace of it. A proxy in front may go by the length, so such a request is refused here. This
//! reads along with the parser: names of fields, and the length of bodies so that it knows where the next head begins.
//!
//! Invariant: it never decides where a body ends; it only says that a head is ambiguous. Behind a chunked body it is
//! lost until the connection is idle: what is pipelined there is not looked at. The same holds behind a length that it
//! can't read.

/// Bytes at the beginning of a line that are looked at: `transfer-encoding:` and a little more. Blanks between the colon
/// and the value are not among them.
const LINE_START_MAX: usize = 48;

/// Reads along with one connection.
#[derive(Debug, Default)]
pub(super) struct FramingObserver {
    at: Position,
    /// The beginning of the line that is being read.
    line: Vec<u8>,
    /// Whether that line holds more than its beginning.
    is_cut: bool,
    head: HeadState,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Position {
    /// Between messages, and in the lines of a head.
    #[default]
    Head,
    /// In a body of which so many bytes are to come.
    Body(u64),
    /// Behind a body whose end only the parser knows: a chunked one, or one of unknown length.
    Lost,
}

/// What is known of the head that is being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct HeadState {
    bytes: usize,
    has_begun: bool,
    length: Option<Length>,
    is_encoded: bool,
}

/// What a head says in `Content-Length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Bytes(u64),
    /// Not a number that can be read here.
    Unknown,
}

impl Length {
    /// Digits alone, as HTTP wants it (RFC 9110, 8.6).
    fn parse(value: &[u8]) -> Self {
        let digits = std::str::from_utf8(value).ok().filter(|_| value.iter().all(u8::is_ascii_digit));
        digits.and_then(|digits| digits.parse().ok()).map_or(Self::Unknown, Self::Bytes)
    }
}

/// What reading on has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Observation {
    /// A head ended that has `Transfer-Encoding` and `Content-Length`.
    pub(super) is_ambiguous: bool,
    /// Bytes of a head that has begun and not ended.
    pub(super) head_bytes: usize,
}

impl FramingObserver {
    /// Everything that was asked on this connection was answered.
    pub(super) fn idle(&mut self) {
        if self.at == Position::Lost {
            *self = Self::default();
        }
    }

    /// These bytes came.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> Observation {
        let mut seen = Observation::default();
        while !bytes.is_empty() {
            bytes = match self.at {
                Position::Lost => break,
                Position::Body(left) => {
                    let here = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    self.at = match left - here as u64 {
                        0 => Position::Head,
                        left => Position::Body(left),
                    };
                    &bytes[here..]
                }
                Position::Head => self.line(bytes, &mut seen),
            };
        }
        seen.head_bytes = if self.at == Position::Head { self.head.bytes } else { 0 };
        seen
    }

    /// Takes what these bytes hold of one line; the rest is returned.
    fn line<'b>(&mut self, bytes: &'b [u8], seen: &mut Observation) -> &'b [u8] {
        let end = memchr::memchr(b'\n', bytes);
        let (line, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
        self.keep_start(line);
        self.head.bytes += line.len();
        if end.is_some() {
            self.line_ended(seen);
            self.line.clear();
            self.is_cut = false;
        }
        rest
    }

    /// Keeps the beginning of a line. A value may have any number of blanks before it; they are left out.
    fn keep_start(&mut self, mut bytes: &[u8]) {
        while self.line.len() < LINE_START_MAX
            && let Some((&byte, rest)) = bytes.split_first()
        {
            let is_padding = matches!(byte, b' ' | b'\t') && self.line.last() == Some(&b':');
            if !is_padding {
                self.line.push(byte);
            }
            bytes = rest;
        }
        self.is_cut |= !bytes.trim_ascii().is_empty();
    }

    fn line_ended(&mut self, seen: &mut Observation) {
        let line = self.line.trim_ascii();
        if line.is_empty() && !self.is_cut && !self.head.has_begun {
            // Empty lines before a request are passed over (RFC 9112, 2.2).
            self.head = HeadState::default();
            return;
        }
        if line.is_empty() && !self.is_cut {
            let head = std::mem::take(&mut self.head);
            seen.is_ambiguous |= head.is_encoded && head.length.is_some();
            self.at = match head {
                HeadState { is_encoded: true, .. } | HeadState { length: Some(Length::Unknown), .. } => {
                    Position::Lost
                }
                HeadState { length: Some(Length::Bytes(length @ 1..)), .. } => Position::Body(length),
                HeadState { .. } => Position::Head,
            };
            return;
        }
        self.head.has_begun = true;
        let Some(colon) = memchr::memchr(b':', line) else { return };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.head.is_encoded = true;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let length = if self.is_cut { Length::Unknown } else { Length::parse(value) };
            // Two of them that differ say nothing.
            let is_same = self.head.length.is_none_or(|earlier| earlier == length);
            self.head.length = Some(if is_same { length } else { Length::Unknown });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [&str; 2] = [
        "POST / HTTP/1.1\r\nContent-Length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nhost: a\r\nCONTENT-LENGTH: 3\r\n\r\n",
    ];

    #[test]
    fn o3_a_head_with_a_length_and_an_encoding_is_ambiguous_however_it_is_split() {
        for head in BOTH {
            for cut in 0..head.len() {
                let mut framing = FramingObserver::default();
                let first = framing.read(&head.as_bytes()[..cut]);
                assert_eq!((first.is_ambiguous, first.head_bytes), (false, cut));
                let second = framing.read(&head.as_bytes()[cut..]);
                assert_eq!(second, Observation { is_ambiguous: true, head_bytes: 0 }, "{cut}");
            }
        }
    }

    #[test]
    fn o3_what_bodies_say_is_not_taken_for_a_head() {
        let body = "transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n";
        let first = format!("POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let second = "GET / HTTP/1.1\r\ncontent-length: 0\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n";
        let mut framing = FramingObserver::default();
        for byte in format!("\r\n{first}{second}").bytes() {
            assert!(!framing.read(&[byte]).is_ambiguous);
        }
        assert!(framing.read(BOTH[0].as_bytes()).is_ambiguous, "it knows where it is");
    }

    #[test]
    fn o3_behind_a_chunked_body_it_waits_until_the_connection_is_idle() {
        let mut framing = FramingObserver::default();
        let chunked = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
        assert!(!framing.read(chunked.as_bytes()).is_ambiguous);
        assert!(!framing.read(BOTH[1].as_bytes()).is_ambiguous);
        framing.idle();
        assert!(framing.read(BOTH[1].as_bytes()).is_ambiguous);
    }

    #[test]
    fn o3_a_length_is_read_however_many_blanks_are_around_it() {
        let blanks = " \t".repeat(LINE_START_MAX);
        for padded in [format!("{blanks}{{}}"), format!(" {{}}{blanks}"), format!("{blanks}{{}}{blanks}")] {
            let body = BOTH[0];
            let length = padded.replace("{}", &body.len().to_string());
            let message = format!("POST / HTTP/1.1\r\nContent-Length:{length}\r\n\r\n{body}");
            let mut framing = FramingObserver::default();
            for byte in message.bytes() {
                assert!(!framing.read(&[byte]).is_ambiguous, "the body is not a head: {padded:?}");
            }
            assert!(
                framing.read(BOTH[1].as_bytes()).is_ambiguous,
                "it knows where the next head begins: {padded:?}"
            );
        }
    }

    #[test]
    fn o3_behind_a_length_that_can_not_be_read_it_waits_until_the_connection_is_idle() {
        let cut = format!("3{}3", " ".repeat(LINE_START_MAX));
        let digits = "9".repeat(LINE_START_MAX);
        for length in
            ["", "x", "-1", "+3", "3x", "18446744073709551616", &cut, &digits, "3\r\nContent-Length: 4"]
        {
            let head = format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n");
            let mut framing = FramingObserver::default();
            framing.read(head.as_bytes());
            assert!(!framing.read(BOTH[0].as_bytes()).is_ambiguous, "{length:?}");
            framing.idle();
            assert!(framing.read(BOTH[0].as_bytes()).is_ambiguous, "{length:?}");
        }
    }
}
