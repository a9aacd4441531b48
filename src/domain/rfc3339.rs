//! Times as people write them (RFC 3339), in UTC.
//!
//! The calendar uses Howard Hinnant's civil-from-days arithmetic, which is exact for every date.

use dao_projections::Timestamp;

const DAY_MS: i64 = 86_400_000;

/// Parses RFC 3339, or a date alone, which means its first moment in UTC.
pub(super) fn parse_time(text: &str) -> Option<Timestamp> {
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    if !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    let of_day = time.map_or(Some(0), parse_time_of_day)?;
    u64::try_from(days_from_civil(year, month, day) * DAY_MS + of_day).ok().map(Timestamp)
}

/// Milliseconds from midnight in UTC.
fn parse_time_of_day(text: &str) -> Option<i64> {
    let (clock, offset) = match text.strip_suffix(['Z', 'z']) {
        Some(clock) => (clock, 0),
        None => {
            let (clock, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
            let [hours, minutes] = numbers(&offset[1..], ':', [2, 2])?;
            let sign = match offset.as_bytes()[0] {
                b'+' => 1,
                b'-' => -1,
                _ => return None,
            };
            (clock, sign * (hours * 60 + minutes) * 60_000)
        }
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let milliseconds: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let [hours, minutes, seconds] = numbers(clock, ':', [2, 2, 2])?;
    if hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    Some(((hours * 60 + minutes) * 60 + seconds) * 1_000 + milliseconds - offset)
}

/// Parses numbers with exactly these counts of digits.
fn numbers<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut found = [0; N];
    let mut parts = text.split(separator);
    for (number, digits) in found.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits)?;
        *number = part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(found)
}

fn days_in(year: i64, month: i64) -> i64 {
    let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_from_civil(next_year, next_month, 1) - days_from_civil(year, month, 1)
}

/// Days since 1970-01-01.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
}

/// Formats a time: `2026-11-23T10:30:00.250Z`.
pub fn readable(time: Timestamp) -> String {
    let ms = i64::try_from(time.0).unwrap_or(i64::MAX);
    let (days, of_day) = (ms.div_euclid(DAY_MS) + 719_468, ms.rem_euclid(DAY_MS));
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) = (day_of_year - (153 * shifted + 2) / 5 + 1, (shifted + 2) % 12 + 1);
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (seconds, ms) = (of_day / 1_000, of_day % 1_000);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l13_times_are_read_and_shown_in_utc() {
        for (text, ms) in [
            ("1970-01-01", 0),
            ("2026-11-23T10:30:00Z", 1_795_429_800_000),
            ("2026-11-23T11:30:00.25+01:00", 1_795_429_800_250),
            ("2024-02-29 23:59:59.999Z", 1_709_251_199_999),
            ("2000-03-01T00:00:00-00:30", 951_870_600_000),
        ] {
            assert_eq!(parse_time(text), Some(Timestamp(ms)), "{text}");
            assert_eq!(parse_time(&readable(Timestamp(ms))), Some(Timestamp(ms)), "{text}");
        }
        assert_eq!(readable(Timestamp(1_709_251_199_999)), "2024-02-29T23:59:59.999Z");
        for day in (0..400 * 366).step_by(17) {
            let time = Timestamp(day * DAY_MS as u64 + 1);
            assert_eq!(parse_time(&readable(time)), Some(time));
        }
    }

    #[test]
    fn l13_what_is_no_time_is_none() {
        for bad in [
            "",
            "x",
            "2026-13-01",
            "2026-02-29",
            "2026-1-1",
            "2026-11-23T10:30Z",
            "2026-11-23T10:30:00",
            "2026-11-23T24:00:00Z",
            "2026-11-23T10:30:00.Z",
            "1969-12-31",
            "ü",
            "2026-11-23Tü",
        ] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }
}
