//! What a list says of a container's state: `Up 3 minutes`, `Exited (0) 2 hours ago`.

use jiff::Timestamp;
use sealane_containers::{State, Status};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;
const MONTH: i64 = 30 * DAY;
const YEAR: i64 = 365 * DAY;

/// The state in words.
pub(super) fn describe(state: &State, now: Timestamp) -> String {
    let since = |time: Option<Timestamp>| span(time.unwrap_or(now), now);
    let code = state.exit_code;
    match state.status {
        Status::Created => "Created".into(),
        Status::Running => format!("Up {}", since(state.started_at)),
        Status::Restarting => format!("Restarting ({code}) {} ago", since(state.finished_at)),
        Status::Exited => format!("Exited ({code}) {} ago", since(state.finished_at)),
    }
}

/// A span of time in one number and one unit, as Docker's clients are used to.
fn span(from: Timestamp, to: Timestamp) -> String {
    let seconds = (to.as_second() - from.as_second()).max(0);
    // Half an hour is rounded up to a whole one, as everything longer is counted in hours.
    let hours = (seconds + HOUR / 2) / HOUR;
    match seconds {
        0 => "Less than a second".into(),
        1 => "1 second".into(),
        _ if seconds < MINUTE => format!("{seconds} seconds"),
        _ if seconds < 2 * MINUTE => "About a minute".into(),
        _ if seconds < HOUR => format!("{} minutes", seconds / MINUTE),
        _ if hours == 1 => "About an hour".into(),
        _ if hours < 2 * DAY / HOUR => format!("{hours} hours"),
        _ if hours < 2 * WEEK / HOUR => format!("{} days", hours * HOUR / DAY),
        _ if hours < 2 * MONTH / HOUR => format!("{} weeks", hours * HOUR / WEEK),
        _ if hours < 2 * YEAR / HOUR => format!("{} months", hours * HOUR / MONTH),
        _ => format!("{} years", seconds / YEAR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ago(seconds: i64) -> String {
        let now = Timestamp::from_second(2_000_000_000).unwrap();
        span(
            Timestamp::from_second(2_000_000_000 - seconds).unwrap(),
            now,
        )
    }

    #[test]
    fn spans_have_one_unit() {
        for (seconds, text) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (3599, "59 minutes"),
            (3600, "About an hour"),
            (5400, "2 hours"),
            (47 * HOUR, "47 hours"),
            (48 * HOUR, "2 days"),
            (15 * DAY, "2 weeks"),
            (61 * DAY, "2 months"),
            (731 * DAY, "2 years"),
        ] {
            assert_eq!(ago(seconds), text);
        }
    }

    #[test]
    fn a_state_is_told_with_its_time() {
        let now = Timestamp::from_second(100).unwrap();
        let state = |status| State {
            status,
            exit_code: 137,
            started_at: Timestamp::from_second(90).ok(),
            finished_at: Timestamp::from_second(95).ok(),
            ..State::default()
        };
        assert_eq!(describe(&state(Status::Running), now), "Up 10 seconds");
        assert_eq!(
            describe(&state(Status::Exited), now),
            "Exited (137) 5 seconds ago"
        );
        assert_eq!(
            describe(&state(Status::Restarting), now),
            "Restarting (137) 5 seconds ago"
        );
        assert_eq!(describe(&state(Status::Created), now), "Created");
    }
}
