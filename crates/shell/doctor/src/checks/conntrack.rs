//! Tables and limits that fill.

use super::{Verdict, error, ok, warn};
use crate::{Daemon, Host};

/// Below this, a host with many published ports gets into trouble: each is an open file, or two.
const FEW_FILES: u64 = 4096;

/// How full the table of connections is.
pub(super) fn conntrack(host: &Host, _: Option<&Daemon>) -> Vec<Verdict> {
    let count = host.number("netfilter/nf_conntrack_count");
    let most = host.number("netfilter/nf_conntrack_max");
    let (Some(count), Some(most)) = (count, most.filter(|most| *most > 0)) else {
        return vec![ok("no connections are tracked yet")];
    };
    let percent = count * 100 / most;
    let finding = format!("{count} of {most} connections are tracked ({percent} %)");
    let advice = format!(
        "when it is full, new connections are dropped: set net.netfilter.nf_conntrack_max = {}",
        most * 4
    );
    vec![match percent {
        0..=74 => ok(finding),
        75..=94 => warn(finding, advice),
        _ => error(finding, advice),
    }]
}

/// Whether there are files enough for published ports.
pub(super) fn open_files(host: &Host, daemon: Option<&Daemon>) -> Vec<Verdict> {
    let of_daemon = daemon.and_then(|daemon| host.files_of.get(&daemon.pid));
    let (whose, open, limit) = match (of_daemon, host.open_files) {
        (Some((open, limit)), _) => ("the daemon", *open, *limit),
        (None, Some(limit)) => ("a process", 0, limit),
        (None, None) => return vec![ok("the number of open files is not limited")],
    };
    let advice = "each published port is an open file: set LimitNOFILE= in the daemon's unit, or ulimit -Hn \
                  where it is started";
    let finding = format!("{whose} may open {limit} files");
    let full = open * 100 / limit.max(1);
    vec![if full >= 80 {
        error(format!("{finding} and has {open} open"), advice)
    } else if limit < FEW_FILES {
        warn(finding, advice)
    } else {
        ok(finding)
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    #[test]
    fn a_table_that_fills_is_told_in_time() {
        let level = |count: u64| {
            let settings = [
                ("netfilter/nf_conntrack_count".to_owned(), count.to_string()),
                ("netfilter/nf_conntrack_max".to_owned(), "1000".to_owned()),
            ];
            let host = Host {
                settings: settings.into(),
                ..Host::default()
            };
            conntrack(&host, None)[0].level
        };
        assert_eq!(
            [10, 800, 990].map(level),
            [Level::Ok, Level::Warn, Level::Error]
        );
    }

    #[test]
    fn files_that_run_out_are_told_in_time() {
        let daemon = Daemon {
            pid: 7,
            ..Daemon::default()
        };
        let level = |open, limit| {
            let host = Host {
                files_of: [(7, (open, limit))].into(),
                ..Host::default()
            };
            open_files(&host, Some(&daemon))[0].level
        };
        assert_eq!(level(100, 20_000), Level::Ok);
        assert_eq!(level(100, 1024), Level::Warn);
        assert_eq!(level(19_000, 20_000), Level::Error);
    }
}
