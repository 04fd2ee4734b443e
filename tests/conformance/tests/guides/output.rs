//! What a command printed against what its guide says.

use crate::page::Step;
use sealane_conformance::Outcome;

const ANYTHING: &str = "...";

/// Compares; the error has both.
pub(crate) fn compare(step: &Step, outcome: &Outcome) -> Result<(), String> {
    let got: Vec<&str> = outcome.stdout.lines().map(str::trim_end).collect();
    // Words that tell of a failure are output like any other; a failure without words is a fault.
    let silent_failure = !outcome.succeeded() && step.expected.is_empty();
    if !silent_failure && lines_match(&step.expected, &got) {
        return Ok(());
    }
    Err(format!(
        "expected:\n{}\ngot (exit code {}):\n{}",
        indented(step.expected.iter().map(String::as_str)),
        outcome.code,
        indented(got.into_iter())
    ))
}

fn indented<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let lines: Vec<String> = lines.map(|line| format!("  {line}")).collect();
    if lines.is_empty() {
        "  (nothing)".into()
    } else {
        lines.join("\n")
    }
}

/// A line `...` alone is any number of lines.
fn lines_match(expected: &[String], got: &[&str]) -> bool {
    match expected.split_first() {
        None => got.is_empty(),
        Some((line, rest)) if line.trim() == ANYTHING => {
            (0..=got.len()).any(|skipped| lines_match(rest, &got[skipped..]))
        }
        Some((line, rest)) => got
            .split_first()
            .is_some_and(|(first, others)| line_matches(line, first) && lines_match(rest, others)),
    }
}

/// `...` within a line is any text.
fn line_matches(expected: &str, got: &str) -> bool {
    let Some((start, rest)) = expected.split_once(ANYTHING) else {
        return expected == got;
    };
    let Some(mut tail) = got.strip_prefix(start) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split(ANYTHING).collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, after)) = tail.split_once(part) else {
            return false;
        };
        tail = after;
    }
    tail.ends_with(end)
}

pub(crate) mod tests {
    use super::*;

    pub(crate) fn dots_stand_for_anything() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let matches = |expected: &str, got: &str| {
            lines_match(&lines(expected), &got.lines().collect::<Vec<_>>())
        };
        assert!(matches("a\n...\nd", "a\nb\nc\nd") && matches("...", "") && matches("", ""));
        assert!(matches("x ... z", "x y z") && matches("x...", "x") && matches("...b...d", "abcd"));
        assert!(!matches("a\n...\nd", "a\nb") && !matches("", "x") && !matches("x", ""));
        assert!(
            !matches("x ... z", "x y") && !matches("a...a", "a") && !matches("...c...b", "abc")
        );
    }
}
