//! All kernel state of a host as text, to compare before and after.
//!
//! What differs from run to run without meaning anything – ids, MAC addresses, the random part of
//! a name, counters, handles – is replaced, so that two runs of the same thing compare equal.

use crate::{Host, eventually_is};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// How long a host may take to be as it was.
const PATIENCE: Duration = Duration::from_secs(5);

/// Links, addresses, routes, neighbors and rules of a host and of every sandbox on it; its mounts,
/// cgroups and processes; and the files of the exec root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot(BTreeSet<String>);

impl Snapshot {
    /// Looks at a host.
    ///
    /// # Panics
    /// When one of the tools fails.
    #[track_caller]
    pub fn take(host: &Host) -> Self {
        let outcome = host.sh(&SCRIPT.replace("LAB", host.lab()));
        let text = outcome.ok();
        let mut sections = text
            .split("\n== ")
            .filter_map(|section| section.split_once('\n'));
        let mut lines = BTreeSet::new();
        let mut sandboxes = Vec::new();
        for (name, body) in sections.by_ref() {
            match name.trim() {
                "netns host" => {
                    lines.extend(network_lines(body).map(|line| format!("host {line}")))
                }
                "netns sandbox" => sandboxes.push(network_lines(body).collect::<Vec<_>>()),
                section => lines.extend(plain_lines(section, body)),
            }
        }
        // Which of them comes first is chance; what is in them is not.
        sandboxes.sort();
        for (index, sandbox) in sandboxes.into_iter().enumerate() {
            lines.extend(
                sandbox
                    .into_iter()
                    .map(|line| format!("sandbox{index} {line}")),
            );
        }
        Self(lines)
    }

    /// Leaves out the lines that a test knows will differ.
    #[must_use]
    pub fn without(&self, known: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|line| !known(line)).cloned().collect())
    }

    /// Waits until a host looks like this again: a container's processes, mounts and cgroups take a
    /// moment to go.
    ///
    /// # Panics
    /// When it has not within five seconds; the message has what differs.
    #[track_caller]
    pub fn returns_on(&self, host: &Host) {
        eventually_is(PATIENCE, String::new(), || {
            self.difference(&Self::take(host))
        });
    }

    /// What is only in one of the two, a line each with `-` (here) or `+` (there); empty if equal.
    pub fn difference(&self, later: &Self) -> String {
        let gone = self
            .0
            .difference(&later.0)
            .map(|line| format!("- {line}\n"));
        let new = later
            .0
            .difference(&self.0)
            .map(|line| format!("+ {line}\n"));
        gone.chain(new).collect()
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|line| writeln!(formatter, "{line}"))
    }
}

/// One process after the other is started by this; so it is one script and not twenty commands.
const SCRIPT: &str = r#"
net() {
  echo "@links"; ip -json -details link
  echo "@addresses"; ip -json address
  echo "@routes"; ip -4 route show table all; ip -6 route show table all
  echo "@neighbors"; ip neigh show nud permanent
  echo "@nft"; nft -j list ruleset
}
export -f net
echo; echo "== netns host"; net
own=$(stat -Lc %i /proc/self/ns/net)
declare -A seen=([$own]=1)
for handle in $(findmnt -rnt nsfs -o TARGET) /proc/[0-9]*/ns/net; do
  [ "$(stat -fLc %T "$handle" 2>/dev/null)" = nsfs ] || continue
  inode=$(stat -Lc %i "$handle" 2>/dev/null) || continue
  [ -z "${seen[$inode]}" ] || continue
  seen[$inode]=1
  listed=$(nsenter --net="$handle" bash -c net) || continue
  echo; echo "== netns sandbox"; echo "$listed"
done
echo; echo "== mount"; findmnt -rn -o TARGET,FSTYPE
echo; echo "== cgroup"; find /sys/fs/cgroup -path '*sealane-lab-LAB*' -type d
echo; echo "== process"; ps -e -o stat=,args= | grep -vE '^\S+ +(\[?(bash|timeout|ps|grep|nsenter|setpriv|tcpdump|sleep)\b)'
echo; echo "== file"; find /run/sealane 2>/dev/null
echo
"#;

fn plain_lines<'a>(section: &'a str, body: &'a str) -> impl Iterator<Item = String> + 'a {
    let lines = body.lines().filter(|line| !line.is_empty());
    lines.map(move |line| match section {
        // The state letters: only that something is a zombie matters.
        "process" => {
            let (state, command) = line.split_once(' ').unwrap_or((line, ""));
            let zombie = if state.starts_with('Z') {
                "zombie "
            } else {
                ""
            };
            format!("process {zombie}{}", anonymous(command.trim()))
        }
        _ => format!("{section} {}", anonymous(line)),
    })
}

fn network_lines(body: &str) -> impl Iterator<Item = String> + '_ {
    let parts = body.split("\n@").filter_map(|part| part.split_once('\n'));
    parts.flat_map(|(name, text)| match name.trim_start_matches('@') {
        "links" => links(&parse(text)),
        "addresses" => addresses(&parse(text)),
        "routes" => routes(text),
        "neighbors" => text
            .lines()
            .map(|line| format!("neighbor {}", anonymous(line)))
            .collect(),
        "nft" => rules(&parse(text)),
        _ => vec![],
    })
}

