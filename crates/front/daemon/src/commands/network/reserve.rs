//! `sealane network reserve|release|reservations`

use super::network_argument;
use crate::client::{self, ClientError};
use crate::commands::{form, host, text};
use clap::{Arg, ArgMatches, Command};
use hyper::Method;
use serde_json::{Value, json};

const ABOUT: &str = "\
Reserves an address of a network. No container gets it by chance: only the one whose name it is for,
or, without --for, one that asks for it with --ip.";

/// The command lines.
pub(super) fn commands() -> [Command; 3] {
    let address = || Arg::new("address").value_name("ADDRESS").required(true);
    [
        Command::new("reserve")
            .about("Reserve an address")
            .long_about(ABOUT)
            .arg(network_argument())
            .arg(address())
            .arg(
                Arg::new("for")
                    .long("for")
                    .value_name("NAME")
                    .help("The container that gets it whenever it starts"),
            )
            .after_help("Example:\n  sealane network reserve blue 10.1.0.53 --for dns"),
        Command::new("release")
            .about("End the reservation of an address")
            .arg(network_argument())
            .arg(address()),
        Command::new("reservations")
            .about("List reserved addresses, and those that names come back to")
            .arg(network_argument()),
    ]
}

/// Asks the daemon.
pub(super) fn run(name: &str, matches: &ArgMatches) -> Result<(), ClientError> {
    let network = client::segment(text(matches, "network").unwrap_or_default());
    let path = format!("/networks/{network}/{name}");
    if name == "reservations" {
        let answer = client::ask(host(matches), Method::GET, &path, None)?;
        form::print(matches, &answer, || lines(&answer).join("\n"));
        return Ok(());
    }
    let mut body = json!({"Address": text(matches, "address")});
    if name == "reserve" {
        body["Name"] = text(matches, "for").into();
    }
    client::ask(host(matches), Method::POST, &path, Some(&body))?;
    Ok(())
}

/// `10.1.0.53 reserved for dns`, `10.1.0.2 leased to web`
fn lines(answer: &Value) -> Vec<String> {
    let list = |key: &str| answer[key].as_array().cloned().unwrap_or_default();
    let reserved = list("Reservations").into_iter().map(|entry| {
        let address = entry["Address"].as_str().unwrap_or_default().to_owned();
        match entry["Name"].as_str() {
            Some(name) => format!("{address} reserved for {name}"),
            None => format!("{address} reserved"),
        }
    });
    let leased = list("Leases").into_iter().flat_map(|entry| {
        let name = entry["Name"].as_str().unwrap_or_default().to_owned();
        let addresses = ["IPv4Address", "IPv6Address"];
        let addresses = addresses.map(|key| entry[key].as_str().map(str::to_owned));
        let line = move |address| format!("{address} leased to {name}");
        addresses
            .into_iter()
            .flatten()
            .map(line)
            .collect::<Vec<_>>()
    });
    reserved.chain(leased).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_line() {
        let answer = json!({
            "Reservations": [{"Address": "10.1.0.53", "Name": "dns"}, {"Address": "10.1.0.9", "Name": null}],
            "Leases": [{"Name": "web", "IPv4Address": "10.1.0.2", "IPv6Address": null, "MacAddress": null}],
        });
        let expected = [
            "10.1.0.53 reserved for dns",
            "10.1.0.9 reserved",
            "10.1.0.2 leased to web",
        ];
        assert_eq!(lines(&answer), expected);
    }
}
