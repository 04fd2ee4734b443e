//! Messages for tables, chains and rules; and how a table comes to be as wanted.
//!
//! The kernel reports rules in words of its own, so that tables are not compared by content. Each
//! has a chain without rules, named `fingerprint`, whose comment is a digest of what we wrote;
//! a chain, because of all things in a table only chains and rules can be given new user data.

use super::decode::{self, Found, Hook};
use super::rule::compile;
use super::set::{self, Shape};
use super::{comment, kind, message, number};
use crate::message::{Attributes, Message};
use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE};
use sealane_core::nft::{Chain, ChainKind, Family, HookPoint, Rule, Table, Verdict};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io;

const TABLE_NAME: u16 = 1;
const TABLE_FLAGS: u16 = 2;
/// `NFT_TABLE_F_OWNER | NFT_TABLE_F_PERSIST` (linux/netfilter/nf_tables.h)
const OWNED: u32 = 0x2 | 0x4;
const CHAIN_TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const CHAIN_USERDATA: u16 = 12;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_HANDLE: u16 = 3;
const RULE_EXPRESSIONS: u16 = 4;
const RULE_USERDATA: u16 = 7;

/// `NF_ACCEPT`
const ACCEPT: u32 = 1;
const FINGERPRINT: &str = "fingerprint";
/// The comment of a chain of the user's, by which later versions know to spare it.
const YOURS: &str = "yours: Sealane never changes the rules in here";

/// What there is of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Present {
    pub(crate) ownership: Ownership,
    pub(crate) chains: Vec<decode::Chain>,
    pub(crate) sets: Vec<decode::Set>,
    pub(crate) rules: Vec<decode::Rule>,
    /// The elements that lead to chains, by map.
    pub(crate) jumps: Vec<(String, decode::Element)>,
}

/// Who may change a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// Every process, and so it stays.
    #[default]
    Open,
    /// Every process, since its owner is gone: the next one may take it over.
    Orphan,
    /// The socket with this port.
    Of(u32),
}

/// A digest of what makes a table.
pub(crate) fn fingerprint(table: &Table) -> io::Result<String> {
    Ok(digest(&contents(table)?))
}

/// Makes a table where there is none.
pub(crate) fn create(table: &Table) -> io::Result<Vec<Message>> {
    let mut messages = vec![new_table(table)];
    let contents = contents(table)?;
    let fingerprint = digest(&contents);
    messages.extend(contents);
    messages.push(new_chain(table, FINGERPRINT, None, Some(&fingerprint)));
    Ok(messages)
}

/// Makes a table of other contents the wanted one. Sets that stay as they were keep their
/// elements; chains of the user's keep their rules.
pub(crate) fn replace(table: &Table, present: &Present) -> io::Result<Vec<Message>> {
    let family = number(table.family);
    let (kept_sets, lost_sets): (Vec<_>, Vec<_>) = present
        .sets
        .iter()
        .partition(|present| table.sets.iter().any(|set| same_set(set, present)));
    let (kept_chains, lost_chains): (Vec<_>, Vec<_>) = present
        .chains
        .iter()
        .partition(|present| stays(table, present));

    let mut messages = Vec::new();
    for chain in &present.chains {
        if !is_users(table, chain) {
            messages.push(delete_rules(family, &table.name, &chain.name));
        }
    }
    messages.extend(stray_jumps(table, present, &lost_chains));
    messages.extend(
        lost_sets
            .iter()
            .map(|set| set::delete(family, &table.name, &set.name)),
    );
    messages.extend(
        lost_chains
            .iter()
            .map(|chain| delete_chain(family, &table.name, &chain.name)),
    );
    let parts = parts(table)?;
    for (set, message) in table.sets.iter().zip(parts.sets) {
        if !kept_sets.iter().any(|kept| kept.name == set.name) {
            messages.push(message);
        }
    }
    for (chain, message) in table.chains.iter().zip(parts.chains) {
        if !kept_chains.iter().any(|kept| kept.name == chain.name) {
            messages.push(message);
        }
    }
    messages.extend(parts.rules);
    messages.push(new_chain(
        table,
        FINGERPRINT,
        None,
        Some(&fingerprint(table)?),
    ));
    Ok(messages)
}

/// The sets of a table that the wanted one has, too.
pub(crate) fn kept_sets<'a>(
    table: &'a Table,
    present: &'a Present,
) -> impl Iterator<Item = &'a decode::Set> {
    let kept = |present: &&decode::Set| table.sets.iter().any(|set| same_set(set, present));
    present.sets.iter().filter(kept)
}

/// Whether a table is as we made it: its fingerprint, and that no rules or sets were taken away or
/// put in between.
pub(crate) fn matches(table: &Table, present: &Present) -> io::Result<bool> {
    let fingerprint = fingerprint(table)?;
    let tagged = present.chains.iter().any(|chain| {
        chain.name == FINGERPRINT && chain.comment.as_deref() == Some(fingerprint.as_str())
    });
    let sets = table
        .sets
        .iter()
        .all(|set| present.sets.iter().any(|other| same_set(set, other)));
    let chains = table.chains.iter().all(|chain| {
        let rules = present.rules.iter().filter(|rule| rule.chain == chain.name);
        let comments = rules.map(|rule| rule.comment.as_deref().unwrap_or_default());
        let there = present.chains.iter().any(|other| other.name == chain.name);
        there && (chain.user || comments.eq(chain.rules.iter().map(|rule| rule.comment.as_str())))
    });
    Ok(tagged && sets && chains)
}

