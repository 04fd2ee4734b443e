//! A container as it is on the disk, in types of our own.
//!
//! What clients send and see is Docker's, and its types change with the API; a record outlives both.
//! So [`Stored`] says what is written, key by key, and a [`Record`] is made of it when it is read. Keys
//! that are not in the tables are kept as they are: a record of a newer release loses nothing.
//! Start at [`Stored`]; the tables of settings are in `settings`.

mod settings;

use crate::record::{Link, Record, State};
use jiff::Timestamp;
use sealane_core::model::Id;
use sealane_images::ImageId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use settings::{Endpoint, Host, Program};
use std::collections::BTreeMap;

/// A container on the disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stored {
    id: Id,
    name: String,
    #[serde(default)]
    name_given: bool,
    created: Timestamp,
    image: Option<ImageId>,
    path: String,
    args: Vec<String>,
    config: Program,
    host_config: Host,
    endpoints: BTreeMap<String, Endpoint>,
    links: Vec<Link>,
    restart_count: i64,
    state: State,
}

impl TryFrom<&Record> for Stored {
    type Error = serde_json::Error;

    fn try_from(record: &Record) -> serde_json::Result<Self> {
        Ok(Self {
            id: record.id,
            name: record.name.clone(),
            name_given: record.name_given,
            created: record.created,
            image: record.image,
            path: record.path.clone(),
            args: record.args.clone(),
            config: same(&record.config)?,
            host_config: same(&record.host_config)?,
            endpoints: same(&record.endpoints)?,
            links: record.links.clone(),
            restart_count: record.restart_count,
            state: record.state.clone(),
        })
    }
}

impl TryFrom<Stored> for Record {
    type Error = serde_json::Error;

    fn try_from(stored: Stored) -> serde_json::Result<Self> {
        Ok(Self {
            config: same(&stored.config)?,
            host_config: same(&stored.host_config)?,
            endpoints: same(&stored.endpoints)?,
            id: stored.id,
            name: stored.name,
            name_given: stored.name_given,
            created: stored.created,
            image: stored.image,
            path: stored.path,
            args: stored.args,
            links: stored.links,
            restart_count: stored.restart_count,
            state: stored.state,
        })
    }
}

/// The same settings in the other types: their keys are the same.
fn same<T: DeserializeOwned>(settings: &impl Serialize) -> serde_json::Result<T> {
    serde_json::from_value(serde_json::to_value(settings)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// As release 0.1.0 wrote them: containers of `docker create` with most of its options, and with
    /// none, the second after it ran.
    const RECORDS: [&str; 2] = [
        include_str!("../tests/record-of-0.1.0-all-options.json"),
        include_str!("../tests/record-of-0.1.0-plain.json"),
    ];

    #[test]
    fn records_of_the_first_release_are_read_and_written_as_they_were() {
        for text in RECORDS {
            let stored: Stored = serde_json::from_str(text).expect("it is read");
            let record = Record::try_from(stored.clone()).expect("its settings are Docker's");
            assert_eq!(Stored::try_from(&record).expect("it is written"), stored);
            let before: Value = serde_json::from_str(text).expect("JSON");
            assert_eq!(serde_json::to_value(&stored).expect("JSON"), before);
        }
    }

    #[test]
    fn what_was_asked_for_is_what_is_read() {
        let stored: Stored = serde_json::from_str(RECORDS[0]).expect("it is read");
        let record = Record::try_from(stored).expect("its settings are Docker's");
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
        for text in RECORDS {
            let stored: Stored = serde_json::from_str(text).expect("it is read");
            assert_eq!(stored.config.unknown(), [""; 0]);
            assert_eq!(stored.host_config.unknown(), [""; 0]);
            for endpoint in stored.endpoints.values() {
                assert_eq!(endpoint.unknown(), [""; 0]);
            }
        }
    }

    #[test]
    fn a_key_of_a_newer_release_stays() {
        let newer = RECORDS[1].replacen("\"CpuShares\":0", "\"Newer\":{\"a\":[1]}", 1);
        let stored: Stored = serde_json::from_str(&newer).expect("it is read");
        let written = serde_json::to_value(&stored).expect("JSON");
        assert_eq!(written["host_config"]["Newer"]["a"][0], 1);
    }
}
