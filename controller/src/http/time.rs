//! Times and durations as the API writes and reads them.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;
use roadstead_protocol::message::time::UnixMicros;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

/// A moment as the API shows it: RFC 3339, UTC (`2026-11-20T13:28:34.25Z`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub UnixMicros);

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
        ObjectBuilder::new().schema_type(Type::String).format(Some(format)).into()
    }
}

impl ToSchema for Time {}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Timestamp::from_microsecond(self.0.0).unwrap_or(Timestamp::MAX))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = text.parse().ok().or_else(|| beyond(&text)).ok_or_else(|| {
            de::Error::custom(format!("`{text}` is not a time; write it like 2026-11-20T13:28:34Z"))
        })?;
        Ok(Self(UnixMicros(Timestamp::as_microsecond(time))))
    }
}

/// The nearest moment there is to a time that is one by its form, and lies beyond the first or last: the standard
/// allows the years 0 to 9999 with any offset.
fn beyond(text: &str) -> Option<Timestamp> {
    let pieces = Pieces::parse(text).ok()?;
    pieces.time()?;
    pieces.to_numeric_offset()?;
    Some(if pieces.date().year() > 0 { Timestamp::MAX } else { Timestamp::MIN })
}

/// How long ago `then` is, in seconds; 0 for a time that is still to come.
#[must_use]
pub fn age_seconds(then: UnixMicros, now: UnixMicros) -> f64 {
    (now.since(then).as_secs_f64() * 1000.0).round() / 1000.0
}

/// A length of time as the API reads it: `90s`, `15m`, `24h`, `2d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl PartialSchema for Span {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[0-9]{1,9}[smhd]$"))
            .examples(["24h"])
            .into()
    }
}

impl ToSchema for Span {}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || format!("`{text}` is not a length of time; write it like 90s, 15m, 24h or 2d");
        let unit = text.chars().last().ok_or_else(invalid)?;
        let seconds: u64 = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return Err(invalid()),
        };
        let number: u64 = text[..text.len() - 1].parse().map_err(|_| invalid())?;
        number.checked_mul(seconds).map(Duration::from_secs).map(Self).ok_or_else(invalid)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use roadstead_protocol::fuzz::{fuzz, text};

    use super::*;

    #[test]
    fn times_are_written_and_read_as_rfc_3339() {
        let time = Time(UnixMicros(1_795_181_314_250_000));
        let text = serde_json::to_string(&time).unwrap();
        assert_eq!(text, r#""2026-11-20T13:28:34.25Z""#);
        assert_eq!(serde_json::from_str::<Time>(&text).unwrap(), time);
        assert!(
            serde_json::from_str::<Time>(r#""yesterday""#).unwrap_err().to_string().contains("2026-11-20")
        );
        assert!(serde_json::to_string(&Time(UnixMicros(i64::MAX))).is_ok());
        let read =
            |text: &str| serde_json::from_str::<Time>(&format!("\"{text}\"")).ok().map(|time| time.0.0);
        let (first, last) = (Timestamp::MIN.as_microsecond(), Timestamp::MAX.as_microsecond());
        assert_eq!(read("9999-12-31T23:59:59Z"), Some(last));
        assert_eq!(read("9999-12-31T23:59:59-23:59"), Some(last));
        assert_eq!(read("-009999-01-01T00:00:00+23:59"), Some(first));
        for text in ["9999-12-31", "9999-12-31T23:59:59", "9999-13-31T00:00:00Z", "", "now"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn spans_need_a_number_and_a_unit() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("24h", 86_400), ("2d", 172_800)] {
            assert_eq!(text.parse(), Ok(Span(Duration::from_secs(seconds))));
        }
        for text in ["", "h", "24", "-1h", "1.5h", "24 h", "9é", "99999999999999999999d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn fuzz_times_and_spans() {
        let samples = ["2026-11-20T13:28:34.25Z", "2026-11-20 13:28:34+02:00", "90s", "15m", "2d"];
        fuzz(
            "times and spans",
            &text(&samples, &["T", "Z", "-000001", "[UTC]", "+25:00", "23:59:60"]),
            |text| {
                let span = text.parse::<Span>();
                if let Ok(Span(span)) = span {
                    // Whatever somebody asks for, no time overflows.
                    let _ = (UnixMicros::now().plus(span), UnixMicros::now().minus(span));
                }
                let time = serde_json::from_value::<Time>(text.into());
                if let Ok(time) = &time {
                    let shown = serde_json::to_value(time).unwrap();
                    assert_eq!(serde_json::from_value::<Time>(shown).unwrap(), *time);
                    let _ = age_seconds(time.0, UnixMicros::now());
                }
                span.is_ok() || time.is_ok()
            },
        );
    }
}
