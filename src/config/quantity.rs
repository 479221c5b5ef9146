//! Durations and sizes as people write them: `15m`, `1h30m`, `250ms`, `4MiB`.

use std::{fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A time span: numbers with a unit (`ns`, `us`, `ms`, `s`, `m`, `h`, `d`) one
/// after the other, or a plain number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span(pub(super) Duration);

/// A number of bytes, plain or with a unit: `kB`, `MB`, `GB` (powers of 1000)
/// or `KiB`, `MiB`, `GiB` (powers of 1024).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(pub(super) usize);

/// A share of one processor's time, as `50%`; `200%` is two processors. In
/// microseconds of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share(pub(super) u64);

/// The longest duration taken; every clock can add it.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

const SPAN_UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

const SIZE_UNITS: [(&str, u64); 8] = [
    ("", 1),
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
];

/// Reads a time span as the configuration has them: numbers with a unit, or a
/// number of seconds. The error reads on after the text.
pub fn duration(text: &str) -> Result<Duration, &'static str> {
    text.parse().map(|Span(duration)| duration)
}

impl Span {
    pub(super) const fn minutes(minutes: u64) -> Self {
        Self(Duration::from_secs(minutes * 60))
    }
}

impl Size {
    pub(super) const fn mebibytes(mebibytes: usize) -> Self {
        Self(mebibytes << 20)
    }
}

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const NOT: &str = "is not a duration, such as 250ms, 15m, 1h30m or a number of seconds";
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            let seconds = text.parse().map_err(|_| "is longer than 100 years")?;
            return Self::within(Duration::from_secs(seconds));
        }
        let mut total = 0_u128;
        let mut rest = text;
        while !rest.is_empty() {
            let number = leading(rest, |c| c.is_ascii_digit() || c == '.');
            let unit = leading(&rest[number.len()..], char::is_alphabetic);
            let (_, scale) = SPAN_UNITS
                .iter()
                .find(|(name, _)| *name == unit)
                .ok_or(NOT)?;
            total = total.saturating_add(scaled(number, *scale).ok_or(NOT)?);
            rest = &rest[number.len() + unit.len()..];
        }
        if text.is_empty() {
            return Err(NOT);
        }
        let total = u64::try_from(total).map_err(|_| "is longer than 100 years")?;
        Self::within(Duration::from_nanos(total))
    }
}

impl Span {
    fn within(duration: Duration) -> Result<Self, &'static str> {
        if duration.is_zero() {
            Err("must be more than nothing")
        } else if duration > LONGEST {
            Err("is longer than 100 years")
        } else {
            Ok(Self(duration))
        }
    }
}

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const NOT: &str = "is not a size, such as 4MiB, 16MB or a number of bytes";
        let number = leading(text, |c| c.is_ascii_digit() || c == '.');
        let unit = text[number.len()..].trim_start().to_ascii_lowercase();
        let (_, scale) = SIZE_UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or(NOT)?;
        let bytes = scaled(number, *scale).ok_or(NOT)?;
        match usize::try_from(bytes) {
            Ok(0) => Err("must be more than nothing"),
            // More could not be held in memory, and `isize` is what a buffer may have.
            Ok(bytes) if isize::try_from(bytes).is_ok() => Ok(Self(bytes)),
            _ => Err("is larger than memory can be"),
        }
    }
}

impl FromStr for Share {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const NOT: &str = "is not a share of a processor, such as 50% or 200%";
        let number = text.strip_suffix('%').ok_or(NOT)?.trim_end();
        match scaled(number, 10_000).map(u64::try_from) {
            // What the kernel takes as the least of a period of 100 ms.
            Some(Ok(share @ 10_000..=1_000_000_000)) => Ok(Self(share)),
            Some(_) => Err("is not between 1% and 100000%"),
            None => Err(NOT),
        }
    }
}

