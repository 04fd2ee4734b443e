//! `sealane completion SHELL`

use super::{Ending, text};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command};
use clap_complete::{Shell, generate};
use std::io;
use std::process::ExitCode;

const EXAMPLES: &str = "\
For this shell only:
  source <(sealane completion bash)

For every shell to come:
  sealane completion bash >/etc/bash_completion.d/sealane
  sealane completion zsh >/usr/local/share/zsh/site-functions/_sealane
  sealane completion fish >/etc/fish/completions/sealane.fish";

/// The command line.
pub(super) fn command() -> Command {
    Command::new("completion")
        .about("Print what lets a shell complete commands and flags")
        .after_help(EXAMPLES)
        .arg(
            Arg::new("shell")
                .value_name("SHELL")
                .required(true)
                .value_parser(PossibleValuesParser::new(["bash", "zsh", "fish"]))
                .help("The shell to write it for"),
        )
}

/// Prints the script.
pub(super) fn run(matches: &ArgMatches) -> Ending {
    let shell = match text(matches, "shell") {
        Some("zsh") => Shell::Zsh,
        Some("fish") => Shell::Fish,
        Some(_) | None => Shell::Bash,
    };
    generate(shell, &mut crate::command(), "sealane", &mut io::stdout());
    Ok(ExitCode::SUCCESS)
}
