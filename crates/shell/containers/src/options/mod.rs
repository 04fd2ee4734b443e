//! What was asked of a container, setting by setting: as it is kept in memory, and on the disk.
//!
//! A setting that was not given is absent: `inspect` shows what was given. The keys of a record are
//! those that Docker's API had when the form was fixed; the API's own types are the front's. Keys that
//! are not in the tables are kept as they are, so that a record of a newer release loses nothing.

mod endpoint;
mod host;
mod mount;
mod program;

pub use endpoint::{EndpointOptions, IpamOptions};
pub use host::{
    BlockRate, BlockWeight, CgroupNamespace, Device, DeviceRequest, HostOptions, Isolation,
    LogDriver, PortBinding, PortBindings, RestartMode, RestartPolicy, Ulimit,
};
pub use mount::{
    BindOptions, ImageMountOptions, MountOptions, MountType, PropagationMode, TmpfsOptions,
    VolumeDriver, VolumeOptions,
};
pub use program::{HealthCheck, Program};

use serde::de::{Deserialize, Deserializer, IgnoredAny};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::collections::{BTreeMap, BTreeSet};

type Texts = Vec<String>;
/// Values by key.
pub type Pairs = BTreeMap<String, String>;

/// Names, each once. A record has them as keys, with `{}` for values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(pub BTreeSet<String>);

impl FromIterator<String> for Names {
    fn from_iter<I: IntoIterator<Item = String>>(names: I) -> Self {
        Self(names.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a Names {
    type Item = &'a String;
    type IntoIter = std::collections::btree_set::Iter<'a, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl Serialize for Names {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for name in &self.0 {
            map.serialize_entry(name, &BTreeMap::<String, ()>::new())?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let keys: BTreeMap<String, IgnoredAny> = BTreeMap::deserialize(deserializer)?;
        Ok(Self(keys.into_keys().collect()))
    }
}

/// A group of settings: each is a field, the type of its value, and its key in a record.
macro_rules! settings {
    ($(#[$about:meta])* $name:ident { $($field:ident: $kind:ty = $key:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub struct $name {
            $(
                #[doc = concat!("`", $key, "`")]
                #[serde(rename = $key, skip_serializing_if = "Option::is_none")]
                pub $field: Option<$kind>,
            )*
            /// What this release does not know.
            #[serde(flatten)]
            pub unknown: serde_json::Map<String, serde_json::Value>,
        }
    };
}

/// A setting that is one of several words.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$what:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $(
                $(#[$what])*
                #[doc = concat!("`", $word, "`")]
                #[serde(rename = $word)]
                $variant,
            )*
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $word,)*
                })
            }
        }
    };
}

use {settings, words};