/// The longest start of `text` whose characters all satisfy `is`.
fn leading(text: &str, is: impl Fn(char) -> bool) -> &str {
    let end = text.find(|c| !is(c)).unwrap_or(text.len());
    &text[..end]
}

/// `number`, with at most one point in it, times `scale`, cut to a whole number.
fn scaled(number: &str, scale: u64) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.len() > 18 || number.ends_with('.') {
        return None;
    }
    let scale = u128::from(scale);
    let mut total = u128::from(whole.parse::<u64>().ok()?) * scale;
    if !fraction.is_empty() {
        let digits = u32::try_from(fraction.len()).ok()?;
        total += u128::from(fraction.parse::<u64>().ok()?) * scale / 10_u128.pow(digits);
    }
    Some(total)
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_nanos();
        for unit in ["h", "m", "s", "ms", "us", "ns"] {
            let Some((_, scale)) = SPAN_UNITS.iter().find(|(name, _)| *name == unit) else {
                continue;
            };
            let count = rest / u128::from(*scale);
            rest %= u128::from(*scale);
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 10_000, self.0 % 10_000);
        match rest {
            0 => write!(f, "{whole}%"),
            _ => write!(f, "{whole}.{rest:04}%"),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes % (1 << 30) == 0 => write!(f, "{}GiB", bytes >> 30),
            bytes if bytes % (1 << 20) == 0 => write!(f, "{}MiB", bytes >> 20),
            bytes if bytes % (1 << 10) == 0 => write!(f, "{}KiB", bytes >> 10),
            bytes => write!(f, "{bytes}"),
        }
    }
}

/// Read from, written as and described as a string of one format.
macro_rules! as_string {
    ($type:ident, $format:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": ["string", "integer"], "format": $format })
            }
        }
    };
}

as_string!(Span, "span");
as_string!(Size, "size");
as_string!(Share, "share");

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Share, Size, Span};

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, millis) in [
            ("15m", 900_000),
            ("1h30m", 5_400_000),
            ("250ms", 250),
            ("30", 30_000),
            ("1.5s", 1_500),
            ("2d", 172_800_000),
            ("1m0.5s", 60_500),
        ] {
            assert_eq!(
                text.parse(),
                Ok(Span(Duration::from_millis(millis))),
                "{text}"
            );
        }
        for text in [
            "",
            "0",
            "0s",
            "m",
            "15",
            "-1s",
            "1 h",
            "5 minutes",
            "1e3s",
            "1..5s",
            ".5s",
            "1.s",
            "99999999999999h",
            "300000d",
        ] {
            let parsed: Result<Span, _> = text.parse();
            assert_eq!(parsed.is_ok(), text == "15", "{text}");
        }
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("4MiB", 4 << 20),
            ("16MB", 16_000_000),
            ("16777216", 1 << 24),
            ("1.5 KiB", 1536),
            ("1GiB", 1 << 30),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for text in [
            "",
            "MiB",
            "4Mi",
            "0",
            "0MiB",
            "-1",
            "99999999999GiB",
            "4MiBs",
        ] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn shares_of_a_processor_are_read_as_people_write_them() {
        for (text, micros) in [("50%", 500_000), ("200%", 2_000_000), ("12.5%", 125_000)] {
            assert_eq!(text.parse(), Ok(Share(micros)), "{text}");
            let written = Share(micros).to_string();
            assert_eq!(written.parse(), Ok(Share(micros)), "{written}");
        }
        for text in ["", "%", "50", "0%", "0.5%", "-1%", "half", "1000000%"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_back_as_the_same() {
        for text in ["15m", "1h30m", "250ms", "2m", "1h"] {
            assert_eq!(
                text.parse().map(|span: Span| span.to_string()).as_deref(),
                Ok(text)
            );
        }
        for text in ["4MiB", "16MiB", "1GiB", "3KiB", "1000"] {
            assert_eq!(
                text.parse().map(|size: Size| size.to_string()).as_deref(),
                Ok(text)
            );
        }
    }
}
