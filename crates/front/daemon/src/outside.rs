//! The reader of `daemon.json`, by itself: for the fuzz target, and nothing else.

use crate::chain;
use crate::config::Config;

/// Reads and checks the text of a file as the daemon does at its start, without flags. Returns the
/// settings as they are shown for debugging, or the text of the refusal.
pub fn settings(text: &str) -> Result<String, String> {
    match Config::of_text(text) {
        Ok(config) => Ok(format!("{config:?}")),
        Err(error) => Err(chain(&error)),
    }
}
