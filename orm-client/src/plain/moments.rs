//! Dates and times as text that sorts as they do, in UTC: `2026-11-30 12:00:00.000000`.

use super::Failure;

const DAY: i64 = 86_400_000_000;
/// Days from 1970-01-01, which PostgreSQL counts from 2000-01-01.
const EPOCH: i64 = 10_957;

/// From PostgreSQL's microseconds since 2000.
pub(super) fn timestamp(micros: i64) -> Result<String, Failure> {
    let days = micros.div_euclid(DAY);
    Ok(format!("{} {}", date(i32::try_from(days)?)?, time(micros.rem_euclid(DAY))))
}

/// From PostgreSQL's days since 2000. A year has four digits, so that texts sort.
pub(super) fn date(days: i32) -> Result<String, Failure> {
    let (year, month, day) = civil(i64::from(days) + EPOCH);
    match year {
        0..=9999 => Ok(format!("{year:04}-{month:02}-{day:02}")),
        _ => Err("the date is not within the years 0 to 9999".into()),
    }
}

/// From PostgreSQL's microseconds since midnight.
pub(super) fn time(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{:06}", seconds % 60, micros % 1_000_000)
}

pub(super) fn read_timestamp(text: &str) -> Result<i64, Failure> {
    let text = text.strip_suffix('Z').or_else(|| text.strip_suffix("+00:00")).unwrap_or(text);
    let (date, time) = text.split_once([' ', 'T']).unwrap_or((text, "00:00:00"));
    Ok(i64::from(read_date(date)?) * DAY + read_time(time)?)
}

pub(super) fn read_date(text: &str) -> Result<i32, Failure> {
    let mut parts = text.split('-').map(str::parse::<i64>);
    let (Some(Ok(year)), Some(Ok(month @ 1..=12)), Some(Ok(day @ 1..=31)), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(format!("{text:?} is no date").into());
    };
    Ok(i32::try_from(days(year, month, day) - EPOCH)?)
}

pub(super) fn read_time(text: &str) -> Result<i64, Failure> {
    let wrong = || Failure::from(format!("{text:?} is no time"));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut micros = 0;
    for (n, part) in whole.split(':').enumerate() {
        let unit = [3600, 60, 1].get(n).ok_or_else(wrong)?;
        let part: i64 = part.parse().map_err(|_| wrong())?;
        let most = if n == 0 { 24 } else { 59 };
        if !(0..=most).contains(&part) {
            return Err(wrong());
        }
        micros += part * unit * 1_000_000;
    }
    let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
    Ok(micros + digits.parse::<i64>().map_err(|_| wrong())?)
}

/// The date of a number of days since 1970-01-01, in the proleptic Gregorian calendar: years begin in March, so that a leap day is the last.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (day, month) =
        (of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The other way round.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let shifted = (month + 9) % 12;
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (number, text) in
            [(0, "2000-01-01"), (59, "2000-02-29"), (-1, "1999-12-31"), (-36_524, "1900-01-01")]
        {
            assert_eq!(date(number).unwrap(), text);
            assert_eq!(read_date(text).unwrap(), number);
        }
        for number in (-730_000..2_900_000).step_by(97) {
            assert_eq!(read_date(&date(number).unwrap()).unwrap(), number);
        }
        assert!(date(i32::MIN).is_err());
        for wrong in ["2000-13-01", "2000-01", "today", "2000-01-01-01"] {
            assert!(read_date(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn moments_go_there_and_back() {
        for micros in [0, -1, 1, 86_399_999_999, -86_400_000_001, 1_234_567_890_123_456] {
            let text = timestamp(micros).unwrap();
            assert_eq!(read_timestamp(&text).unwrap(), micros, "{text}");
        }
        assert_eq!(read_timestamp("2000-01-01T00:00:01Z").unwrap(), 1_000_000);
        // As SQLite's own CURRENT_TIMESTAMP.
        assert_eq!(read_timestamp("2000-01-02 00:00:00").unwrap(), DAY);
        assert!(read_time("12:60:00").is_err() && read_time("1:2:3:4").is_err() && read_time("x").is_err());
    }
}
