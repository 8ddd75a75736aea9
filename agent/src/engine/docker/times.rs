//! The engine's times: RFC 3339 text in inspections, nanoseconds in events.

use roadstead_protocol::message::time::UnixMicros;

/// Reads `2026-11-20T13:28:51.824066657Z` or with an offset. None for what is no time, and for the year 1, which is
/// how the engine writes "never".
pub(super) fn parse(text: &str) -> Option<UnixMicros> {
    let (date, rest) = text.split_once(['T', 't'])?;
    let mut date = date.splitn(3, '-').map(number);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let offset_at = rest.find(['Z', 'z', '+', '-'])?;
    let (clock, offset) = rest.split_at(offset_at);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut clock = clock.splitn(3, ':').map(number);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let in_range = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..=23).contains(&hour)
        && (0..=59).contains(&minute)
        && (0..=60).contains(&second);
    if !in_range || year <= 1 {
        return None;
    }
    let seconds =
        days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset_seconds(offset)?;
    Some(UnixMicros(seconds * 1_000_000 + micros(fraction)?))
}

/// From the nanoseconds that events carry.
pub(super) const fn from_nanos(nanos: i64) -> UnixMicros {
    UnixMicros(nanos.div_euclid(1_000))
}

/// As the engine's `since` takes it: `seconds.nanoseconds`.
pub(super) fn since(at: UnixMicros) -> String {
    let micros = at.0.max(0);
    format!("{}.{:09}", micros / 1_000_000, micros % 1_000_000 * 1_000)
}

fn number(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn micros(fraction: &str) -> Option<i64> {
    let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
    if fraction.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

fn offset_seconds(offset: &str) -> Option<i64> {
    if offset.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, rest) =
        if let Some(rest) = offset.strip_prefix('-') { (-1, rest) } else { (1, offset.get(1..)?) };
    let (hours, minutes) = rest.split_once(':')?;
    Some(sign * (number(hours)? * 3_600 + number(minutes)? * 60))
}

/// Days from 1970-01-01 to a day of the Gregorian calendar. Years are counted from March, so that the leap day is the
/// last of its year, and in cycles of 400 years, which all have the same length.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let cycle = year.div_euclid(400);
    let year_of_cycle = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    cycle * 146_097 + year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::fuzz::{fuzz, text};

    use super::*;

    #[test]
    fn times_as_engines_write_them() {
        let table = [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-20T13:28:51.824066657Z", 1_795_181_331_824_066),
            ("2026-11-20T15:28:51.824066657+02:00", 1_795_181_331_824_066),
            ("2026-11-20T08:58:51.8-04:30", 1_795_181_331_800_000),
            ("2024-02-29T00:00:00.5Z", 1_709_164_800_500_000),
            ("2000-03-01T00:00:00Z", 951_868_800_000_000),
            ("1969-12-31T23:59:59Z", -1_000_000),
        ];
        for (text, want) in table {
            assert_eq!(parse(text), Some(UnixMicros(want)), "{text}");
        }
    }

    #[test]
    fn never_and_nonsense_are_none() {
        for text in [
            "0001-01-01T00:00:00Z",
            "",
            "yesterday",
            "2026-11-20",
            "2026-11-20T13:28:51",
            "2026-13-20T13:28:51Z",
            "2026-11-20T25:28:51Z",
            "2026-11-20T13:28:51.x1Z",
            "2026-11-20T13:28:51+02",
            "-2026-11-20T13:28:51Z",
            "2026-11-20T13:28:51é",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn event_times_survive_the_way_back() {
        assert_eq!(from_nanos(1_795_181_331_824_066_657), UnixMicros(1_795_181_331_824_066));
        assert_eq!(since(UnixMicros(1_795_181_331_024_066)), "1795181331.024066000");
    }

    #[test]
    fn fuzz_times() {
        let samples =
            ["2026-11-20T13:28:51.824066657Z", "2026-11-20T08:58:51.8-04:30", "0001-01-01T00:00:00Z"];
        fuzz("engine times", &text(&samples, &["T", "Z", "+99:99", "9999", "-", ".", "60"]), |text| {
            let Some(time) = parse(&text) else { return false };
            // Years 2 to 9999, and an offset.
            assert!((-62_200_000_000..=253_500_000_000).contains(&(time.0 / 1_000_000)), "{text}: {time:?}");
            let _ = since(time);
            true
        });
    }
}
