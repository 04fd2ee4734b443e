//! The points of the host where rules are asked, and the connection that it tracks.

use super::{Connection, Lost, Walk, lost};
use crate::explain::packet::Transport;
use crate::explain::report::{Hop, HopKind, Verdict};
use crate::explain::ruleset::{Decision, Deed, Passing, Step};
use crate::explain::why;
use crate::model::{Mac, SandboxId};
use crate::nft::HookPoint;
use crate::scopes::USER_TABLE;
use std::net::IpAddr;
use std::ops::RangeBounds;

/// Chains of a lower priority see packets before connections are tracked
/// (linux/netfilter_ipv4.h, `NF_IP_PRI_CONNTRACK`).
const TRACKING: i32 = -200;

impl Walk<'_, '_> {
    pub(super) fn bridge_filter(&self) -> bool {
        self.scene.world.facts.bridge_filter[self.packet.family()]
    }

    pub(super) fn filter_forward(&mut self, input: &str, output: &str) -> Result<(), Lost> {
        self.hook(HookPoint::Forward, input, output)?;
        self.foreign(HookPoint::Forward, &[input, output]);
        Ok(())
    }

    /// The last hook, where the source may be translated.
    pub(super) fn leaving(
        &mut self,
        input: &str,
        output: &str,
        next_hop: IpAddr,
    ) -> Result<(), Lost> {
        let decisions = self.hook(HookPoint::Postrouting, input, output)?;
        self.restore_source();
        let mut masquerades = decisions
            .into_iter()
            .filter(|decision| decision.deed == Deed::Masquerade);
        let Some(masquerade) = masquerades.next() else {
            return Ok(());
        };
        let Some(address) = self.scene.host().leaving_by(output, next_hop) else {
            let text = format!("{output} has no address to masquerade with");
            return lost(Verdict::Dropped, text);
        };
        self.packet.source.set_ip(address);
        self.track();
        let text = format!("it leaves with the host's source {address}");
        self.tell_rules(HopKind::Masquerade, text, masquerade.steps);
        Ok(())
    }

    /// Takes the packet through our chains at one point of the host.
    pub(super) fn hook(
        &mut self,
        point: HookPoint,
        input: &str,
        output: &str,
    ) -> Result<Vec<Decision>, Lost> {
        self.users_rules(point);
        let mut decisions = self.consult(point, ..TRACKING, input, output)?;
        if matches!(point, HookPoint::Prerouting | HookPoint::Output) {
            if self.answering {
                self.recognize();
            } else {
                self.connection.get_or_insert(Connection {
                    first: self.packet,
                    changed: self.packet,
                });
            }
        }
        decisions.extend(self.consult(point, TRACKING.., input, output)?);
        Ok(decisions)
    }

    /// Rules of the user's own, which come before ours and are not read.
    fn users_rules(&mut self, point: HookPoint) {
        let scene = self.scene;
        let Some(rules) = scene.user_rules.as_ref().filter(|_| !self.answering) else {
            return;
        };
        for chain in rules.user_chains(point) {
            let mut counts = scene.world.facts.user_rules.iter();
            let Some((name, count)) = counts.find(|(name, _)| *name == chain.name) else {
                continue;
            };
            self.depends
                .get_or_insert_with(|| format!("inet {USER_TABLE} {name}"));
            let text = format!("chain inet {USER_TABLE} {name} has rules of your own ({count})");
            self.tell(HopKind::Foreign, None, text);
        }
    }

    /// Asks our chains of some priorities.
    pub(super) fn consult(
        &mut self,
        point: HookPoint,
        priorities: impl RangeBounds<i32>,
        input: &str,
        output: &str,
    ) -> Result<Vec<Decision>, Lost> {
        let Some(rules) = &self.scene.rules else {
            return Ok(vec![]);
        };
        let known = self.recognized || !self.answering;
        let translated = self.connection.is_some_and(|connection| {
            known && connection.first.destination != connection.changed.destination
        });
        let of_another_owner = |link| self.scene.world.facts.other_owners.contains(link);
        let passing = Passing {
            input,
            output,
            established: self.recognized,
            invalid: self.is_invalid(),
            routed_back: self
                .scene
                .host()
                .routes_back(self.packet.source.ip(), input),
            towards: self.towards(input),
            by_network_bridge: self.is_network_bridge(input),
            translated,
            of_another_owner: (of_another_owner(input), of_another_owner(output)),
            to_host: self.scene.host().is_local(self.packet.destination.ip()),
        };
        let decisions = rules.pass(point, priorities, &mut self.packet, passing);
        self.track();
        for decision in &decisions {
            self.tell_decision(decision, input, output)?;
        }
        Ok(decisions)
    }

