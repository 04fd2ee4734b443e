//! Links, addresses, neighbors and routes of one namespace, many in one datagram.
//!
//! The kernel has no transactions here, and it wants links by number. So messages are gathered
//! until one concerns a link that only the gathered ones will make; then they go out first.

use super::link::{self, Surroundings};
use super::settle::{Place, is_absence};
use super::{Failures, Step, address, is_removal, mismatch, setting, without_namespace};
use crate::ack::{errno, explained};
use crate::channel::Channel;
use crate::fault;
use crate::kernel::Kernel;
use crate::message::Message;
use crate::read::link as reading;
use crate::read::observe::observe_route_over;
use ipnet::IpNet;
use sealane_core::model::InterfaceName;
use sealane_core::plan::{Change, Key, Netns, Object, Route};
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

/// Carries out changes of one namespace.
pub(super) fn carry_out(kernel: &Kernel, netns: Netns, steps: &[Step], stop: bool) -> Failures {
    let channel = match kernel.channel(netns) {
        Ok(channel) => channel,
        Err(error) => return without_namespace(steps, &error),
    };
    let place = Place {
        kernel,
        netns,
        channel,
    };
    let run = Run {
        place,
        stop,
        pending: Vec::new(),
        failures: Vec::new(),
    };
    run.carry_out(steps)
}

struct Run<'a> {
    place: Place<'a>,
    stop: bool,
    pending: Vec<Pending<'a>>,
    failures: Failures,
}

/// Messages that wait to be sent, and the change they are for.
struct Pending<'a> {
    step: Step<'a>,
    messages: Vec<Message>,
    /// Kept, because a message may name it by a number of ours.
    _elsewhere: Option<Arc<Channel>>,
}

