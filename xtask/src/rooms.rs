//! Which room of the core may use which.
//!
//! Reads the sources without their comments and unit tests. Start at [`faults`].

use std::path::Path;

/// Each room, and those that it may use besides itself.
const ROOMS: [(&str, &[&str]); 9] = [
    ("model", &[]),
    ("nft", &["model"]),
    ("plan", &["model", "nft"]),
    ("ipam", &["model"]),
    ("dns", &["model"]),
    ("drivers", &["model", "nft", "plan"]),
    ("reserve", &["model", "ipam", "drivers"]),
    ("scopes", &["model", "nft", "plan", "drivers"]),
    (
        "explain",
        &["model", "nft", "plan", "dns", "drivers", "scopes"],
    ),
];

/// The file of `drivers` that drivers share: what macvlan and ipvlan have in common.
const SHARED: &str = "parent";

/// What is wrong with a source of the core at `path`, below its `src`. `drivers` names the folders
/// of drivers.
pub(crate) fn faults(path: &Path, source: &str, drivers: &[String]) -> Vec<String> {
    let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    let Some((room, rest)) = parts.split_first().filter(|(_, rest)| !rest.is_empty()) else {
        return vec![]; // lib.rs only names the rooms
    };
    let code = code(source);
    let shown = path.display();
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| name == room) else {
        return vec![format!(
            "  {shown}: room {room} is not in the list of xtask/src/rooms.rs"
        )];
    };
    let used = members_after(&code, "crate::").into_iter();
    let mut faults: Vec<String> = used
        .filter(|used| used != room && !allowed.contains(&used.as_str()))
        .filter(|used| ROOMS.iter().any(|(name, _)| name == used))
        .map(|used| format!("  {shown}: {room} uses {used}"))
        .collect();
    if let (&"drivers", [own, _, ..]) = (room, rest) {
        let named = ["drivers::", "super::"].map(|prefix| members_after(&code, prefix));
        let others = named
            .into_iter()
            .flatten()
            .filter(|used| drivers.contains(used));
        faults.extend(others.filter(|used| used != own).map(|used| {
            format!(
                "  {shown}: driver {own} uses driver {used}; what they share goes to {SHARED}.rs"
            )
        }));
    }
    faults.sort();
    faults.dedup();
    faults
}

/// A source without comments, unit tests and white space.
fn code(source: &str) -> String {
    let tests = ["#[cfg(test)]\nmod ", "#[cfg(test)]\npub(crate) mod "];
    let end = tests.iter().filter_map(|start| source.find(start)).min();
    let lines = source[..end.unwrap_or(source.len())].lines();
    lines
        .map(|line| line.split_once("//").map_or(line, |(code, _)| code))
        .flat_map(str::chars)
        .filter(|character| !character.is_whitespace())
        .collect()
}

/// The names that follow a prefix of a path, one by one or as a group in braces.
fn members_after(code: &str, prefix: &str) -> Vec<String> {
    let rests = code.split(prefix).skip(1);
    rests.flat_map(first_names).collect()
}

fn first_names(rest: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        let of_name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
        text.chars().take_while(of_name).collect()
    };
    let Some(group) = rest.strip_prefix('{') else {
        return vec![name(rest)];
    };
    let (mut depth, mut start, mut names) = (0_u32, 0, Vec::new());
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' | ',' if depth == 0 => {
                names.push(name(&group[start..at]));
                start = at + 1;
                if character == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, source: &str) -> Vec<String> {
        let drivers = ["bridge", "macvlan"].map(str::to_owned);
        faults(Path::new(path), source, &drivers)
    }

    #[test]
    fn a_room_that_looks_up_is_found_in_paths_and_in_use_trees() {
        for source in [
            "use crate::scopes::set;",
            "use crate::{model::Id, scopes::{a, b}};",
            "fn f() { crate::scopes::plan() }",
        ] {
            let fault = "  drivers/bridge/mod.rs: drivers uses scopes";
            assert_eq!(found("drivers/bridge/mod.rs", source), [fault], "{source}");
        }
        assert_eq!(
            found("scopes/host.rs", "use crate::drivers::bridge;"),
            [""; 0]
        );
    }

    #[test]
    fn drivers_do_not_import_each_other_but_share_the_parent() {
        for source in [
            "use super::bridge::x;",
            "use crate::drivers::{parent::P, bridge};",
        ] {
            assert_eq!(found("drivers/macvlan/mod.rs", source).len(), 1, "{source}");
        }
        for source in [
            "use super::parent::Parent;",
            "use crate::drivers::macvlan::x;",
            "// use super::bridge",
            "#[cfg(test)]\nmod tests { use crate::drivers::bridge::tests; }",
        ] {
            assert_eq!(found("drivers/macvlan/mod.rs", source), [""; 0], "{source}");
        }
        // The list of drivers names them all.
        assert_eq!(
            found("drivers/mod.rs", "&crate::drivers::bridge::B"),
            [""; 0]
        );
    }
}
