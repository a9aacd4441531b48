//! Parsers of settings: addresses, origins, times. Each error shows a correct example.

use std::{net::IpAddr, sync::Arc, time::Duration};

use dao_projections::LabelName;

use crate::http::{DocsAccess, Origin, Origins};

pub(super) fn parse_host(text: &str) -> Result<IpAddr, String> {
    if text == "localhost" {
        return Ok(IpAddr::from([127, 0, 0, 1]));
    }
    text.parse().map_err(|_| format!("{text:?} is not an IP address, like 127.0.0.1, 0.0.0.0 or ::"))
}

/// TLS is left to a collector beside this server, which sends the traces on.
pub(super) fn parse_collector(url: String) -> Result<String, String> {
    let is_fine =
        url.parse::<http::Uri>().is_ok_and(|uri| uri.scheme_str() == Some("http") && uri.host().is_some());
    if is_fine {
        Ok(url)
    } else {
        Err("must be the http:// URL of a collector's gRPC port, like http://localhost:4317".to_owned())
    }
}

/// Parses the usual words for yes and no.
pub(super) fn parse_switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "1" => Ok(true),
        "off" | "false" | "0" => Ok(false),
        _ => Err(format!("{text:?} must be on (true, 1) or off (false, 0)")),
    }
}

/// Parses who may see `/openapi.json` and `/docs`.
pub(super) fn parse_docs(text: &str) -> Result<DocsAccess, String> {
    match text {
        "public" => Ok(DocsAccess::Public),
        "private" => Ok(DocsAccess::Private),
        "off" => Ok(DocsAccess::Off),
        _ => Err(format!("{text:?} must be public, private (with keys: callers with a token) or off")),
    }
}

/// Parses `*`, or origins separated by commas; empty for none.
pub(super) fn parse_origins(text: &str) -> Result<Origins, String> {
    match text.trim() {
        "" => Ok(Origins::Own),
        "*" => Ok(Origins::Any),
        listed => {
            let origin = |text: &str| {
                Origin::parse(text.trim()).ok_or_else(|| {
                    format!("{text:?} is not an origin as browsers write it, like https://editor.example or http://localhost:5173")
                })
            };
            listed.split(',').map(origin).collect::<Result<_, _>>().map(Origins::Listed)
        }
    }
}

/// Parses names of labels separated by commas; empty for none.
pub(super) fn parse_labels(text: &str) -> Result<Arc<[LabelName]>, String> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    let name = |name: &str| {
        LabelName::parse(name).map_err(|_| format!("{name:?} is not the name of a label, like published"))
    };
    names.map(name).collect()
}

/// Parses a time, or `off`: for ever.
pub(super) fn parse_retention(text: &str) -> Result<Option<Duration>, String> {
    match text {
        "off" => Ok(None),
        _ => parse_duration(text).map(Some),
    }
}

/// Parses a time with its unit: `250ms`, `90s`, `5m`, `24h` or `7d`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let problem = || format!("{text:?} is not a time above 0 with a unit, like 250ms, 90s, 5m, 24h or 7d");
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| problem())?;
    let unit_ms: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(problem()),
    };
    number.checked_mul(unit_ms).filter(|ms| *ms > 0).map(Duration::from_millis).ok_or_else(problem)
}
