//! What the daemon is set to use and cannot.

use super::{Verdict, ok, or_else, warn};
use crate::{Daemon, Host};

/// Whether all that is set can be used. What no container asks for yet keeps nothing from starting.
pub(super) fn settings(_: &Host, daemon: Option<&Daemon>) -> Vec<Verdict> {
    let unready = daemon.map_or(&[][..], |daemon| &daemon.unready);
    let told = unready.iter().map(|sentence| {
        warn(
            sentence,
            "install what is missing, or take the setting out of daemon.json or the flags",
        )
    });
    or_else(told.collect(), || match daemon {
        Some(_) => ok("all that is set can be used"),
        None => ok("there is no daemon whose settings could be looked at"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    #[test]
    fn what_cannot_be_used_is_told() {
        let daemon = Daemon {
            unready: vec!["runtime x: there is no program".into()],
            ..Daemon::default()
        };
        let told = settings(&Host::default(), Some(&daemon));
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].level, Level::Warn);
        assert!(told[0].finding.contains("runtime x"));
        let fine = settings(&Host::default(), Some(&Daemon::default()));
        assert_eq!(fine[0].level, Level::Ok);
    }
}
