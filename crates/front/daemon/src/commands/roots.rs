//! `--data-root`, `--exec-root`, `--owner`: the state that a command works on, with a daemon or
//! without.

use super::{owner, owner_argument, text};
use clap::{Arg, ArgMatches};
use sealane_session::{Answer, Call, Roots, SessionError};
use std::time::Duration;

/// How long a command waits for others that use the same roots.
const PATIENCE: Duration = Duration::from_secs(60);

/// The arguments.
pub(super) fn arguments() -> [Arg; 3] {
    let root = |name: &'static str, usual: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("PATH")
            .default_value(usual)
            .help(help)
    };
    [
        root("data-root", "/var/lib/sealane", "The daemon's --data-root"),
        root("exec-root", "/run/sealane", "The daemon's --exec-root"),
        owner_argument(),
    ]
}

/// Does it: in the daemon that has the roots, or here while none has.
pub(super) fn call(matches: &ArgMatches, call: &Call) -> Result<Answer, SessionError> {
    let path = |name| text(matches, name).unwrap_or_default().into();
    let roots = Roots {
        data_root: path("data-root"),
        exec_root: path("exec-root"),
        owner: owner(matches),
        patience: PATIENCE,
    };
    sealane_session::call(&roots, call)
}
