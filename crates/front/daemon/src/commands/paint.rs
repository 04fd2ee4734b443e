//! Colours, for a terminal and for those who want them.

use std::env;
use std::io::{self, IsTerminal};

/// Paints words, or does not.
#[derive(Clone, Copy)]
pub(super) struct Paint {
    on: bool,
}

/// What a word is painted in.
#[derive(Clone, Copy)]
pub(super) enum Colour {
    Green,
    Red,
    Yellow,
}

impl Paint {
    /// For standard output: not when it is a file or a pipe, nor where `NO_COLOR` is set
    /// (no-color.org).
    pub(super) fn for_output() -> Self {
        let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        Self {
            on: io::stdout().is_terminal() && !unwanted && !dumb,
        }
    }

    /// A text in a colour.
    pub(super) fn paint(self, colour: Colour, text: &str) -> String {
        if !self.on {
            return text.to_owned();
        }
        let code = match colour {
            Colour::Red => 31,
            Colour::Green => 32,
            Colour::Yellow => 33,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_terminal_gets_no_colour() {
        assert_eq!(Paint { on: false }.paint(Colour::Red, "no"), "no");
        assert_eq!(
            Paint { on: true }.paint(Colour::Red, "no"),
            "\x1b[31mno\x1b[0m"
        );
    }
}
