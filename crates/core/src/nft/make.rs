//! Short ways to say what most rules and chains are.

use super::{Chain, Field, Match, Rule, Statement, Verdict};
use ipnet::Ipv4Net;
use std::net::Ipv4Addr;

impl Chain {
    /// A chain that others lead to.
    pub fn new(name: &str, rules: impl IntoIterator<Item = Rule>) -> Self {
        Self {
            name: name.into(),
            hook: None,
            rules: rules.into_iter().collect(),
            user: false,
        }
    }
}

impl Rule {
    /// A rule that decides.
    pub fn new(comment: &str, matches: Vec<Match>, verdict: Verdict) -> Self {
        Self {
            matches,
            statements: vec![Statement::Verdict(verdict)],
            comment: comment.into(),
        }
    }

    /// A rule by which a map decides, by these fields.
    pub fn look_up(comment: &str, fields: &[Field], map: &str) -> Self {
        Self {
            matches: vec![],
            statements: vec![Statement::VerdictMap(fields.to_vec(), map.into())],
            comment: comment.into(),
        }
    }
}

impl Match {
    /// An address that never leaves a host (RFC 1122, 3.2.1.3).
    pub fn loopback(field: Field) -> Self {
        let net = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
        Self::Within(field, net.into())
    }
}
