//! What is on the host and unwanted, and what is wanted and not there.

use super::{Verdict, listed, ok, warn};
use crate::{Daemon, Host};

/// So many lines are shown; the rest is counted.
const LINES: usize = 5;

/// Whether the host is as its daemon wants it; without a daemon, whether one left things behind.
pub(super) fn leftovers(host: &Host, daemon: Option<&Daemon>) -> Vec<Verdict> {
    match daemon {
        Some(daemon) => of_daemon(daemon),
        None => without_daemon(host),
    }
}

fn of_daemon(daemon: &Daemon) -> Vec<Verdict> {
    let mut found = Vec::new();
    if daemon.repair_paused {
        found.push(warn(
            "repair is paused: what others change stays changed",
            "sealane repair resume",
        ));
    }
    if !daemon.drift.is_empty() {
        let shown = daemon.drift.iter().take(LINES).map(String::as_str);
        let shown: Vec<&str> = shown.collect();
        let more = daemon.drift.len().saturating_sub(LINES);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        found.push(warn(
            format!("the host is not as the daemon wants it: {}{more}", shown.join("; ")),
            "it puts that back within a second unless repair is paused; if this stays, look into its log",
        ));
    }
    super::or_else(found, || {
        ok("the host is as the daemon wants it, and nothing is left over")
    })
}

fn without_daemon(host: &Host) -> Vec<Verdict> {
    let mut left = Vec::new();
    let links: Vec<&str> = host
        .links
        .iter()
        .filter(|link| link.ours)
        .map(|link| link.name.as_str())
        .collect();
    if !links.is_empty() {
        let more = if links.len() > LINES {
            " and others"
        } else {
            ""
        };
        let shown = &links[..links.len().min(LINES)];
        left.push(format!("the links {}{more}", listed(shown)));
    }
    if host.chains.iter().any(|chain| chain.ours) {
        left.push("rules in nftables".into());
    }
    if !host.namespaces.is_empty() {
        left.push(format!("{} network namespaces", host.namespaces.len()));
    }
    if left.is_empty() {
        return vec![ok("no daemon answers, and none has left anything behind")];
    }
    if host.containers_run {
        return vec![warn(
            "no daemon answers, and containers run without one: their networks work, but nothing repairs them",
            "start it: sealane daemon, or systemctl start sealane",
        )];
    }
    vec![warn(
        format!(
            "no daemon answers, and one has left behind {}",
            listed(&left)
        ),
        "start it, and it takes them up or removes them; or remove everything: sealane purge",
    )]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    #[test]
    fn many_differences_are_counted() {
        let daemon = Daemon {
            drift: (0..9).map(|i| format!("- link host/x{i}")).collect(),
            ..Daemon::default()
        };
        let found = leftovers(&Host::default(), Some(&daemon));
        assert_eq!(found[0].level, Level::Warn);
        assert!(
            found[0].finding.ends_with("x4 and 4 more"),
            "{}",
            found[0].finding
        );
    }
}
