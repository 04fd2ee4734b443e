//! Records on the disk, of this release and of others.

use super::*;
use serde_json::Value;

/// As release 0.1.0 wrote them: containers of `docker create` with most of its options, and with
/// none, the second after it ran.
const RECORDS: [&str; 2] = [
    include_str!("../tests/record-of-0.1.0-all-options.json"),
    include_str!("../tests/record-of-0.1.0-plain.json"),
];

fn read(text: &str) -> Record {
    serde_json::from_str(text).expect("it is read")
}

#[test]
fn records_of_the_first_release_are_read_and_written_as_they_were() {
    for text in RECORDS {
        let before: Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(serde_json::to_value(read(text)).expect("JSON"), before);
    }
}

#[test]
fn what_was_asked_for_is_what_is_read() {
    let record = read(RECORDS[0]);
    assert_eq!(record.hostname(), "web.example");
    assert_eq!(record.config.stop_timeout, Some(7));
    assert_eq!(record.host_config.memory, Some(64 << 20));
    let ports = record.host_config.port_bindings.expect("it publishes");
    let bound = ports["80/tcp"].as_ref().expect("it is bound");
    assert_eq!(bound[0].host_ip.as_deref(), Some("127.0.0.1"));
    let green = &record.endpoints["green"];
    assert_eq!(green.gw_priority, Some(5));
    assert_eq!(green.aliases.as_deref(), Some(&["g".to_owned()][..]));
}

#[test]
fn the_tables_have_every_key_that_was_written() {
    for record in RECORDS.map(read) {
        assert!(record.config.unknown.is_empty());
        assert!(record.host_config.unknown.is_empty());
        for endpoint in record.endpoints.values() {
            assert!(endpoint.unknown.is_empty());
        }
    }
}

#[test]
fn a_key_of_a_newer_release_stays() {
    let newer = RECORDS[1].replacen("\"CpuShares\":0", "\"Newer\":{\"a\":[1]}", 1);
    let written = serde_json::to_value(read(&newer)).expect("JSON");
    assert_eq!(written["host_config"]["Newer"]["a"][0], 1);
}