/// The fingerprint among the chains of a table.
pub(crate) fn fingerprint_among(chains: &[decode::Chain]) -> Option<&str> {
    chains
        .iter()
        .find(|chain| chain.name == FINGERPRINT)?
        .comment
        .as_deref()
}

/// Removes a table and everything in it.
pub(crate) fn delete(family: u8, table: &str) -> Message {
    message(family, kind::DELETE_TABLE, 0, |attributes| {
        attributes.text(TABLE_NAME, table);
    })
}

/// Asks for a table.
pub(crate) fn get(family: u8, table: &str) -> Message {
    message(family, kind::GET_TABLE, 0, |attributes| {
        attributes.text(TABLE_NAME, table);
    })
}

/// Asks, as a dump, for all chains of a family.
pub(crate) fn chains(family: u8) -> Message {
    message(family, kind::GET_CHAIN, 0, |_| {})
}

/// Asks for a chain.
pub(crate) fn chain(family: u8, table: &str, chain: &str) -> Message {
    message(family, kind::GET_CHAIN, 0, |attributes| {
        attributes.text(CHAIN_TABLE, table).text(CHAIN_NAME, chain);
    })
}

/// Asks, as a dump, for the rules of a table, or of one chain.
pub(crate) fn rules(family: u8, table: &str, chain: Option<&str>) -> Message {
    message(family, kind::GET_RULE, 0, |attributes| {
        attributes.text(RULE_TABLE, table);
        if let Some(chain) = chain {
            attributes.text(RULE_CHAIN, chain);
        }
    })
}

/// Makes a chain that is jumped to.
pub(crate) fn plain_chain(family: u8, table: &str, name: &str) -> Message {
    message(family, kind::NEW_CHAIN, NLM_F_CREATE, |attributes| {
        attributes.text(CHAIN_TABLE, table).text(CHAIN_NAME, name);
    })
}

/// Removes a chain.
pub(crate) fn delete_chain(family: u8, table: &str, name: &str) -> Message {
    message(family, kind::DELETE_CHAIN, 0, |attributes| {
        attributes.text(CHAIN_TABLE, table).text(CHAIN_NAME, name);
    })
}

/// Makes a rule at the end of its chain, or at the head.
pub(crate) fn rule(
    (family, table, chain): (u8, &str, &str),
    at_head: bool,
    expressions: impl FnOnce(&mut Attributes),
    userdata: Option<&[u8]>,
) -> Message {
    let flags = if at_head {
        NLM_F_CREATE
    } else {
        NLM_F_CREATE | NLM_F_APPEND
    };
    message(family, kind::NEW_RULE, flags, |attributes| {
        attributes.text(RULE_TABLE, table).text(RULE_CHAIN, chain);
        attributes.nested(RULE_EXPRESSIONS, expressions);
        if let Some(userdata) = userdata {
            attributes.bytes(RULE_USERDATA, userdata);
        }
    })
}

/// Removes a rule.
pub(crate) fn delete_rule(family: u8, table: &str, chain: &str, handle: u64) -> Message {
    message(family, kind::DELETE_RULE, 0, |attributes| {
        attributes
            .text(RULE_TABLE, table)
            .text(RULE_CHAIN, chain)
            .long(RULE_HANDLE, handle);
    })
}

/// The messages that fill a table, by kind.
struct Parts {
    sets: Vec<Message>,
    chains: Vec<Message>,
    rules: Vec<Message>,
}

fn parts(table: &Table) -> io::Result<Parts> {
    let sets = (1..).zip(&table.sets);
    let sets = sets
        .map(|(id, set)| set::create(table.family, &table.name, set, id))
        .collect();
    let chains = table.chains.iter().map(|chain| {
        let yours = chain.user.then_some(YOURS);
        new_chain(table, &chain.name, Some(chain), yours)
    });
    let ours = table.chains.iter().filter(|chain| !chain.user);
    let rules = ours.flat_map(|chain| chain.rules.iter().map(|rule| new_rule(table, chain, rule)));
    Ok(Parts {
        sets,
        chains: chains.collect(),
        rules: rules.collect::<io::Result<_>>()?,
    })
}

/// Everything in a table but its fingerprint.
fn contents(table: &Table) -> io::Result<Vec<Message>> {
    let Parts {
        mut sets,
        chains,
        rules,
    } = parts(table)?;
    sets.extend(chains);
    sets.extend(rules);
    Ok(sets)
}