impl<'a> Run<'a> {
    fn carry_out(mut self, steps: &[Step<'a>]) -> Failures {
        self.failures.extend(self.allow_ipv6(steps).err());
        if self.is_over() {
            return self.failures;
        }
        let removed_links: Vec<Step> = steps
            .iter()
            .filter(|(_, change)| is_link_removal(change))
            .copied()
            .collect();
        for step in steps.iter().filter(|(_, change)| !is_link_removal(change)) {
            if let Err(error) = self.gather(*step) {
                self.failures.push((step.0, error));
            }
            if self.is_over() {
                return self.failures;
            }
        }
        self.flush();
        if !self.is_over() && !removed_links.is_empty() {
            self.remove_links(&removed_links);
        }
        self.failures
    }

    fn is_over(&self) -> bool {
        self.stop && !self.failures.is_empty()
    }

    /// Links elsewhere than on the host that get an IPv6 address must be allowed to have one.
    fn allow_ipv6(&self, steps: &[Step]) -> Result<(), (usize, io::Error)> {
        let netns = self.place.netns;
        if netns == Netns::Host {
            return Ok(());
        }
        let mut links = BTreeSet::new();
        let mut first = None;
        for (index, change) in steps {
            if let Change::Create(Key::Address(_, link, IpNet::V6(_)), _) = change {
                first.get_or_insert(*index);
                links.insert(link);
            }
        }
        let Some(first) = first else {
            return Ok(());
        };
        let links: Vec<&InterfaceName> = links.into_iter().collect();
        setting::allow_ipv6(self.place.kernel, netns, &links).map_err(|error| (first, error))
    }

    fn gather(&mut self, step: Step<'a>) -> io::Result<()> {
        if self.comes_with_address(step.1)? {
            return Ok(());
        }
        match self.encode(step) {
            Err(error) if errno(&error) == Some(libc::ENODEV) && !self.pending.is_empty() => {
                self.flush();
                if self.is_over() {
                    return Ok(());
                }
            }
            Err(error) if is_removal(step.1) && is_absence(&error) => return Ok(()),
            other => return other,
        }
        match self.encode(step) {
            Err(error) if is_removal(step.1) && is_absence(&error) => Ok(()),
            other => other,
        }
    }

    /// Whether the kernel made a wanted route by itself, with an address of the link: then it knows
    /// it better than we do.
    fn comes_with_address(&mut self, change: &Change) -> io::Result<bool> {
        let Change::Create(Key::Route(_, id), wanted) = change else {
            return Ok(false);
        };
        let Object::Route(Route::Unicast {
            interface,
            via: None,
            source: None,
        }) = wanted
        else {
            return Ok(false);
        };
        if *id != id.to.into() {
            return Ok(false);
        }
        self.flush();
        let Ok(link) = self.place.index(interface) else {
            return Ok(false); // making the route will say why
        };
        let found = observe_route_over(&self.place.channel, link, id.to)?;
        Ok(found.is_some_and(|found| wanted.satisfied_by(&found)))
    }

    fn encode(&mut self, step: Step<'a>) -> io::Result<()> {
        let mut elsewhere = None;
        let messages = match step.1 {
            Change::Create(Key::Link(_, name), Object::Link(link))
                if !self.place.is_asked_of_host(link) && !self.place.exists(name)? =>
            {
                elsewhere = self.place.elsewhere(link)?;
                let master = self.place.master(link)?;
                let around = Surroundings {
                    master,
                    parent: None,
                    elsewhere: elsewhere.as_deref(),
                };
                {
                    let marks = self.place.kernel.marks();
                    vec![
                        link::create(marks, name, link, &around),
                        link::finish(marks, name, link),
                    ]
                }
            }
            Change::Create(Key::Link(_, name), Object::Link(link))
            | Change::Alter(Key::Link(_, name), _, Object::Link(link)) => {
                self.flush();
                return self.place.settle_link(name, link);
            }
            Change::Replace(Key::Link(_, name), _, Object::Link(link)) => {
                self.flush();
                return self.place.replace_link(name, link);
            }
            Change::Replace(key @ Key::Forwarding(..), old, _) => {
                self.flush();
                let gone = Change::Delete(key.clone(), old.clone());
                let removal = self.addressed(&gone)?;
                match self.place.send("forwarding remove", &[removal]) {
                    Err(error) if !is_absence(&error) => return Err(error),
                    _ => vec![self.addressed(step.1)?],
                }
            }
            Change::Create(Key::Up(_, name), _)
            | Change::Alter(Key::Up(_, name), ..)
            | Change::Replace(Key::Up(_, name), ..) => {
                vec![link::set_up(name, true)]
            }
            Change::Delete(Key::Up(_, name), _) => vec![link::set_up(name, false)],
            change @ (Change::Create(..)
            | Change::Alter(..)
            | Change::Replace(..)
            | Change::Delete(..)) => {
                vec![self.addressed(change)?]
            }
        };
        self.pending.push(Pending {
            step,
            messages,
            _elsewhere: elsewhere,
        });
        Ok(())
    }

    /// The message for an address, neighbor or route.
    fn addressed(&self, change: &Change) -> io::Result<Message> {
        let (key, object, made) = match change {
            Change::Create(key, object)
            | Change::Alter(key, _, object)
            | Change::Replace(key, _, object) => (key, object, true),
            Change::Delete(key, object) => (key, object, false),
        };
        Ok(match (key, object) {
            (Key::Address(_, link, net), _) if made => address::add(self.place.index(link)?, *net),
            (Key::Address(_, link, net), _) => address::remove(self.place.index(link)?, *net),
            (Key::Neighbor(_, link, to), Object::Neighbor(mac)) if made => {
                let index = self.place.index(link)?;
                address::add_neighbor(index, *to, self.place.neighbor_address(link, *mac)?)
            }
            (Key::Neighbor(_, link, to), _) if !made => {
                address::remove_neighbor(self.place.index(link)?, *to)
            }
            (Key::Route(_, id), Object::Route(route)) => {
                let link = route.interface().map(|name| self.place.index(name));
                let link = link.transpose()?;
                if made {
                    address::add_route(link, id, route)
                } else {
                    address::remove_route(link, id, route)
                }
            }
            (Key::Forwarding(_, link, mac), Object::Forwarding(to)) => {
                let link = self.place.index(link)?;
                if made {
                    address::add_forwarding(link, *mac, to)
                } else {
                    address::remove_forwarding(link, *mac, to)
                }
            }
            (Key::Flooding(_, link, mac, to), _) => {
                let link = self.place.index(link)?;
                if made {
                    address::add_flooding(link, *mac, *to)
                } else {
                    address::remove_flooding(link, *mac, *to)
                }
            }
            (_, _) => return Err(mismatch(change)),
        })
    }

    /// Sends what waits.
    fn flush(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        let Some(first) = pending.first() else {
            return;
        };
        let messages: Vec<Message> = pending
            .iter()
            .flat_map(|pending| pending.messages.iter().cloned())
            .collect();
        fault::point_at(|| {
            format!(
                "rtnetlink {:?} {} messages",
                self.place.netns,
                messages.len()
            )
        });
        let answers = match self.place.channel.route().exchange(&messages) {
            Ok(answers) => answers,
            Err(error) => return self.failures.push((first.step.0, error)),
        };
        let mut refusals = answers.into_iter().map(|answer| answer.refusal);
        for pending in &pending {
            let own: Vec<_> = refusals.by_ref().take(pending.messages.len()).collect();
            let Some(refusal) = own.into_iter().flatten().next() else {
                continue;
            };
            if let Err(error) = self.place.settle(pending.step.1, refusal) {
                self.failures.push((pending.step.0, error));
            }
        }
    }

    /// Removes links of ours; several at once by their group, since for each one alone the kernel
    /// waits tens of milliseconds.
    fn remove_links(&mut self, steps: &[Step]) {
        let names: Vec<&InterfaceName> = steps
            .iter()
            .filter_map(|(_, change)| removed_link(change))
            .collect();
        let texts: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
        let found = match reading::look_at(&self.place.channel, &texts) {
            Ok(found) => found,
            Err(error) => return self.failures.push((steps[0].0, error)),
        };
        let mut ours = Vec::new();
        for (((index, _), name), found) in steps.iter().zip(names).zip(found) {
            match found {
                Some(found) if found.bears(self.place.kernel.marks()) => ours.push((*index, name)),
                Some(_) => self.failures.push((*index, not_ours(name))),
                None => {}
            }
        }
        let names: Vec<&InterfaceName> = ours.iter().map(|(_, name)| *name).collect();
        let messages = match names.as_slice() {
            [] => return,
            [name] => vec![link::delete(name)],
            names => link::delete_together(self.place.kernel.marks(), names),
        };
        if let Err(error) = self.place.send("links delete", &messages)
            && !is_absence(&error)
        {
            self.failures.push((ours[0].0, error));
        }
    }
}

fn not_ours(name: &InterfaceName) -> io::Error {
    explained(
        libc::EPERM,
        format!("the link {name} is not one that Sealane made"),
    )
}

fn removed_link(change: &Change) -> Option<&InterfaceName> {
    match change {
        Change::Delete(Key::Link(_, name), _) => Some(name),
        Change::Delete(..) | Change::Create(..) | Change::Alter(..) | Change::Replace(..) => None,
    }
}

fn is_link_removal(change: &Change) -> bool {
    removed_link(change).is_some()
}
