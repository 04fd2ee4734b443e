//! Signals by name and number.

use crate::ContainerError;

/// SIGKILL, signal(7).
pub(crate) const KILL: i32 = 9;
/// SIGTERM, signal(7).
pub(crate) const TERM: i32 = 15;

/// The highest real-time signal of Linux.
const LAST: i32 = 64;

/// The names of signal(7), with their numbers on all architectures this engine runs on.
const NAMES: &[(&str, i32)] = &[
    ("ABRT", 6),
    ("ALRM", 14),
    ("BUS", 7),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("FPE", 8),
    ("HUP", 1),
    ("ILL", 4),
    ("INT", 2),
    ("IO", 29),
    ("IOT", 6),
    ("KILL", KILL),
    ("PIPE", 13),
    ("POLL", 29),
    ("PROF", 27),
    ("PWR", 30),
    ("QUIT", 3),
    ("SEGV", 11),
    ("STKFLT", 16),
    ("STOP", 19),
    ("SYS", 31),
    ("TERM", TERM),
    ("TRAP", 5),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("USR1", 10),
    ("USR2", 12),
    ("VTALRM", 26),
    ("WINCH", 28),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("RTMIN", 34),
    ("RTMAX", LAST),
];

/// Reads `TERM`, `sigterm`, `15`, `RTMIN+3`.
pub(crate) fn parse(text: &str) -> Result<i32, ContainerError> {
    let shown: String = text.chars().take(80).collect();
    let unknown = || ContainerError::Invalid(format!("invalid signal: {shown}"));
    if let Ok(number) = text.parse::<i32>() {
        return match number {
            0 => Err(unknown()),
            1..=LAST => Ok(number),
            _ => Err(ContainerError::Invalid(format!(
                "the linux daemon does not support signal {number}"
            ))),
        };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let named = |name: &str| {
        NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, n)| *n)
    };
    let offset = |base: &str, sign: i32| {
        let steps: i32 = name.strip_prefix(base)?.parse().ok()?;
        Some(named(&base[..base.len() - 1])? + sign * steps)
    };
    let number = named(name)
        .or_else(|| offset("RTMIN+", 1))
        .or_else(|| offset("RTMAX-", -1));
    number
        .filter(|number| (1..=LAST).contains(number))
        .ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        for (text, number) in [
            ("9", 9),
            ("KILL", 9),
            ("sigterm", 15),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
        ] {
            assert_eq!(parse(text).unwrap(), number, "{text}");
        }
        assert_eq!(
            parse("NOPE").unwrap_err().to_string(),
            "invalid signal: NOPE"
        );
        assert_eq!(parse("0").unwrap_err().to_string(), "invalid signal: 0");
        assert_eq!(
            parse("65").unwrap_err().to_string(),
            "the linux daemon does not support signal 65"
        );
        assert!(parse("RTMIN+40").is_err());
    }
}