fn digest(messages: &[Message]) -> String {
    let mut hash = Sha256::new();
    messages
        .iter()
        .for_each(|message| hash.update(message.bytes()));
    let mut text = String::new();
    for byte in &hash.finalize()[..16] {
        // Writing to a String cannot fail.
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}

/// Makes a table, or takes over one whose owner is gone.
pub(crate) fn new_table(table: &Table) -> Message {
    message(
        number(table.family),
        kind::NEW_TABLE,
        NLM_F_CREATE,
        |attributes| {
            attributes.text(TABLE_NAME, &table.name);
            if table.owned {
                attributes.number(TABLE_FLAGS, OWNED);
            }
        },
    )
}

fn new_chain(table: &Table, name: &str, chain: Option<&Chain>, note: Option<&str>) -> Message {
    message(
        number(table.family),
        kind::NEW_CHAIN,
        NLM_F_CREATE,
        |attributes| {
            attributes
                .text(CHAIN_TABLE, &table.name)
                .text(CHAIN_NAME, name);
            if let Some(hook) = chain.and_then(|chain| chain.hook.as_ref()) {
                attributes.nested(CHAIN_HOOK, |attributes| {
                    attributes.number(HOOK_NUMBER, point_number(hook.point));
                    attributes.number(HOOK_PRIORITY, hook.priority as u32);
                });
                attributes
                    .number(CHAIN_POLICY, ACCEPT)
                    .text(CHAIN_TYPE, kind_name(hook.kind));
            }
            if let Some(note) = note {
                attributes.bytes(CHAIN_USERDATA, &comment(note));
            }
        },
    )
}

fn new_rule(table: &Table, chain: &Chain, wanted: &Rule) -> io::Result<Message> {
    let expressions = compile(table.family, wanted).map_err(|error| {
        let place = format!("chain {}, rule \"{}\"", chain.name, wanted.comment);
        io::Error::new(error.kind(), format!("{place}: {error}"))
    })?;
    let place = (
        number(table.family),
        table.name.as_str(),
        chain.name.as_str(),
    );
    let note = (!wanted.comment.is_empty()).then(|| comment(&wanted.comment));
    let encode = |list: &mut Attributes| expressions.iter().for_each(|one| one.encode(list));
    Ok(rule(place, false, encode, note.as_deref()))
}

fn delete_rules(family: u8, table: &str, chain: &str) -> Message {
    message(family, kind::DELETE_RULE, 0, |attributes| {
        attributes.text(RULE_TABLE, table).text(RULE_CHAIN, chain);
    })
}

/// Removes, from maps that stay, the elements that lead to chains that go.
fn stray_jumps(table: &Table, present: &Present, lost: &[&decode::Chain]) -> Vec<Message> {
    let leads_to_lost = |element: &decode::Element| match &element.data {
        Some(Found::Verdict(Verdict::Jump(chain) | Verdict::Goto(chain))) => {
            lost.iter().any(|lost| lost.name == *chain)
        }
        Some(Found::Verdict(Verdict::Accept | Verdict::Drop | Verdict::Return))
        | Some(Found::Value(_))
        | None => false,
    };
    let stay = |map: &str| {
        let present = present.sets.iter().find(|present| present.name == map);
        present.is_some_and(|present| table.sets.iter().any(|set| same_set(set, present)))
    };
    let stray = present
        .jumps
        .iter()
        .filter(|(map, element)| stay(map) && leads_to_lost(element));
    let family = number(table.family);
    stray
        .map(|(map, element)| set::delete_raw(family, &table.name, map, element))
        .collect()
}

fn same_set(wanted: &sealane_core::nft::Set, present: &decode::Set) -> bool {
    wanted.name == present.name && Shape::of(wanted) == present.shape
}

/// Whether a chain that is there may stay.
fn stays(table: &Table, present: &decode::Chain) -> bool {
    let wanted = table.chains.iter().find(|chain| chain.name == present.name);
    is_users(table, present) || wanted.is_some_and(|wanted| same_hook(wanted, present))
}

fn is_users(table: &Table, present: &decode::Chain) -> bool {
    let wanted = table.chains.iter().find(|chain| chain.name == present.name);
    wanted.map_or(present.comment.as_deref() == Some(YOURS), |wanted| {
        wanted.user
    })
}

fn same_hook(wanted: &Chain, present: &decode::Chain) -> bool {
    let wanted = wanted.hook.as_ref().map(|hook| Hook {
        point: point_number(hook.point),
        priority: hook.priority,
        kind: kind_name(hook.kind).into(),
    });
    wanted == present.hook
}

/// `NF_INET_*`
fn point_number(point: HookPoint) -> u32 {
    match point {
        HookPoint::Prerouting => 0,
        HookPoint::Input => 1,
        HookPoint::Forward => 2,
        HookPoint::Output => 3,
        HookPoint::Postrouting => 4,
    }
}

fn kind_name(kind: ChainKind) -> &'static str {
    match kind {
        ChainKind::Filter => "filter",
        ChainKind::Nat => "nat",
    }
}

/// The families a table can have, as numbers.
pub(crate) fn families() -> [u8; 4] {
    [Family::Inet, Family::Ip, Family::Ip6, Family::Bridge].map(number)
}
