//! What containers have changed inside.

use super::{Verdict, ok, or_else, warn};
use crate::{Daemon, Host};

/// Whether the namespaces of containers are as they were set up.
pub(super) fn containers(_: &Host, daemon: Option<&Daemon>) -> Vec<Verdict> {
    let Some(daemon) = daemon else {
        return vec![ok(
            "whether containers changed their interfaces is known to a daemon, and none answers",
        )];
    };
    let found = daemon.changed_inside.iter().map(|sentence| {
        warn(
            sentence.as_str(),
            "the container changed it, and it stays so; connect it anew, or start it again, if that was \
             not meant",
        )
    });
    or_else(found.collect(), || {
        ok("inside the containers all is as it was set up")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    #[test]
    fn each_container_that_changed_something_is_told() {
        let daemon = Daemon {
            changed_inside: vec![
                "inside web, eth0 is down".into(),
                "inside db, eth0 is gone".into(),
            ],
            ..Daemon::default()
        };
        let found = containers(&Host::default(), Some(&daemon));
        let told: Vec<_> = found.iter().map(|one| (one.level, &*one.finding)).collect();
        let wanted = ["inside web, eth0 is down", "inside db, eth0 is gone"];
        assert_eq!(told, wanted.map(|text| (Level::Warn, text)));
    }
}
