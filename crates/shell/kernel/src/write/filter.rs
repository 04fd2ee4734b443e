//! Tables, elements and passages of one namespace, in one transaction of nftables.
//!
//! The kernel takes a transaction as a whole or not at all, and says of each message what it
//! thinks. What it minds because the work is done already is taken out, and the rest sent again:
//! asking first would cost every ordinary operation a round trip.

use super::passage::Passages;
use super::{Failures, Step, mismatch, without_namespace};
use crate::ack::errno;
use crate::fault;
use crate::kernel::Kernel;
use crate::mark::Marks;
use crate::message::{Message, NFTABLES};
use crate::nft::set::{self, Deed};
use crate::nft::table::{Ownership, Present};
use crate::nft::{number, table};
use crate::read::table as reading;
use crate::socket::Socket;
use sealane_core::nft::{Data, Datum, Family, Table};
use sealane_core::plan::{Change, Key, Netns, Object, SetId};
use std::io;

/// Each attempt takes out every message that was minded, so that few are needed.
const ATTEMPTS: usize = 8;

/// Carries out changes of one namespace.
pub(super) fn carry_out(kernel: &Kernel, netns: Netns, steps: &[Step], stop: bool) -> Failures {
    let channel = match kernel.channel(netns) {
        Ok(channel) => channel,
        Err(error) => return without_namespace(steps, &error),
    };
    let mut socket = channel.netfilter();
    let mut orders = Orders::of(kernel.marks());
    let mut failures = Failures::new();
    for (index, change) in steps {
        if let Err(error) = orders.add(&mut socket, *index, change) {
            failures.push((*index, error));
            if stop {
                return failures;
            }
        }
    }
    failures.extend(commit(&mut socket, netns, orders.orders, stop));
    failures
}

/// A message of the transaction.
struct Order {
    index: usize,
    message: Message,
    if_minded: IfMinded,
}

/// What to do when the kernel minds a message.
enum IfMinded {
    /// It is refused.
    Refuse,
    /// If there is nothing such: it was to be removed, so leave it out.
    LeaveOut,
    /// If there is one with other data: remove that first.
    Displace(Message),
}

struct Orders<'a> {
    marks: &'a Marks,
    orders: Vec<Order>,
    passages: Passages<'a>,
}

impl<'a> Orders<'a> {
    fn of(marks: &'a Marks) -> Self {
        Self {
            marks,
            orders: Vec::new(),
            passages: Passages::of(marks),
        }
    }

    fn add(&mut self, socket: &mut Socket, index: usize, change: &Change) -> io::Result<()> {
        match (change.key(), change) {
            (Key::Table(..), Change::Create(_, Object::Table(wanted)))
            | (
                Key::Table(..),
                Change::Alter(_, _, Object::Table(wanted))
                | Change::Replace(_, _, Object::Table(wanted)),
            ) => {
                for message in make_table(socket, &self.marks.named(wanted))? {
                    self.push(index, message, IfMinded::Refuse);
                }
            }
            (Key::Table(_, name), Change::Delete(_, object)) => {
                let family = match object {
                    Object::Table(table) => table.family,
                    Object::Present => Family::Inet,
                    Object::Link(_)
                    | Object::Setting(_)
                    | Object::Element(_)
                    | Object::Neighbor(_)
                    | Object::Route(_)
                    | Object::Forwarding(_) => return Err(mismatch(change)),
                };
                self.push(
                    index,
                    table::delete(number(family), &self.marks.table(name)),
                    IfMinded::LeaveOut,
                );
            }
            (Key::Element(set, key), Change::Create(_, Object::Element(data)))
            | (
                Key::Element(set, key),
                Change::Alter(_, _, Object::Element(data))
                | Change::Replace(_, _, Object::Element(data)),
            ) => {
                self.make_element(socket, index, (set, key), data)?;
            }
            (Key::Element(set, key), Change::Delete(..)) => {
                self.remove_element(socket, index, (set, key))?;
            }
            (
                Key::Passage(bridge, family),
                Change::Create(..) | Change::Alter(..) | Change::Replace(..),
            ) => {
                for message in self.passages.open(socket, bridge, *family)? {
                    self.push(index, message, IfMinded::Refuse);
                }
            }
            (Key::Passage(bridge, family), Change::Delete(..)) => {
                for message in self.passages.close(socket, bridge, *family)? {
                    self.push(index, message, IfMinded::LeaveOut);
                }
            }
            (_, _) => return Err(mismatch(change)),
        }
        Ok(())
    }

    fn make_element(
        &mut self,
        socket: &mut Socket,
        index: usize,
        (set, key): (&SetId, &[Datum]),
        data: &Data,
    ) -> io::Result<()> {
        let creation = self.element(Deed::Create, set, key, data);
        if !is_interval(key) {
            let removal = self.element(Deed::Delete, set, key, &Data::None);
            self.push(index, creation, IfMinded::Displace(removal));
            return Ok(());
        }
        self.remove_element(socket, index, (set, key))?;
        self.push(index, creation, IfMinded::Refuse);
        Ok(())
    }

