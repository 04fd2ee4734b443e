//! The checks. Each is a pure function from what was seen to verdicts, one at least.
//!
//! To add one: a function, its line in [`ALL`], a test below it, and one in `tests/conformance`
//! that makes the fault on a simulated host.

mod addresses;
mod conntrack;
mod containers;
mod docker;
mod engines;
mod features;
mod firewalls;
mod forwarding;
mod leftovers;
mod mtu;
mod programs;
mod resolver;
mod settings;

use crate::{Daemon, Host, Level};

/// What a check says: how bad, what, and what to do.
pub(crate) struct Verdict {
    pub(crate) level: Level,
    pub(crate) finding: String,
    pub(crate) advice: String,
}

/// A check.
pub(crate) type Check = fn(&Host, Option<&Daemon>) -> Vec<Verdict>;

/// All of them, by name, in the order they are shown.
pub(crate) const ALL: [(&str, Check); 17] = [
    ("kernel", features::kernel),
    ("forwarding", forwarding::forwarding),
    ("router-advertisements", forwarding::router_advertisements),
    ("bridge-netfilter", forwarding::bridge_netfilter),
    ("reverse-path", forwarding::reverse_path),
    ("engines", engines::engines),
    ("firewalls", firewalls::firewalls),
    ("mtu", mtu::mtu),
    ("addresses", addresses::addresses),
    ("resolver", resolver::resolver),
    ("conntrack", conntrack::conntrack),
    ("open-files", conntrack::open_files),
    ("programs", programs::programs),
    ("cgroups", programs::cgroups),
    ("settings", settings::settings),
    ("leftovers", leftovers::leftovers),
    ("containers", containers::containers),
];

/// All is well.
fn ok(finding: impl Into<String>) -> Verdict {
    verdict(Level::Ok, finding, "")
}

/// It may hurt.
fn warn(finding: impl Into<String>, advice: impl Into<String>) -> Verdict {
    verdict(Level::Warn, finding, advice)
}

/// It hurts.
fn error(finding: impl Into<String>, advice: impl Into<String>) -> Verdict {
    verdict(Level::Error, finding, advice)
}

fn verdict(level: Level, finding: impl Into<String>, advice: impl Into<String>) -> Verdict {
    Verdict {
        level,
        finding: finding.into(),
        advice: advice.into(),
    }
}

/// These verdicts, or this one if there are none.
fn or_else(found: Vec<Verdict>, fine: impl FnOnce() -> Verdict) -> Vec<Verdict> {
    if found.is_empty() {
        vec![fine()]
    } else {
        found
    }
}

/// Words with commas and an "and".
fn listed<T: AsRef<str>>(words: &[T]) -> String {
    match words {
        [] => String::new(),
        [word] => word.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_listed_as_people_do() {
        assert_eq!(listed::<&str>(&[]), "");
        assert_eq!(listed(&["a"]), "a");
        assert_eq!(listed(&["a", "b", "c"]), "a, b and c");
    }

    #[test]
    fn every_check_says_something_about_any_host() {
        for (name, check) in ALL {
            assert!(!check(&Host::default(), None).is_empty(), "{name}");
            let daemon = Daemon::default();
            for verdict in check(&Host::default(), Some(&daemon)) {
                assert!(!verdict.finding.is_empty(), "{name}");
                assert_eq!(
                    verdict.level == Level::Ok,
                    verdict.advice.is_empty(),
                    "{name}"
                );
            }
        }
    }
}
