//! `--format`: for people, or for programs.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches};
use serde_json::Value;

/// `--format text|json`
pub(super) fn argument() -> Arg {
    Arg::new("format")
        .long("format")
        .value_name("FORM")
        .global(true)
        .value_parser(PossibleValuesParser::new(["text", "json"]))
        .default_value("text")
        .help("Print it for people, or as one JSON object for programs")
}

/// Prints an answer in the form that was asked for.
pub(super) fn print(matches: &ArgMatches, json: &Value, text: impl FnOnce() -> String) {
    if is_json(matches) {
        println!("{json:#}");
        return;
    }
    let text = text();
    if !text.is_empty() {
        println!("{}", text.trim_end_matches('\n'));
    }
}

fn is_json(matches: &ArgMatches) -> bool {
    super::text(matches, "format") == Some("json")
}