    /// Removes an element. The kernel would take any interval that has the first port of this one,
    /// so that it is looked for first.
    fn remove_element(
        &mut self,
        socket: &mut Socket,
        index: usize,
        (set, key): (&SetId, &[Datum]),
    ) -> io::Result<()> {
        let table = self.marks.table(set.table());
        let of = (number(set.family()), &*table, set.name.as_str());
        if is_interval(key) && reading::element(socket, of, key)?.is_none() {
            return Ok(());
        }
        let removal = self.element(Deed::Delete, set, key, &Data::None);
        self.push(index, removal, IfMinded::LeaveOut);
        Ok(())
    }

    fn element(&self, deed: Deed, set: &SetId, key: &[Datum], data: &Data) -> Message {
        let table = self.marks.table(set.table());
        set::element(deed, (number(set.family()), &table, &set.name), key, data)
    }

    fn push(&mut self, index: usize, message: Message, if_minded: IfMinded) {
        self.orders.push(Order {
            index,
            message,
            if_minded,
        });
    }
}

fn is_interval(key: &[Datum]) -> bool {
    key.iter().any(|datum| matches!(datum, Datum::Ports(..)))
}

/// What turns the table that is there, if any, into the wanted one.
fn make_table(socket: &mut Socket, wanted: &Table) -> io::Result<Vec<Message>> {
    let family = number(wanted.family);
    let Some(mut present) = reading::present(socket, family, &wanted.name)? else {
        return table::create(wanted);
    };
    let taken_over = match present.ownership {
        Ownership::Open if wanted.owned => return make_anew(socket, wanted, &present),
        Ownership::Orphan if wanted.owned => vec![table::new_table(wanted)],
        Ownership::Of(owner) if owner != socket.port() => {
            let name = &wanted.name;
            let text = format!("table inet {name} is owned by another process; stop that first");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        Ownership::Open | Ownership::Orphan | Ownership::Of(_) => vec![],
    };
    if table::matches(wanted, &present)? {
        return Ok(taken_over);
    }
    present.jumps = reading::jumps(socket, family, &wanted.name, &present)?;
    let replaced = table::replace(wanted, &present)?;
    Ok(taken_over.into_iter().chain(replaced).collect())
}

/// The kernel gives no owner to a table that was made without: it is made anew, with the
/// elements that there are.
fn make_anew(socket: &mut Socket, wanted: &Table, present: &Present) -> io::Result<Vec<Message>> {
    let family = number(wanted.family);
    let mut messages = vec![table::delete(family, &wanted.name)];
    messages.extend(table::create(wanted)?);
    for set in table::kept_sets(wanted, present) {
        let reported = socket.dump(&set::elements(family, &wanted.name, &set.name))?;
        let elements = reported.iter().filter_map(|reply| reply.payload.get(4..));
        messages.extend(elements.map(|elements| set::create_reported(family, elements)));
    }
    Ok(messages)
}

/// Sends the transaction until the kernel takes it, or refuses something in earnest.
fn commit(socket: &mut Socket, netns: Netns, mut orders: Vec<Order>, stop: bool) -> Failures {
    let mut failures = Failures::new();
    for _ in 0..ATTEMPTS {
        let Some(first) = orders.first().map(|order| order.index) else {
            return failures;
        };
        let messages: Vec<Message> = orders.iter().map(|order| order.message.clone()).collect();
        fault::point_at(|| format!("nftables {netns:?} {} messages", messages.len()));
        let minded = match socket.commit(NFTABLES, &messages) {
            Ok(minded) if minded.is_empty() => return failures,
            Ok(minded) => minded,
            Err(error) => {
                failures.push((first, error));
                return failures;
            }
        };
        let (mended, refused) = mend(orders, minded);
        orders = mended;
        let refused_now = !refused.is_empty();
        orders.retain(|order| !refused.iter().any(|(index, _)| *index == order.index));
        failures.extend(refused);
        if stop && refused_now {
            return failures;
        }
    }
    let why = "the transaction was minded again and again";
    failures.extend(
        orders
            .first()
            .map(|order| (order.index, io::Error::other(why))),
    );
    failures
}

/// Takes out or amends the messages that were minded, and returns with them what was refused in
/// earnest, once per change.
fn mend(orders: Vec<Order>, minded: Vec<(usize, io::Error)>) -> (Vec<Order>, Failures) {
    let mut minded = minded.into_iter().peekable();
    let (mut mended, mut refused) = (Vec::with_capacity(orders.len()), Failures::new());
    for (place, order) in orders.into_iter().enumerate() {
        let Some((_, error)) = minded.next_if(|(minded, _)| *minded == place) else {
            mended.push(order);
            continue;
        };
        let number = errno(&error).unwrap_or_default();
        match order.if_minded {
            IfMinded::LeaveOut if number == libc::ENOENT => {}
            // Kernels differ in how they say it.
            IfMinded::Displace(removal) if matches!(number, libc::EEXIST | libc::EBUSY) => {
                let index = order.index;
                let if_minded = IfMinded::LeaveOut;
                mended.push(Order {
                    index,
                    message: removal,
                    if_minded,
                });
                let if_minded = IfMinded::Refuse;
                mended.push(Order {
                    index,
                    message: order.message,
                    if_minded,
                });
            }
            IfMinded::Refuse | IfMinded::LeaveOut | IfMinded::Displace(_) => {
                if refused
                    .last()
                    .is_none_or(|(index, _)| *index != order.index)
                {
                    refused.push((order.index, error));
                }
            }
        }
    }
    (mended, refused)
}
