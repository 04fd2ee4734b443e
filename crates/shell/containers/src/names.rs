//! Names of containers: what is allowed, and what is made up where none is given.

use crate::ContainerError;

/// Checks a name, with or without its slash, and returns it without. Docker wants two characters
/// at least; one is as good a name, and its text for what is refused does not say otherwise.
pub(crate) fn check(name: &str) -> Result<&str, ContainerError> {
    let bare = name.strip_prefix('/').unwrap_or(name);
    let mut bytes = bare.bytes();
    let first = bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric());
    let further = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if first && bytes.all(further) {
        return Ok(bare);
    }
    let shown: String = name.chars().take(256).collect();
    Err(ContainerError::Invalid(format!(
        "Invalid container name ({shown}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    )))
}

/// A name from random bytes: the same bytes give the same name.
pub(crate) fn generate(random: [u8; 4]) -> String {
    let pick = |list: &'static [&'static str], high: u8, low: u8| {
        list[usize::from(u16::from_be_bytes([high, low])) % list.len()]
    };
    let [a, b, c, d] = random;
    format!("{}_{}", pick(ADJECTIVES, a, b), pick(NOUNS, c, d))
}

const ADJECTIVES: &[&str] = &[
    "amber", "ample", "azure", "balmy", "bold", "brave", "breezy", "bright", "brisk", "calm",
    "candid", "cheery", "civil", "clear", "cobalt", "coral", "cosy", "crisp", "deft", "dewy",
    "eager", "early", "earnest", "even", "fair", "fleet", "fluent", "fond", "frank", "fresh",
    "gentle", "glad", "golden", "grand", "green", "hardy", "hazel", "hearty", "honest", "humble",
    "ideal", "indigo", "ivory", "jaunty", "jolly", "keen", "kind", "lively", "lofty", "lucid",
    "mellow", "merry", "mild", "misty", "modest", "neat", "nimble", "noble", "open", "patient",
    "placid", "plucky", "polite", "prime", "proud", "quick", "quiet", "rapid", "ready", "regal",
    "rosy", "rustic", "sandy", "serene", "sharp", "silent", "silver", "sleek", "snowy", "solid",
    "spry", "stable", "steady", "still", "stout", "sunny", "swift", "tidal", "tidy", "tranquil",
    "trusty", "upbeat", "vast", "velvet", "vivid", "warm", "wise", "witty", "young", "zesty",
];

const NOUNS: &[&str] = &[
    "anchor",
    "atoll",
    "auk",
    "barge",
    "bay",
    "beacon",
    "bight",
    "bosun",
    "bowline",
    "breaker",
    "brig",
    "buoy",
    "cape",
    "capstan",
    "channel",
    "cleat",
    "clipper",
    "coast",
    "cod",
    "compass",
    "conch",
    "cove",
    "crab",
    "creek",
    "current",
    "cutter",
    "delta",
    "dinghy",
    "dock",
    "dolphin",
    "dory",
    "eddy",
    "eel",
    "estuary",
    "fathom",
    "ferry",
    "fjord",
    "foghorn",
    "frigate",
    "galley",
    "gannet",
    "gull",
    "gunwale",
    "halyard",
    "harbour",
    "hawser",
    "heron",
    "herring",
    "hull",
    "inlet",
    "island",
    "jetty",
    "jib",
    "kayak",
    "keel",
    "kelp",
    "ketch",
    "lagoon",
    "lantern",
    "launch",
    "limpet",
    "lighthouse",
    "lobster",
    "lugger",
    "mainsail",
    "manta",
    "marina",
    "mast",
    "mooring",
    "mussel",
    "narwhal",
    "navigator",
    "oar",
    "otter",
    "oyster",
    "pelican",
    "petrel",
    "pier",
    "pilot",
    "plankton",
    "porpoise",
    "prow",
    "puffin",
    "quay",
    "raft",
    "reef",
    "rudder",
    "sail",
    "schooner",
    "sextant",
    "shoal",
    "skiff",
    "sloop",
    "sound",
    "spar",
    "starfish",
    "strait",
    "tern",
    "tide",
    "tiller",
    "trawler",
    "tugboat",
    "turtle",
    "urchin",
    "voyage",
    "walrus",
    "wharf",
    "windlass",
    "yacht",
    "yawl",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_plain_characters() {
        for name in ["a", "ab", "/web", "a.b-c_d", "0x"] {
            assert_eq!(check(name).unwrap(), name.trim_start_matches('/'));
        }
        for name in ["", "/", "-ab", "a b", "a/b", "é1", "//a", "_x"] {
            assert_eq!(
                check(name).unwrap_err().to_string(),
                format!(
                    "Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
                )
            );
        }
    }

    #[test]
    fn made_up_names_are_valid_and_follow_from_the_bytes() {
        for n in 0..=255_u8 {
            let name = generate([n, n.wrapping_mul(7), n.wrapping_mul(31), n]);
            assert_eq!(check(&name).unwrap(), name);
        }
        assert_eq!(generate([0, 1, 0, 2]), "ample_auk");
    }
}
