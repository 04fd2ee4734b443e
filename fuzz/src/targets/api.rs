//! What clients of the API send.

use super::none;
use crate::{Seen, Shape, Target};
use sealane_docker_api::outside::{self, Outcome};

const WORDS: &[&str] = &[
    "HostConfig",
    "NetworkingConfig",
    "EndpointsConfig",
    "IPAMConfig",
    "IPv4Address",
    "PortBindings",
    "HostPort",
    "80/tcp",
    "8080-8090/udp",
    "10.0.0.0/24",
    "fd00::/64",
    "00:00:00:00:00:01",
    "Cmd",
    "RestartPolicy",
    "on-failure",
    "NetworkMode",
    "container:x",
    "Aliases",
    "DriverOpts",
    "Name",
    "IPAM",
    "Config",
    "Subnet",
    "AuxiliaryAddresses",
    "Options",
    "Labels",
    "EnableIPv6",
];
const QUERY_WORDS: &[&str] = &[
    "filters=",
    "%7B%22label%22:%5B%22a=b%22%5D%7D",
    "{\"name\":{\"a\":true}}",
    "limit=",
    "since=",
    "1h30m",
    "2026-11-29T00:00:00Z",
    "1700000000.123456789",
    "all=",
    "&",
    "%",
    "%ff",
    "+",
    "=",
    "(a",
];
const LINE_WORDS: &[&str] = &[
    "GET ",
    "POST ",
    "DELETE ",
    "/v1.24",
    "/v1.54",
    "/containers/",
    "/networks/",
    "/images/",
    "/json",
    "?",
    " HTTP/1.1\r\n",
    "\"",
    "{",
    "}",
    "|",
    "^",
    "%22",
    "%",
    "..",
    "//",
    "/connect",
    "/create",
];

const fn body(name: &'static str, run: fn(&[u8]) -> Seen) -> Target {
    Target {
        name,
        shape: Shape::Json,
        words: WORDS,
        made: none,
        run,
    }
}

pub(super) const TARGETS: &[Target] = &[
    body("api-container", |bytes| seen(outside::container(bytes))),
    body("api-network", |bytes| seen(outside::network(bytes))),
    body("api-connect", |bytes| seen(outside::connect(bytes))),
    body("api-changes", |bytes| {
        // Bodies that share their fields, each read by all.
        let changes = [
            outside::network_update(bytes),
            outside::container_update(bytes),
            outside::exec(bytes),
            outside::plan(bytes),
        ];
        Seen::debug(&changes)
    }),
    Target {
        name: "api-query",
        shape: Shape::Text,
        words: QUERY_WORDS,
        made: none,
        run: |bytes| seen(outside::query(&String::from_utf8_lossy(bytes))),
    },
    Target {
        name: "api-request-line",
        shape: Shape::Text,
        words: LINE_WORDS,
        made: none,
        run: |bytes| seen(outside::request_line(bytes)),
    },
];

fn seen(outcome: Outcome) -> Seen {
    Seen::debug(&outcome)
}
