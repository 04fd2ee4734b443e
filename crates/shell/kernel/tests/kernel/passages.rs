//! Passages through the tables of iptables.

use crate::support::*;
use sealane_core::model::IpFamily;
use sealane_core::nft::Family;
use sealane_core::plan::{Key, Object};
use sealane_kernel::read::{ForeignChain, Observe};
use sealane_kernel::write::Write;

fn passage(bridge: &str, family: IpFamily) -> (Key, Object) {
    (Key::Passage(name(bridge), family), Object::Present)
}

fn saved(tool: &str) -> Vec<String> {
    run(tool, &["-S"]).lines().map(str::to_string).collect()
}

#[test]
fn a_passage_is_two_accepts_behind_a_jump_at_the_head() {
    private(|kernel| {
        for (tool, family) in [("iptables", IpFamily::V4), ("ip6tables", IpFamily::V6)] {
            run(tool, &["-P", "FORWARD", "DROP"]);
            run(tool, &["-A", "FORWARD", "-i", "lo", "-j", "ACCEPT"]);
            for _ in 0..2 {
                make(
                    kernel,
                    vec![passage("br0", family), passage("br-0123456789ab", family)],
                );
            }
            let expected = [
                "-P INPUT ACCEPT",
                "-P FORWARD DROP",
                "-P OUTPUT ACCEPT",
                "-N SEALANE-FORWARD",
                "-A FORWARD -j SEALANE-FORWARD",
                "-A FORWARD -i lo -j ACCEPT",
                "-A SEALANE-FORWARD -i br0 -j ACCEPT",
                "-A SEALANE-FORWARD -o br0 -j ACCEPT",
                "-A SEALANE-FORWARD -i br-0123456789ab -j ACCEPT",
                "-A SEALANE-FORWARD -o br-0123456789ab -j ACCEPT",
            ];
            assert_eq!(saved(tool), expected);
            let listed = run(tool, &["-vnL", "FORWARD"]);
            assert!(listed.contains("SEALANE-FORWARD"), "{listed}");
        }
    });
}

#[test]
fn the_last_passage_takes_everything_of_ours_along() {
    private(|kernel| {
        run("iptables", &["-P", "FORWARD", "DROP"]);
        run("iptables", &["-A", "FORWARD", "-i", "lo", "-j", "ACCEPT"]);
        let before = saved("iptables");
        let both = vec![passage("br0", IpFamily::V4), passage("br1", IpFamily::V4)];
        make(kernel, both.clone());
        kernel.write(&removals(both[..1].to_vec())).unwrap();
        assert!(saved("iptables").contains(&"-A SEALANE-FORWARD -o br1 -j ACCEPT".into()));
        assert!(differing(kernel, &both[1..]).is_empty());
        assert_eq!(differing(kernel, &both[..1]).len(), 1);
        for _ in 0..2 {
            kernel.write(&removals(both.clone())).unwrap();
            assert_eq!(saved("iptables"), before);
        }
    });
}

#[test]
fn without_iptables_there_is_nothing_to_pass() {
    private(|kernel| {
        make(
            kernel,
            vec![passage("br0", IpFamily::V4), passage("br0", IpFamily::V6)],
        );
        assert_eq!(run("nft", &["list", "ruleset"]), "");
        assert!(differing(kernel, &[passage("br0", IpFamily::V4)]).is_empty());
        kernel
            .write(&removals(vec![passage("br0", IpFamily::V4)]))
            .unwrap();
    });
}

#[test]
fn what_a_flush_took_away_is_seen_and_mended() {
    private(|kernel| {
        run("iptables", &["-P", "FORWARD", "DROP"]);
        let both = [passage("br0", IpFamily::V4), passage("br1", IpFamily::V4)];
        make(kernel, both.to_vec());
        let whole = saved("iptables");
        for flush in [
            &["-F"][..],
            &["-F", "FORWARD"],
            &["-D", "SEALANE-FORWARD", "1"],
        ] {
            run("iptables", flush);
            assert!(!differing(kernel, &both).is_empty());
            make(kernel, both.to_vec());
            let (mut mended, mut whole) = (saved("iptables"), whole.clone());
            mended.sort();
            whole.sort();
            assert_eq!(mended, whole);
        }
    });
}

#[test]
fn passages_are_ours_in_a_sweep() {
    private(|kernel| {
        run("iptables", &["-P", "FORWARD", "DROP"]);
        let both = vec![passage("br0", IpFamily::V4), passage("br1", IpFamily::V4)];
        make(kernel, both.clone());
        assert_eq!(kernel.owned().unwrap(), both);
    });
}

#[test]
fn chains_that_drop_are_facts() {
    private(|kernel| {
        let facts = kernel.facts().unwrap();
        assert!(!facts.ipv4_forward_drops && !facts.ipv6_forward_drops);
        run("iptables", &["-P", "FORWARD", "DROP"]);
        run("nft", &["add table inet theirs"]);
        let chain = "add chain inet theirs in { type filter hook input priority 0; policy drop; }";
        run("nft", &[chain]);
        make(kernel, vec![passage("br0", IpFamily::V4)]);
        let chain = |family, table: &str, chain: &str| ForeignChain {
            family,
            table: table.into(),
            chain: chain.into(),
            policy_drop: true,
        };
        let mut found = kernel.dropping_forward_chains().unwrap();
        found.sort_by(|one, other| one.table.cmp(&other.table));
        let expected = [
            chain(Family::Ip, "filter", "FORWARD"),
            chain(Family::Inet, "theirs", "in"),
        ];
        assert_eq!(found, expected);
        let facts = kernel.facts().unwrap();
        assert!(facts.ipv4_forward_drops && !facts.ipv6_forward_drops);
    });
}
