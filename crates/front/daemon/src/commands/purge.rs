//! `sealane purge`: removes everything of ours from a host.

mod files;
mod work;

use super::{Ending, form};
use clap::{Arg, ArgAction, ArgMatches, Command};
use sealane_core::model::Owner;
use serde_json::json;
use std::error::Error;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

const ABOUT: &str = "\
Removes every object that a daemon with these roots has made: containers with their processes,
cgroups and mounts, network namespaces, links, addresses, routes, nftables tables, and its files.

No daemon may run on them meanwhile. What is not ours is left alone. Images and the records of
networks and containers go too, unless --keep-data leaves them for a daemon to come.";

const EXAMPLES: &str = "\
Examples:
  systemctl stop sealane.service sealane.socket && sealane purge
  sealane purge -f --keep-data";

/// The command line.
pub(super) fn command() -> Command {
    let path = |name: &'static str, usual: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("PATH")
            .default_value(usual)
            .help(help)
    };
    Command::new("purge")
        .about("Remove every object of ours from this host")
        .long_about(ABOUT)
        .after_help(EXAMPLES)
        .arg(form::argument())
        .arg(
            Arg::new("force")
                .short('f')
                .long("force")
                .action(ArgAction::SetTrue)
                .help("Do not ask"),
        )
        .arg(
            Arg::new("keep-data")
                .long("keep-data")
                .action(ArgAction::SetTrue)
                .help("Leave the data root: images, and records of networks and containers"),
        )
        .arg(path(
            "data-root",
            "/var/lib/sealane",
            "The daemon's --data-root",
        ))
        .arg(path(
            "exec-root",
            "/run/sealane",
            "The daemon's --exec-root",
        ))
        .arg(path(
            "pidfile",
            "/run/sealane.pid",
            "The daemon's --pidfile",
        ))
        .arg(super::owner_argument())
        .arg(
            Arg::new("cgroup-parent")
                .long("cgroup-parent")
                .value_name("CGROUP")
                .help("The daemon's --cgroup-parent"),
        )
}

/// What is to be removed.
pub(super) struct Purge {
    pub(super) data_root: PathBuf,
    pub(super) exec_root: PathBuf,
    pub(super) pidfile: PathBuf,
    pub(super) cgroup_parent: Option<String>,
    pub(super) owner: Owner,
    pub(super) keep_data: bool,
}

/// Asks, and removes.
pub(super) fn run(matches: &ArgMatches) -> Ending {
    let path = |name| PathBuf::from(super::text(matches, name).unwrap_or_default());
    let purge = Purge {
        data_root: path("data-root"),
        exec_root: path("exec-root"),
        pidfile: path("pidfile"),
        cgroup_parent: super::text(matches, "cgroup-parent").map(str::to_owned),
        owner: super::owner(matches),
        keep_data: matches.get_flag("keep-data"),
    };
    if !matches.get_flag("force") && !agreed(&purge)? {
        form::print(matches, &json!({"removed": false}), || {
            "nothing was removed".into()
        });
        return Ok(ExitCode::SUCCESS);
    }
    let removed = work::remove_all(&purge)?;
    form::print(matches, &json!({"removed": removed}), || {
        let text = if removed {
            "removed"
        } else {
            "there is nothing under these roots"
        };
        text.into()
    });
    Ok(ExitCode::SUCCESS)
}

fn agreed(purge: &Purge) -> Result<bool, Box<dyn Error>> {
    if !io::stdin().is_terminal() {
        return Err("there is nobody to ask; use -f to remove without asking".into());
    }
    let data = if purge.keep_data {
        ""
    } else {
        ", its images and records"
    };
    // Standard output is for the answer, which a program may read.
    eprint!(
        "This removes all containers and networks of the daemon in {}{data}.\nGo on? [y/N] ",
        purge.data_root.display()
    );
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
