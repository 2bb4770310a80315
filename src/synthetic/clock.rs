//! Instants as CloudTrail writes them.
//!
//! An instant is a number of seconds since 1970 in UTC. This module writes it in the three forms that a log uses, without
//! allocating. It refuses to know the current time.

/// Seconds since 1970-01-01T00:00:00Z.
pub(super) type Seconds = i64;

pub(super) const MINUTE: Seconds = 60;
pub(super) const HOUR: Seconds = 3_600;
pub(super) const DAY: Seconds = 86_400;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// An instant taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calendar {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
}

impl Calendar {
    /// The proleptic Gregorian date, after Howard Hinnant's `civil_from_days`.
    pub(super) fn of(at: Seconds) -> Self {
        let (days, rest) = (at.div_euclid(DAY), at.rem_euclid(DAY));
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * of_year + 2) / 153;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: of_year - (153 * month_from_march + 2) / 5 + 1,
            hour: rest / HOUR,
            minute: rest / MINUTE % 60,
            second: rest % 60,
        }
    }
}

/// Appends `number` with at least `width` digits.
pub(super) fn push_padded(out: &mut Vec<u8>, number: i64, width: u32) {
    let mut digits = [b'0'; 20];
    let (mut rest, mut used) = (number.unsigned_abs(), 0);
    while rest > 0 || used < width as usize {
        used += 1;
        digits[20 - used] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[20 - used..]);
}

/// `2026-01-05T13:07:00Z`, the form of `eventTime`.
pub(super) fn push_iso(out: &mut Vec<u8>, at: Seconds) {
    let c = Calendar::of(at);
    push_padded(out, c.year, 4);
    for (mark, number) in [(b'-', c.month), (b'-', c.day), (b'T', c.hour), (b':', c.minute), (b':', c.second)] {
        out.push(mark);
        push_padded(out, number, 2);
    }
    out.push(b'Z');
}

/// `push_iso` as a string.
pub(super) fn iso(at: Seconds) -> String {
    let mut out = Vec::with_capacity(20);
    push_iso(&mut out, at);
    out.into_iter().map(char::from).collect()
}

/// `Jan 5, 2026, 1:07:00 PM`, the form inside `responseElements` (facts §1.3).
pub(super) fn spoken(at: Seconds) -> String {
    let c = Calendar::of(at);
    let month = usize::try_from(c.month - 1).map_or("Jan", |month| MONTHS[month]);
    let half = if c.hour < 12 { "AM" } else { "PM" };
    let hour = if c.hour % 12 == 0 { 12 } else { c.hour % 12 };
    format!("{month} {}, {}, {hour}:{:02}:{:02} {half}", c.day, c.year, c.minute, c.second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_read_as_aws_writes_them() {
        assert_eq!(iso(1_767_571_200), "2026-01-05T00:00:00Z");
        assert_eq!(iso(1_709_210_096), "2024-02-29T12:34:56Z");
        assert_eq!(spoken(1_709_210_096), "Feb 29, 2024, 12:34:56 PM");
        assert_eq!(spoken(1_767_571_200), "Jan 5, 2026, 12:00:00 AM");
    }
}
