//! Formats figures as short texts with about three digits.

/// Formats a count or a rate.
pub(super) fn number(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        v if v < 9.95 && v.fract() != 0.0 => format!("{v:.1}"),
        v if v < 9_999.5 => format!("{v:.0}"),
        v if v < 999_500.0 => format!("{:.1}k", v / 1e3),
        v => format!("{:.1}M", v / 1e6),
    }
}

/// Formats a time.
pub(super) fn seconds(value: f64) -> String {
    match value {
        v if v < 1e-3 => format!("{:.0}µs", v * 1e6),
        v if v < 0.0995 => format!("{:.1}ms", v * 1e3),
        v if v < 1.0 => format!("{:.0}ms", v * 1e3),
        v if v < 99.5 => format!("{v:.1}s"),
        v => age(v),
    }
}

/// Formats an amount of memory.
pub(super) fn bytes(value: f64) -> String {
    let mib = value / f64::from(1 << 20);
    if mib < 1_024.0 { format!("{mib:.0} MiB") } else { format!("{:.1} GiB", mib / 1_024.0) }
}

/// Formats a long time in its largest unit.
pub(super) fn age(seconds: f64) -> String {
    let units = [(86_400.0, 'd'), (3_600.0, 'h'), (60.0, 'm')];
    let found = units.iter().find(|(unit, _)| seconds >= 2.0 * unit);
    found.map_or_else(
        || format!("{seconds:.0}s"),
        |(unit, word)| format!("{:.0}{word}", (seconds / unit).floor()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        let numbers = [0.0, 0.25, 9.96, 10.0, 1234.0, 12_345.0, 1_234_567.0].map(number);
        assert_eq!(numbers, ["0", "0.2", "10", "10", "1234", "12.3k", "1.2M"]);
        assert_eq!(
            [0.000_15, 0.0015, 0.25, 2.5, 7_300.0].map(seconds),
            ["150µs", "1.5ms", "250ms", "2.5s", "2h"]
        );
    }
}