fn parse(text: &str) -> Value {
    let text = text.trim();
    if text.is_empty() {
        Value::Array(vec![])
    } else {
        serde_json::from_str(text).expect("JSON")
    }
}

fn elements(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn links(list: &Value) -> Vec<String> {
    let describe = |link: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let flags: Vec<&str> = elements(&link["flags"]).filter_map(Value::as_str).collect();
        let port = &link["linkinfo"]["info_slave_data"];
        format!(
            "link {} {} mtu {} master {} group {} alias {} {} hairpin {} isolated {}",
            text(&link["ifname"]),
            text(&link["linkinfo"]["info_kind"]),
            link["mtu"],
            text(&link["master"]),
            text(&link["group"]),
            text(&link["ifalias"]),
            if flags.contains(&"UP") { "up" } else { "down" },
            port["hairpin"],
            port["isolated"],
        )
    };
    elements(list)
        .map(|link| anonymous(&describe(link)))
        .collect()
}

fn addresses(list: &Value) -> Vec<String> {
    let of_link = |link: &Value| {
        let name = link["ifname"].as_str().unwrap_or_default().to_owned();
        let describe = |address: &Value| {
            let local = address["local"].as_str().unwrap_or_default();
            format!("address {name} {local}/{}", address["prefixlen"])
        };
        // Link-local addresses come and go by the kernel's own clock.
        let all: Vec<String> = elements(&link["addr_info"]).map(describe).collect();
        all.into_iter()
            .filter(|line| !line.contains(" fe80:"))
            .map(|line| anonymous(&line))
    };
    elements(list).flat_map(of_link).collect()
}

fn routes(text: &str) -> Vec<String> {
    // The kernel's own: they follow from addresses and carrier.
    let own = |line: &&str| {
        [
            "local ",
            "broadcast ",
            "multicast ",
            "anycast ",
            "fe80::",
            "ff00::",
        ]
        .iter()
        .any(|start| line.starts_with(start))
    };
    let kept = text
        .lines()
        .filter(|line| !own(line) && !line.trim().is_empty());
    kept.map(|line| anonymous(&format!("route {}", line.replace(" linkdown", ""))))
        .collect()
}

fn rules(ruleset: &Value) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut lines = Vec::new();
    for object in elements(&ruleset["nftables"]).filter(|object| object.get("metainfo").is_none()) {
        let mut object = object.clone();
        let elements = take_elements(&mut object);
        strip(&mut object);
        let line = anonymous(&object.to_string());
        // Equal rules may stand in a chain twice, and their number means something.
        let count = seen.entry(line.clone()).or_default();
        *count += 1;
        lines.push(format!("nft {line} #{count}"));
        lines.extend(
            elements
                .into_iter()
                .map(|element| format!("nft {line} has {element}")),
        );
    }
    lines
}

/// Takes the elements out of a set or map, each as a line: their order means nothing.
fn take_elements(object: &mut Value) -> Vec<String> {
    let set = ["set", "map"]
        .into_iter()
        .find(|kind| object.get(kind).is_some());
    let taken = set.and_then(|kind| object[kind].as_object_mut()?.remove("elem"));
    let mut found = taken.unwrap_or_default();
    strip(&mut found);
    elements(&found)
        .map(|element| anonymous(&element.to_string()))
        .collect()
}

/// Removes handles and counts.
fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for volatile in ["handle", "packets", "bytes", "expires"] {
                fields.remove(volatile);
            }
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Replaces ids, MAC addresses and the random part of interface names.
fn anonymous(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = word_length(rest);
        if length == 0 {
            result.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (word, after) = rest.split_at(length);
        result.push_str(&anonymous_word(word));
        rest = after;
    }
    result
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == ':'))
        .unwrap_or(text.len())
}

fn anonymous_word(word: &str) -> String {
    let is_hex = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
    if word.len() >= 12 && is_hex(word) {
        return "ID".into();
    }
    if word.len() == 17 && word.split(':').count() == 6 && word.split(':').all(is_hex) {
        return "MAC".into();
    }
    if let Some(random) = word
        .strip_prefix("veth")
        .filter(|rest| rest.len() == 7 && is_hex(rest))
    {
        debug_assert!(!random.is_empty());
        return "vethID".into();
    }
    word.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_random_is_replaced() {
        let id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let text =
            format!("/run/{id}/x br-0123456789ab veth0a1b2c3 lladdr 02:42:ac:11:00:02 10.0.0.2");
        assert_eq!(
            anonymous(&text),
            "/run/ID/x br-ID vethID lladdr MAC 10.0.0.2"
        );
    }

    #[test]
    fn counters_and_handles_are_left_out() {
        let mut rule =
            serde_json::json!({"rule": {"handle": 4, "expr": [{"counter": {"packets": 1}}]}});
        strip(&mut rule);
        assert_eq!(
            rule,
            serde_json::json!({"rule": {"expr": [{"counter": {}}]}})
        );
    }
}
