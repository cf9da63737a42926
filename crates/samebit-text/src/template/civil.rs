//! Civil date and time, and C's `strftime` over it. Has no clock: the caller says what time it is.

use std::fmt::Write;

/// A date and time of day in some time zone, as a wall clock shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CivilTime {
    /// Year, 1 to 9999.
    pub year: u16,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, from 1.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 59.
    pub second: u8,
}

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

impl CivilTime {
    /// Midnight of a day; `None` unless the day exists.
    pub fn date(year: u16, month: u8, day: u8) -> Option<Self> {
        let time = Self { year, month, day, hour: 0, minute: 0, second: 0 };
        time.is_valid().then_some(time)
    }

    /// Universal time of a count of seconds since 1970-01-01T00:00:00Z; `None` outside the years 1 to 9999.
    pub fn from_unix(seconds: i64) -> Option<Self> {
        let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // 1970-01-01 lies 719 162 days after 0001-01-01.
        let days = u32::try_from(days.checked_add(719_162)?).ok()?;
        let (mut year, mut left) = (1 + days / 146_097 * 400, days % 146_097);
        while left >= year_days(year) {
            left -= year_days(year);
            year += 1;
        }
        let mut month = 1;
        while left >= month_days(year, month) {
            left -= month_days(year, month);
            month += 1;
        }
        let time = Self {
            year: u16::try_from(year).ok()?,
            month,
            day: left as u8 + 1,
            hour: (rest / 3600) as u8,
            minute: (rest / 60 % 60) as u8,
            second: (rest % 60) as u8,
        };
        time.is_valid().then_some(time)
    }

    /// Whether every field is in range and the day exists in its month.
    pub fn is_valid(&self) -> bool {
        (1..=9999).contains(&self.year)
            && (1..=12).contains(&self.month)
            && self.day >= 1
            && u32::from(self.day) <= month_days(self.year.into(), self.month)
            && self.hour < 24
            && self.minute < 60
            && self.second < 60
    }

    /// Day of the year, from 1.
    fn ordinal(&self) -> u32 {
        (1..self.month).map(|m| month_days(self.year.into(), m)).sum::<u32>() + u32::from(self.day)
    }

    /// Day of the week, 0 for Sunday.
    fn weekday(&self) -> u32 {
        let past = u32::from(self.year) - 1;
        // 0001-01-01 of the proleptic Gregorian calendar was a Monday.
        (past * 365 + past / 4 - past / 100 + past / 400 + self.ordinal()) % 7
    }

    /// ISO 8601 year and week.
    fn iso_week(&self) -> (u32, u32) {
        let year = u32::from(self.year);
        let monday_based = (self.weekday() + 6) % 7;
        let week = (self.ordinal() + 9 - monday_based) / 7;
        if week == 0 {
            let before = (self.ordinal() + year_days(year - 1) + 9 - monday_based) / 7;
            return (year - 1, before);
        }
        // The last days of December belong to week 1 if their Thursday is next year's.
        if week == 53 && self.ordinal() + 3 - monday_based > year_days(year) {
            return (year + 1, 1);
        }
        (year, week)
    }

