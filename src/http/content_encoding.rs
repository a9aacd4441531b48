//! The encoding that a caller accepts.

use axum::http::{HeaderMap, header};

/// The one encoding in `Accept-Encoding` that is to be used, or none: an answer is never 406, since what was
/// asked for has been done by then.
pub(super) fn choose_encoding(headers: &HeaderMap) -> Option<&'static str> {
    let mut best: (f32, Option<&'static str>) = (0.0, None);
    for value in headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()) {
        for offer in value.split(',') {
            let mut parts = offer.split(';').map(str::trim);
            let encoding = match parts.next().unwrap_or_default() {
                name if name.eq_ignore_ascii_case("br") => "br",
                name if name.eq_ignore_ascii_case("gzip") => "gzip",
                _ => continue,
            };
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            if quality > best.0 || (quality == best.0 && quality > 0.0 && encoding == "br") {
                best = (quality, Some(encoding));
            }
        }
    }
    best.1
}
