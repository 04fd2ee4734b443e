//! `sealane version`

use super::{Ending, form};
use clap::{ArgMatches, Command};
use sealane_docker_api::ApiVersion;
use serde_json::json;
use std::process::ExitCode;

/// The command line.
pub(super) fn command() -> Command {
    Command::new("version")
        .about("Print the versions of this program")
        .arg(form::argument())
}

/// Prints the versions of this program.
pub(super) fn run(matches: &ArgMatches) -> Ending {
    let (least, most) = (ApiVersion::DEFAULT_MIN, ApiVersion::MAX);
    let version = env!("CARGO_PKG_VERSION");
    let answer = json!({
        "version": version,
        "minApiVersion": least.to_string(),
        "apiVersion": most.to_string(),
    });
    form::print(matches, &answer, || {
        format!("sealane {version}\nAPI {least} to {most} (minimum, maximum)")
    });
    Ok(ExitCode::SUCCESS)
}