    /// An answer to what the host has not seen. Of the protocols only UDP has no other way to begin.
    fn is_invalid(&self) -> bool {
        self.answering && !self.recognized && self.packet.transport != Transport::Udp
    }

    /// Whether a link is the bridge that was made for a network.
    fn is_network_bridge(&self, link: &str) -> bool {
        let network = self.scene.network(link);
        network.is_some_and(|network| {
            let device = network.settings().device();
            network.users_device.is_none() && device.is_some_and(|device| device.as_str() == link)
        })
    }

    /// The hardware address of the bridge that hands the packet to the host.
    fn towards(&self, input: &str) -> Option<Mac> {
        let network = self.scene.network(input).filter(|_| !self.bridged)?;
        Some(Mac::from_id(&network.id))
    }

    pub(super) fn tell_decision(
        &mut self,
        decision: &Decision,
        input: &str,
        output: &str,
    ) -> Result<(), Lost> {
        let steps = decision.steps.clone();
        match decision.deed {
            Deed::Accept => self.tell_rules(HopKind::Firewall, "it may pass".into(), steps),
            Deed::Drop => {
                let reason = why::dropped(self.scene, &self.packet, input, output, &steps);
                // An answer that ends here is reported, too.
                self.add_hop(HopKind::Firewall, format!("dropped: {reason}"), steps);
                return lost(Verdict::Dropped, reason);
            }
            Deed::Translate(to) => {
                let text = format!("a published port: it goes on to {to}");
                self.tell_rules(HopKind::Translation, text, steps);
            }
            Deed::Source(source) => {
                let text = format!("it leaves with the source {source}");
                self.tell_rules(HopKind::Masquerade, text, steps);
            }
            // The source is chosen where the outgoing link is known.
            Deed::Masquerade | Deed::SetPort => {}
        }
        Ok(())
    }

    /// Notes what the connection looks like now.
    pub(super) fn track(&mut self) {
        if let Some(connection) = &mut self.connection
            && !self.answering
        {
            connection.changed = self.packet;
        }
    }

    /// Recognizes the answer of the tracked connection, and gives it back its destination.
    pub(super) fn recognize(&mut self) {
        let expected = |connection: &Connection| connection.changed.answer() == self.packet;
        if let Some(connection) = self.connection.filter(expected) {
            self.recognized = true;
            self.packet.destination = connection.first.source;
        }
    }

    /// Gives a recognized answer back the source that its receiver waits for.
    pub(super) fn restore_source(&mut self) {
        if let Some(connection) = self.connection
            && self.recognized
        {
            self.packet.source = connection.first.destination;
        }
    }

    /// Chains of others that drop what they do not know.
    pub(super) fn foreign(&mut self, point: HookPoint, links: &[&str]) {
        let scene = self.scene;
        let family = self.packet.family();
        let chains = scene.world.facts.foreign.iter();
        for chain in chains.filter(|chain| chain.point == point && chain.sees(family)) {
            let name = chain.name();
            let passage = chain.table == "filter"
                && chain.chain == "FORWARD"
                && links.iter().any(|link| scene.has_passage(link, family));
            let text = if passage {
                format!("chain {name}, not ours, drops by policy; our jump in it lets it pass")
            } else {
                self.depends.get_or_insert_with(|| name.clone());
                format!("chain {name}, not ours, drops by policy what none of its rules accepts")
            };
            self.tell(HopKind::Foreign, None, text);
        }
    }

    pub(super) fn tell(&mut self, kind: HopKind, place: Option<SandboxId>, text: String) {
        if !self.answering {
            self.hops.push(Hop {
                kind,
                place: self.scene.place(place),
                text,
                rules: vec![],
            });
        }
    }

    pub(super) fn tell_rules(&mut self, kind: HopKind, text: String, rules: Vec<Step>) {
        // Answers are reported only where they end.
        if !self.answering {
            self.add_hop(kind, text, rules);
        }
    }

    fn add_hop(&mut self, kind: HopKind, text: String, rules: Vec<Step>) {
        self.hops.push(Hop {
            kind,
            place: "host".into(),
            text,
            rules,
        });
    }
}
