//! The answer: whether a packet passes, and what decided it, in the order it happened.

use super::packet::Transport;
use super::ruleset::Step;
use serde::Serialize;
use std::net::{IpAddr, SocketAddr};

/// Whether a packet passes, and if not, why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It arrives, and its answer comes back.
    Passes,
    /// It arrives where nothing receives it.
    NothingListens,
    /// A filter ends it.
    Dropped,
    /// There is no way there.
    NoRoute,
    /// The address is unassigned.
    NobodyThere,
    /// The name stands for nothing.
    NoSuchName,
    /// It arrives, and its answer does not come back.
    NoAnswer,
    /// A firewall that is not ours decides.
    Depends,
}

impl Verdict {
    /// The verdict in a sentence: `web to db:80/tcp PASSES`.
    pub fn words(self) -> &'static str {
        match self {
            Self::Passes => "passes",
            Self::NothingListens => "is refused: nothing listens",
            Self::Dropped => "is dropped",
            Self::NoRoute => "has no route",
            Self::NobodyThere => "reaches nobody",
            Self::NoSuchName => "has no such name",
            Self::NoAnswer => "gets no answer",
            Self::Depends => "depends on another firewall",
        }
    }
}

/// What part of the network a hop belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HopKind {
    /// What a name stands for.
    Name,
    /// A choice of route.
    Route,
    /// From one port of a bridge to another, or to the host.
    Bridge,
    /// Another destination.
    Translation,
    /// A verdict of our firewall.
    Firewall,
    /// A firewall that is not ours.
    Foreign,
    /// Another source.
    Masquerade,
    /// The daemon carries it on itself.
    Relay,
    /// Where it arrives, and whether something receives it.
    Delivery,
    /// What becomes of the answer.
    Answer,
}

impl HopKind {
    /// The word that a line begins with.
    pub fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Route => "route",
            Self::Bridge => "bridge",
            Self::Translation => "translation",
            Self::Firewall => "firewall",
            Self::Foreign => "foreign",
            Self::Masquerade => "masquerade",
            Self::Relay => "relay",
            Self::Delivery => "delivery",
            Self::Answer => "answer",
        }
    }
}

/// One thing that had a say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// What kind of thing.
    pub kind: HopKind,
    /// Where: a container's name, `host` or `outside`.
    pub place: String,
    /// What happened there.
    pub text: String,
    /// The rules of table `inet sealane` that did it; the last one decided.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Step>,
}

/// Where a packet arrives, and how it looks then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Arrival {
    /// A container's name, `host` or `outside`.
    pub place: String,
    /// The source that is seen there.
    pub source: IpAddr,
    /// Where it is received.
    pub destination: SocketAddr,
}

/// What becomes of a packet to one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Path {
    /// Whether a program that follows RFC 6724 tries this address first.
    pub first: bool,
    /// Where it comes from; `None` if there is no way to send it.
    pub source: Option<IpAddr>,
    /// Where it is sent.
    pub destination: String,
    /// Whether it passes.
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub reason: String,
    /// Where it arrives, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrives: Option<Arrival>,
    /// What decided, in order.
    pub hops: Vec<Hop>,
}

/// The whole answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Who sends.
    pub from: String,
    /// To whom, as asked.
    pub to: String,
    /// What it carries.
    pub protocol: Transport,
    /// The verdict on the address that is tried first.
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub reason: String,
    /// What the name stands for.
    pub names: Vec<Hop>,
    /// One for each address, in the order they are tried.
    pub paths: Vec<Path>,
    /// What containers at its ends have changed inside, a sentence each: the rest does not know of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
}
