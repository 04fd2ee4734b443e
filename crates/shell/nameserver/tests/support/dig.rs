//! `dig`, the witness.

use std::process::Command;

/// What dig saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// `NOERROR`, `NXDOMAIN`, …; empty if nothing came.
    pub(crate) status: String,
    /// The flags, as in `qr rd ra`.
    pub(crate) flags: String,
    /// The data of the answers.
    pub(crate) answers: Vec<String>,
    /// Everything it wrote.
    pub(crate) text: String,
}

/// Asks the server at 127.0.0.11 and this port, once.
pub(crate) fn dig(port: u16, arguments: &str) -> Seen {
    let output = Command::new("dig")
        .args([
            "@127.0.0.11",
            "-p",
            &port.to_string(),
            "+tries=1",
            "+time=8",
        ])
        .args(["+noall", "+comments", "+answer", "+ignore"])
        .args(arguments.split_whitespace())
        .output()
        .expect("dig runs; install bind9-dnsutils");
    let text = String::from_utf8(output.stdout).unwrap();
    let after = |mark: &str, end: char| {
        let rest = text.split_once(mark).map_or("", |(_, rest)| rest);
        rest.split(end).next().unwrap_or_default().trim().to_owned()
    };
    let records = text
        .lines()
        .filter(|line| !line.starts_with(';') && !line.is_empty());
    let data = |line: &str| {
        line.split_whitespace()
            .skip(4)
            .collect::<Vec<_>>()
            .join(" ")
    };
    Seen {
        status: after("status: ", ','),
        flags: after("flags: ", ';'),
        answers: records.map(data).collect(),
        text: text.clone(),
    }
}
