//! Checks of the workspace itself, run by `make test`.
//!
//! Reads what cargo says of the workspace and its sources; writes only to standard output.
//! Start at [`main`]: each subcommand is a module.

mod conformance;
mod direction;
mod licences;
mod rooms;
mod words;

use cargo_metadata::{Metadata, MetadataCommand};
use std::process::ExitCode;
use thiserror::Error;

const USAGE: &str = "\
usage: cargo run -p xtask -- COMMAND
  direction            front uses shell uses core, so do the rooms inside core, and only the
                       executor writes to the kernel
  licences             every dependency's licence is one that deny.toml allows, and none is banned
  words                comments name what they mean, in the terms of the field
  conformance RUN      joins docs/spec-rows.md with the output of a test run, as Markdown";

#[derive(Debug, Error)]
enum Failure {
    #[error("{USAGE}")]
    Usage,
    #[error("cargo metadata did not answer")]
    Metadata(#[source] cargo_metadata::Error),
    #[error(transparent)]
    Direction(#[from] direction::DirectionError),
    #[error(transparent)]
    Licences(#[from] licences::LicencesError),
    #[error(transparent)]
    Words(#[from] words::WordsError),
    #[error(transparent)]
    Conformance(#[from] conformance::ConformanceError),
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            let mut source = std::error::Error::source(&failure);
            while let Some(cause) = source {
                eprintln!("  because {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<(), Failure> {
    match words {
        ["direction"] => Ok(direction::check(&metadata()?)?),
        ["licences"] => Ok(licences::check(&metadata()?)?),
        ["words"] => Ok(words::check(metadata()?.workspace_root.as_std_path())?),
        ["conformance", run] => Ok(conformance::print(run.as_ref())?),
        _ => Err(Failure::Usage),
    }
}

fn metadata() -> Result<Metadata, Failure> {
    MetadataCommand::new().exec().map_err(Failure::Metadata)
}
