//! `sealane man --dir DIR`: the manual pages, one for each command.

use super::{Ending, text};
use clap::{Arg, ArgMatches, Command};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use thiserror::Error;

/// A page could not be written.
#[derive(Debug, Error)]
#[error("the manual pages cannot be written to {}; name a folder that you may write to", folder.display())]
struct NotWritten {
    folder: PathBuf,
    source: std::io::Error,
}

/// The command line.
pub(super) fn command() -> Command {
    Command::new("man")
        .about("Write the manual pages")
        .after_help("Examples:\n  sealane man --dir /usr/local/share/man/man1\n  man sealane-plan")
        .arg(
            Arg::new("dir")
                .long("dir")
                .value_name("FOLDER")
                .required(true)
                .help("Where to; it is made if need be"),
        )
}

/// Writes the pages.
pub(super) fn run(matches: &ArgMatches) -> Ending {
    let folder = PathBuf::from(text(matches, "dir").unwrap_or_default());
    let mut command = crate::command();
    command.build();
    fs::create_dir_all(&folder)
        .and_then(|()| clap_mangen::generate_to(command, &folder))
        .map_err(|source| NotWritten { folder, source })?;
    Ok(ExitCode::SUCCESS)
}