    /// Formats as C's `strftime` in the C locale, with glibc's flags `-`, `_`, `0`, `^`.
    /// Unknown conversions stand for themselves; a naive time has an empty `%z` and `%Z`.
    /// A time that is not [valid](Self::is_valid) gives an empty text.
    pub fn strftime(&self, format: &str) -> String {
        let mut out = String::new();
        if !self.is_valid() {
            return out;
        }
        let mut rest = format.chars();
        while let Some(c) = rest.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            let mut ahead = rest.clone();
            let mut next = ahead.next();
            let flag = next.filter(|c| "-_0^#".contains(*c));
            if flag.is_some() {
                next = ahead.next();
            }
            match next.and_then(|c| self.field(c, flag)) {
                Some(text) if flag == Some('^') => out.push_str(&text.to_uppercase()),
                Some(text) => out.push_str(&text),
                None => {
                    out.push('%');
                    continue;
                }
            }
            rest = ahead;
        }
        out
    }

    /// One conversion's text; `None` if there is no such conversion.
    fn field(&self, conversion: char, flag: Option<char>) -> Option<String> {
        let number = |value: u32, width: usize, pad: char| {
            let mut text = String::new();
            // Writing to a string cannot fail.
            let _ = match flag {
                Some('-') => write!(text, "{value}"),
                Some('_') => write!(text, "{value:width$}"),
                Some('0') => write!(text, "{value:0width$}"),
                _ if pad == ' ' => write!(text, "{value:width$}"),
                _ => write!(text, "{value:0width$}"),
            };
            text
        };
        let year = u32::from(self.year);
        let [month, day, hour] = [self.month, self.day, self.hour].map(u32::from);
        let [minute, second] = [self.minute, self.second].map(u32::from);
        let hour12 = (hour + 11) % 12 + 1;
        let (weekday, ordinal) = (self.weekday(), self.ordinal());
        Some(match conversion {
            'a' => DAYS[weekday as usize][..3].into(),
            'A' => DAYS[weekday as usize].into(),
            'b' | 'h' => MONTHS[month as usize - 1][..3].into(),
            'B' => MONTHS[month as usize - 1].into(),
            'c' => self.strftime("%a %b %e %H:%M:%S %Y"),
            'C' => number(year / 100, 2, '0'),
            'd' => number(day, 2, '0'),
            'D' | 'x' => self.strftime("%m/%d/%y"),
            'e' => number(day, 2, ' '),
            'f' => "000000".into(),
            'F' => self.strftime("%Y-%m-%d"),
            'g' => number(self.iso_week().0 % 100, 2, '0'),
            'G' => number(self.iso_week().0, 4, '0'),
            'H' => number(hour, 2, '0'),
            'I' => number(hour12, 2, '0'),
            'j' => number(ordinal, 3, '0'),
            'k' => number(hour, 2, ' '),
            'l' => number(hour12, 2, ' '),
            'm' => number(month, 2, '0'),
            'M' => number(minute, 2, '0'),
            'n' => "\n".into(),
            'p' if flag == Some('#') => ["am", "pm"][usize::from(hour >= 12)].into(),
            'p' => ["AM", "PM"][usize::from(hour >= 12)].into(),
            'P' => ["am", "pm"][usize::from(hour >= 12)].into(),
            'r' => self.strftime("%I:%M:%S %p"),
            'R' => self.strftime("%H:%M"),
            'S' => number(second, 2, '0'),
            't' => "\t".into(),
            'T' | 'X' => self.strftime("%H:%M:%S"),
            'u' => number((weekday + 6) % 7 + 1, 1, '0'),
            'U' => number((ordinal + 6 - weekday) / 7, 2, '0'),
            'V' => number(self.iso_week().1, 2, '0'),
            'w' => number(weekday, 1, '0'),
            'W' => number((ordinal + 6 - (weekday + 6) % 7) / 7, 2, '0'),
            'y' => number(year % 100, 2, '0'),
            // glibc pads no year.
            'Y' => number(year, 1, '0'),
            'z' | 'Z' => String::new(),
            '%' => "%".into(),
            _ => return None,
        })
    }
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn year_days(year: u32) -> u32 {
    365 + u32::from(is_leap(year))
}

fn month_days(year: u32, month: u8) -> u32 {
    match month {
        2 => 28 + u32::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_seconds_and_weekdays() {
        let epoch = CivilTime::from_unix(0).unwrap();
        assert_eq!(epoch.strftime("%A %F %T %j"), "Thursday 1970-01-01 00:00:00 001");
        let leap = CivilTime::from_unix(1_709_210_096).unwrap();
        assert_eq!(leap.strftime("%a %d %b %Y %I:%M:%S %p"), "Thu 29 Feb 2024 12:34:56 PM");
        assert_eq!(CivilTime::from_unix(i64::MAX), None);
        assert_eq!(CivilTime::from_unix(i64::MIN), None);
        assert_eq!(CivilTime::date(2023, 2, 29), None);
    }

    #[test]
    fn weeks_and_flags() {
        let day = CivilTime::date(2024, 12, 30).unwrap();
        assert_eq!(day.strftime("%G-W%V-%u %U %W %w"), "2025-W01-1 52 53 1");
        let day = CivilTime::date(2021, 1, 3).unwrap();
        assert_eq!(day.strftime("%G-W%V-%u %U %W"), "2020-W53-7 01 00");
        assert_eq!(day.strftime("%-d/%-m %e %^a %y%%"), "3/1  3 SUN 21%");
        assert_eq!(day.strftime("%Q %"), "%Q %");
    }
}
