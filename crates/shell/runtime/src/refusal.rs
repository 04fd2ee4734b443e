//! Why an OCI runtime refused. It exits with 1 whatever the cause, and names that in words only: they
//! are read once, here, where they arrive.

use std::fmt;

/// The refusal of an OCI runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The cause.
    pub cause: Cause,
    /// What the runtime said.
    pub text: String,
}

/// Why a program did not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// There is no such program, or a mount has no place to go to.
    NotFound,
    /// The program may not be executed.
    NotExecutable,
    /// Something else.
    Other,
}

impl Refusal {
    /// Reads what a runtime printed: plain words, or lines of its log of which the last counts.
    pub fn read(printed: &str) -> Self {
        let text = reason(printed);
        Self {
            cause: Cause::of(&text),
            text,
        }
    }

    /// The exit code that Docker gives to what did not start so.
    pub fn exit_code(&self) -> i32 {
        match self.cause {
            Cause::NotFound => 127,
            Cause::NotExecutable => 126,
            Cause::Other => 128,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Cause {
    fn of(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        let says = |part: &str| text.contains(part);
        let mounted_on_a_file = says("not a directory") && says("mount");
        if says("executable file not found")
            || says("no such file or directory")
            || mounted_on_a_file
        {
            Self::NotFound
        } else if says("permission denied") {
            Self::NotExecutable
        } else {
            Self::Other
        }
    }
}

fn reason(printed: &str) -> String {
    let last = printed.trim().lines().last().unwrap_or_default().trim();
    let logged = last
        .split_once("level=error msg=\"")
        .and_then(|(_, rest)| rest.strip_suffix('"'));
    match logged {
        Some(message) => message.replace("\\\"", "\""),
        None => last.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_found_in_plain_words_and_in_a_log_line() {
        let plain = "runc create failed: exec: \"x\": executable file not found in $PATH\n";
        let wanted = Refusal {
            cause: Cause::NotFound,
            text: "runc create failed: exec: \"x\": executable file not found in $PATH".into(),
        };
        assert_eq!(Refusal::read(plain), wanted);
        let logged = r#"time="2026-11-21T20:00:00Z" level=warning msg="a"
            time="2026-11-21T20:00:00Z" level=error msg="runc create failed: exec: \"x\": executable file not found in $PATH""#;
        assert_eq!(Refusal::read(logged), wanted);
        assert_eq!(Refusal::read("").text, "");
    }

    #[test]
    fn causes_have_dockers_exit_codes() {
        for (text, code) in [
            ("exec /x: No such file or directory", 127),
            ("mount /a to /etc/hosts: not a directory", 127),
            ("exec: \"/x\": permission denied", 126),
            ("cannot set up cgroup", 128),
        ] {
            assert_eq!(Refusal::read(text).exit_code(), code, "{text}");
        }
    }
}
