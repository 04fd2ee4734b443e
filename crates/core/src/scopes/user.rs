//! The table of the host in which the user's own rules are.
//!
//! It is a table of its own, since no other process can change one that is owned. Its chains stand
//! before ours at the same points: what they drop is dropped, what they translate first is
//! translated so; and what they accept by way of [`ACCEPT`] is accepted whatever ours would say.

use crate::model::Mark;
use crate::nft::{
    Chain, ChainKind, Family, Hook, HookPoint, Rule, Statement, Table, TableName, Verdict,
};

/// The name of the table, of family inet.
pub const USER_TABLE: &str = "sealane-user";

/// The chain that a rule of the user's goes to for what shall pass whatever ours say.
const ACCEPT: &str = "sealane-user-accept";

/// What distinguishes packets that came by it.
pub(super) const ACCEPTED: Mark = Mark {
    value: 0x005e_a1ac,
    mask: u32::MAX,
};

/// The table as it is made; afterwards its rules are the user's.
pub fn user_table() -> Table {
    let points = [
        ("prerouting", ChainKind::Nat, HookPoint::Prerouting, -101),
        ("forward", ChainKind::Filter, HookPoint::Forward, -1),
        ("postrouting", ChainKind::Nat, HookPoint::Postrouting, 99),
    ];
    let mut chains = vec![accept()];
    chains.extend(points.map(|(name, kind, point, priority)| Chain {
        name: format!("sealane-user-{name}"),
        hook: Some(Hook {
            kind,
            point,
            priority,
        }),
        rules: vec![],
        user: true,
    }));
    Table {
        family: Family::Inet,
        name: TableName::from(USER_TABLE),
        owned: false,
        sets: vec![],
        chains,
    }
}

fn accept() -> Chain {
    let rule = Rule {
        matches: vec![],
        statements: vec![
            Statement::SetMark(ACCEPTED.value),
            Statement::Verdict(Verdict::Accept),
        ],
        comment: "let pass what Sealane would drop".into(),
    };
    Chain {
        name: ACCEPT.into(),
        hook: None,
        rules: vec![rule],
        user: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn it_is_empty_but_for_the_way_to_accept() {
        expect![[r#"
            table inet sealane-user {
            	chain sealane-user-accept {
            		meta mark set 0x005ea1ac accept comment "let pass what Sealane would drop"
            	}

            	chain sealane-user-prerouting {
            		type nat hook prerouting priority dstnat - 1; policy accept;
            	}

            	chain sealane-user-forward {
            		type filter hook forward priority filter - 1; policy accept;
            	}

            	chain sealane-user-postrouting {
            		type nat hook postrouting priority srcnat - 1; policy accept;
            	}
            }
        "#]]
        .assert_eq(&user_table().to_string());
    }
}
