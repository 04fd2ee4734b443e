//! Accepts for our bridges in the FORWARD chain of iptables, whose policy may be to drop: an
//! accept in a table of ours would not outweigh that.
//!
//! All of ours stands in a chain of its own, with one jump to it at the head of FORWARD. The rules
//! are of the plainest, so that iptables can list and save them.

use crate::mark::Marks;
use crate::message::{Attributes, Message};
use crate::nft::expression::{Expression, Meta, Register};
use crate::nft::number;
use crate::nft::table;
use crate::read::passage::{Direction, FORWARD, Found, TABLE, look};
use crate::socket::Socket;
use sealane_core::model::{InterfaceName, IpFamily};
use sealane_core::nft::Verdict;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;

/// The passages of either family, as they will be when the transaction is through.
pub(super) struct Passages<'a> {
    marks: &'a Marks,
    found: BTreeMap<IpFamily, Option<Found>>,
}

impl<'a> Passages<'a> {
    pub(super) fn of(marks: &'a Marks) -> Self {
        Self {
            marks,
            found: BTreeMap::new(),
        }
    }

    /// Lets packets to and from a bridge pass. Without the table or chain there is nothing to pass.
    pub(super) fn open(
        &mut self,
        socket: &mut Socket,
        bridge: &InterfaceName,
        family: IpFamily,
    ) -> io::Result<Vec<Message>> {
        let chain = self.marks.passage_chain();
        let Some(found) = self.look(socket, family)? else {
            return Ok(Vec::new());
        };
        let family = number(family.into());
        let mut messages = Vec::new();
        if !found.chain {
            found.chain = true;
            messages.push(table::plain_chain(family, TABLE, chain));
        }
        if found.jumps.is_empty() {
            found.jumps.push(None);
            messages.push(jump(family, chain));
        }
        for direction in [Direction::In, Direction::Out] {
            if !found
                .accepts
                .iter()
                .any(|accept| accept.is(bridge, direction))
            {
                found.add(bridge, direction);
                messages.push(accept((family, chain), bridge, direction));
            }
        }
        Ok(messages)
    }

    /// Ends that; the last one takes the chain and the jump with it.
    pub(super) fn close(
        &mut self,
        socket: &mut Socket,
        bridge: &InterfaceName,
        family: IpFamily,
    ) -> io::Result<Vec<Message>> {
        let chain = self.marks.passage_chain();
        let Some(found) = self.look(socket, family)?.filter(|found| found.chain) else {
            return Ok(Vec::new());
        };
        let family = number(family.into());
        let (closed, others) = std::mem::take(&mut found.accepts)
            .into_iter()
            .partition(|accept| accept.bridge == bridge.as_str());
        found.accepts = others;
        let closed: Vec<crate::read::passage::Accept> = closed;
        let handles = closed.iter().filter_map(|accept| accept.handle);
        let mut messages: Vec<Message> = handles
            .map(|handle| table::delete_rule(family, TABLE, chain, handle))
            .collect();
        if found.accepts.is_empty() {
            let jumps = found.jumps.drain(..).flatten();
            messages.extend(jumps.map(|at| table::delete_rule(family, TABLE, FORWARD, at)));
            messages.push(table::delete_chain(family, TABLE, chain));
            found.chain = false;
        }
        Ok(messages)
    }

    fn look(&mut self, socket: &mut Socket, family: IpFamily) -> io::Result<Option<&mut Found>> {
        let marks = self.marks;
        let found = match self.found.entry(family) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(look(socket, marks, family)?),
        };
        Ok(found.as_mut())
    }
}

fn jump(family: u8, chain: &str) -> Message {
    let jump = [
        Expression::Counter,
        Expression::Verdict(Verdict::Jump(chain.into())),
    ];
    table::rule(
        (family, TABLE, FORWARD),
        true,
        |list| encode(list, &jump),
        None,
    )
}

fn accept((family, chain): (u8, &str), bridge: &InterfaceName, direction: Direction) -> Message {
    let meta = match direction {
        Direction::In => Meta::InputName,
        Direction::Out => Meta::OutputName,
    };
    // With the closing NUL but no padding: this is how iptables tells a whole name from a prefix.
    let value = [bridge.as_str().as_bytes(), &[0]].concat();
    let register = Register::FIRST;
    let accept = [
        Expression::Meta(meta, register),
        Expression::Compare {
            register,
            equal: true,
            value,
        },
        Expression::Counter,
        Expression::Verdict(Verdict::Accept),
    ];
    table::rule(
        (family, TABLE, chain),
        false,
        |list| encode(list, &accept),
        None,
    )
}

fn encode(list: &mut Attributes, expressions: &[Expression]) {
    expressions
        .iter()
        .for_each(|expression| expression.encode(list));
}
