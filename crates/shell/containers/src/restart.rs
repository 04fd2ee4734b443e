//! Restart policies: whether a container that ended starts again, and after how long.

use crate::options::RestartMode;
use crate::record::Record;
use std::time::Duration;

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// A process that ran for so long has started well.
const STARTED_WELL: Duration = Duration::from_secs(10);

/// Whether the policy wants a container started again, given how it ended.
pub(crate) fn wanted(record: &Record) -> bool {
    let Some(policy) = &record.host_config.restart_policy else {
        return false;
    };
    match policy.name {
        None | Some(RestartMode::Unset | RestartMode::No) => false,
        Some(RestartMode::Always) => true,
        Some(RestartMode::UnlessStopped) => !record.state.manually_stopped,
        Some(RestartMode::OnFailure) => {
            let most = policy.maximum_retry_count.unwrap_or_default();
            record.state.exit_code != 0 && (most == 0 || record.restart_count < most)
        }
    }
}

/// How long to wait before the next start: twice as long each time, unless it ran well.
pub(crate) fn next_delay(previous: Option<Duration>, ran: Duration) -> Duration {
    match previous.filter(|_| ran < STARTED_WELL) {
        Some(previous) => (previous * 2).min(LONGEST_DELAY),
        None => FIRST_DELAY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::record;
    use crate::options::RestartPolicy;
    use sealane_core::model::derive_id;

    fn ended(name: RestartMode, code: i64, count: i64, stopped: bool) -> bool {
        let mut record = record(derive_id(&[b"c"]), "web");
        let policy = RestartPolicy {
            name: Some(name),
            maximum_retry_count: Some(3),
            ..RestartPolicy::default()
        };
        record.host_config.restart_policy = Some(policy);
        record.restart_count = count;
        record.state.exit_code = code;
        record.state.manually_stopped = stopped;
        wanted(&record)
    }

    #[test]
    fn each_policy_has_its_condition() {
        assert!(!ended(RestartMode::No, 1, 0, false));
        assert!(ended(RestartMode::Always, 0, 9, true));
        assert!(ended(RestartMode::UnlessStopped, 0, 9, false));
        assert!(!ended(RestartMode::UnlessStopped, 0, 0, true));
        assert!(ended(RestartMode::OnFailure, 1, 2, false));
        assert!(!ended(RestartMode::OnFailure, 0, 0, false));
        assert!(!ended(RestartMode::OnFailure, 1, 3, false));
    }

    #[test]
    fn the_delay_doubles_until_a_run_goes_well() {
        let short = Duration::from_secs(1);
        let first = next_delay(None, short);
        assert_eq!(first, FIRST_DELAY);
        assert_eq!(next_delay(Some(first), short), 2 * FIRST_DELAY);
        assert_eq!(next_delay(Some(LONGEST_DELAY), short), LONGEST_DELAY);
        assert_eq!(next_delay(Some(LONGEST_DELAY), STARTED_WELL), FIRST_DELAY);
    }
}
