//! What became of a command.

use serde_json::Value;
use std::process::Output;

/// A command's text and exit code, with the questions tests ask of them.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The command, for messages.
    pub command: String,
    /// The exit code; 128 + n when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    pub(crate) fn new(command: &str, output: Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let signal = output.status.signal().unwrap_or_default();
        Self {
            command: command.into(),
            code: output.status.code().unwrap_or(128 + signal),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Returns what the command printed, without the last newline.
    ///
    /// # Panics
    /// When it failed.
    #[track_caller]
    pub fn ok(&self) -> String {
        assert!(self.code == 0, "this should have succeeded\n{self}");
        self.stdout.trim_end_matches('\n').to_owned()
    }

    /// Returns what the command printed, as JSON.
    ///
    /// # Panics
    /// When it failed or printed something else.
    #[track_caller]
    pub fn json(&self) -> Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("no JSON: {error}\n{self}"))
    }

    /// Checks the exit code, and that `text` is part of what was printed on standard error.
    ///
    /// # Panics
    /// When either is different.
    #[track_caller]
    pub fn fails_with(&self, code: i32, text: &str) -> &Self {
        assert!(
            self.code == code,
            "this should have ended with {code}\n{self}"
        );
        assert!(
            self.stderr.contains(text),
            "standard error should say {text:?}\n{self}"
        );
        self
    }

    /// Whether the command succeeded.
    pub fn succeeded(&self) -> bool {
        self.code == 0
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            command,
            code,
            stdout,
            stderr,
        } = self;
        write!(
            formatter,
            "$ {command}\nexit code {code}\nstdout: {stdout}\nstderr: {stderr}"
        )
    }
}
