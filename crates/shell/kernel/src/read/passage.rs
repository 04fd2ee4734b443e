//! What there is of ours in the tables that iptables made, and which foreign chains drop.

use crate::ack::errno;
use crate::mark::Marks;
use crate::nft::decode::{self, Expression, Rule};
use crate::nft::{number, table};
use crate::socket::Socket;
use sealane_core::model::{InterfaceName, IpFamily};
use sealane_core::nft::Verdict;
use std::io;

/// The names that iptables uses.
pub(crate) const TABLE: &str = "filter";
pub(crate) const FORWARD: &str = "FORWARD";

/// `NFT_META_IIFNAME`, `_OIFNAME`
const INPUT_NAME: u32 = 6;
const OUTPUT_NAME: u32 = 7;

/// What there is of passages in the table of one family. Rules without handle are about to be
/// made.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Whether our chain is there.
    pub(crate) chain: bool,
    /// The jumps to it.
    pub(crate) jumps: Vec<Option<u64>>,
    pub(crate) accepts: Vec<Accept>,
}

/// An accept in our chain.
#[derive(Debug)]
pub(crate) struct Accept {
    pub(crate) bridge: String,
    direction: Direction,
    pub(crate) handle: Option<u64>,
}

/// Whether packets come from a bridge or go to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    In,
    Out,
}

impl Found {
    /// Whether packets of a bridge pass, both ways.
    pub(crate) fn passes(&self, bridge: &InterfaceName) -> bool {
        let there = |direction| {
            self.accepts
                .iter()
                .any(|accept| accept.is(bridge, direction))
        };
        !self.jumps.is_empty() && there(Direction::In) && there(Direction::Out)
    }

    /// Notes an accept that is about to be made.
    pub(crate) fn add(&mut self, bridge: &InterfaceName, direction: Direction) {
        self.accepts.push(Accept {
            bridge: bridge.to_string(),
            direction,
            handle: None,
        });
    }
}

impl Accept {
    /// Whether it is for this bridge and direction.
    pub(crate) fn is(&self, bridge: &InterfaceName, direction: Direction) -> bool {
        self.bridge == bridge.as_str() && self.direction == direction
    }
}

/// Looks at the passages of a family; `None` if it has no chain FORWARD.
pub(crate) fn look(
    socket: &mut Socket,
    marks: &Marks,
    family: IpFamily,
) -> io::Result<Option<Found>> {
    let family = number(family.into());
    let Some(forward) = rules(socket, family, FORWARD)? else {
        return Ok(None);
    };
    let ours = rules(socket, family, marks.passage_chain())?;
    let jumps = forward
        .iter()
        .filter(|rule| jumps_to(rule, marks.passage_chain()))
        .map(|rule| Some(rule.handle));
    Ok(Some(Found {
        chain: ours.is_some(),
        jumps: jumps.collect(),
        accepts: ours.unwrap_or_default().iter().filter_map(accept).collect(),
    }))
}

fn rules(socket: &mut Socket, family: u8, chain: &str) -> io::Result<Option<Vec<Rule>>> {
    match socket.get(table::chain(family, TABLE, chain)) {
        Err(error) if errno(&error) == Some(libc::ENOENT) => return Ok(None),
        other => other?,
    };
    let replies = socket.dump(&table::rules(family, TABLE, Some(chain)))?;
    Ok(Some(
        replies
            .iter()
            .filter_map(|reply| decode::rule(&reply.payload))
            .collect(),
    ))
}

/// What a rule is to us: whether it leads to this chain of ours, and what it accepts.
pub(crate) fn meaning(rule: &Rule, chain: &str) -> (bool, Option<Accept>) {
    (jumps_to(rule, chain), accept(rule))
}

fn jumps_to(rule: &Rule, chain: &str) -> bool {
    let verdict = rule.expressions.iter().find_map(verdict);
    verdict == Some(Verdict::Jump(chain.into()))
}

fn accept(rule: &Rule) -> Option<Accept> {
    let [meta, compare, ..] = rule.expressions.as_slice() else {
        return None;
    };
    let direction = match decode::number(decode::find(&meta.data, 2)?)? {
        INPUT_NAME => Direction::In,
        OUTPUT_NAME => Direction::Out,
        _ => return None,
    };
    let bridge = decode::text(decode::find(decode::find(&compare.data, 3)?, 1)?);
    let accepts = rule.expressions.iter().find_map(verdict)? == Verdict::Accept;
    accepts.then_some(Accept {
        bridge,
        direction,
        handle: Some(rule.handle),
    })
}

fn verdict(expression: &Expression) -> Option<Verdict> {
    let data = (expression.name == "immediate").then(|| decode::find(&expression.data, 2))??;
    decode::verdict(decode::find(data, 2)?)
}
