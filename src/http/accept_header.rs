//! `Accept` (RFC 9110, 12.5.1): which representation a client prefers.

use std::cmp::Reverse;

use axum::http::{HeaderMap, header};

/// One representation that the server offers.
pub(super) struct Offer<T> {
    pub(super) answer: T,
    /// The type of its media type: what a range such as `text/*` is compared with.
    pub(super) top_level: &'static str,
    /// Whether this media type, in lower case, means it.
    pub(super) is_meant_by: fn(&str) -> bool,
}

/// A media range in lower case, with its quality in thousandths; 0 means "not this".
struct MediaRange {
    essence: String,
    quality: u16,
}

/// The rank of an offer: quality, then precision of the range, then order.
type Preference = (u16, Precision, Reverse<usize>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Precision {
    /// `*/*`
    Anything,
    /// `text/*`
    TopLevel,
    /// Its own name.
    Name,
}

/// The preferred offer; the first of equals. `None` without `Accept`, or if it takes none of the offers.
pub(super) fn preferred<T: Copy>(headers: &HeaderMap, offers: &[Offer<T>]) -> Option<T> {
    let ranges = ranges(headers);
    let liked = offers.iter().filter_map(|offer| Some((preference(&ranges, offer)?, offer.answer)));
    liked.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, answer)| answer)
}

/// The most precise range that matches the offer decides.
fn preference<T>(ranges: &[MediaRange], offer: &Offer<T>) -> Option<Preference> {
    let taking = ranges.iter().enumerate().filter_map(|(place, range)| {
        Some((precision(&range.essence, offer)?, range.quality, Reverse(place)))
    });
    let (precision, quality, place) = taking.max()?;
    (quality > 0).then_some((quality, precision, place))
}

fn precision<T>(essence: &str, offer: &Offer<T>) -> Option<Precision> {
    match essence.strip_suffix("/*") {
        Some("*") => Some(Precision::Anything),
        Some(top_level) => (top_level == offer.top_level).then_some(Precision::TopLevel),
        None => (offer.is_meant_by)(essence).then_some(Precision::Name),
    }
}

fn ranges(headers: &HeaderMap) -> Vec<MediaRange> {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges = values.flat_map(|value| value.split(',')).map(|range| {
        let mut parts = range.split(';');
        let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        MediaRange { essence, quality: parts.find_map(quality).unwrap_or(1_000) }
    });
    ranges.collect()
}

/// `q=0.5`, in thousandths. A value outside of 0 to 1 is ignored.
fn quality(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    let quality: f32 = value.trim().parse().ok().filter(|_| name.trim().eq_ignore_ascii_case("q"))?;
    (0.0..=1.0).contains(&quality).then_some((quality * 1_000.0) as u16)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn best(accept: &'static str) -> Option<char> {
        let offers = [
            Offer { answer: 'e', top_level: "text", is_meant_by: |name| name == "text/event-stream" },
            Offer { answer: 'l', top_level: "application", is_meant_by: |name| name == "application/jsonl" },
        ];
        let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
        preferred(&headers, &offers)
    }

    #[test]
    fn h_s_accept_is_read_as_rfc_9110_says() {
        for (accept, expected) in [
            ("text/event-stream;q=0, application/jsonl", Some('l')),
            ("text/event-stream;q=0.5, application/jsonl;q=0.6", Some('l')),
            ("text/event-stream;q=0.5, application/jsonl;Q=0.4", Some('e')),
            ("Application/JSONL", Some('l')),
            ("application/jsonl; charset=utf-8; q=0.3, TEXT/event-stream; q=0.2", Some('l')),
            ("application/jsonl, text/event-stream", Some('l')),
            ("text/event-stream, application/jsonl", Some('e')),
            ("*/*", Some('e')),
            ("*/*, application/jsonl", Some('l')),
            ("application/*", Some('l')),
            ("text/event-stream;q=0, */*;q=0.1", Some('l')),
            ("text/*;q=0.1, */*;q=0.9", Some('l')),
            ("application/jsonl;q=nan", Some('l')),
            ("application/jsonl;q=0, text/event-stream;q=0.000", None),
            ("application/xml", None),
            ("", None),
        ] {
            assert_eq!(best(accept), expected, "{accept}");
        }
    }
}
