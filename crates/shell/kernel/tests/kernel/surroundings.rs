//! What explanations read of the host: routes, switches, chains of others, sockets.

use crate::support::{private, run};
use sealane_core::explain::ForeignFilter;
use sealane_core::model::Protocol;
use sealane_core::nft::{Family, HookPoint};
use sealane_core::plan::Netns;
use std::net::{TcpListener, UdpSocket};

#[test]
fn routes_are_read_with_their_source_and_metric() {
    private(|kernel| {
        for line in [
            "link add up0 type bridge",
            "link set up0 up",
            "address add 192.0.2.1/24 dev up0",
            "route add 198.51.100.0/24 via 192.0.2.9 metric 7 src 192.0.2.1",
        ] {
            run("ip", &line.split(' ').collect::<Vec<_>>());
        }
        let facts = kernel.host_facts().unwrap();
        let to = "198.51.100.0/24".parse().unwrap();
        let route = facts.routes.iter().find(|route| route.to == to).unwrap();
        assert_eq!(route.via, Some("192.0.2.9".parse().unwrap()));
        assert_eq!(route.source, Some("192.0.2.1".parse().unwrap()));
        assert_eq!((route.link.as_str(), route.metric), ("up0", 7));
        let own = ("up0".to_owned(), "192.0.2.1/24".parse().unwrap());
        assert!(facts.addresses.contains(&own));
    });
}

#[test]
fn a_foreign_chain_is_read_with_its_place() {
    private(|kernel| {
        run("nft", &["add table inet theirs"]);
        for (chain, hook, policy) in [
            ("in", "input", "drop"),
            ("through", "forward", "drop"),
            ("lenient", "forward", "accept"),
        ] {
            let text = format!(
                "add chain inet theirs {chain} {{ type filter hook {hook} priority 0; policy {policy}; }}"
            );
            run("nft", &[&text]);
        }
        let mut found = kernel.host_facts().unwrap().foreign;
        found.sort_by(|a, b| a.chain.cmp(&b.chain));
        let chain = |chain: &str, point| ForeignFilter {
            family: Family::Inet,
            table: "theirs".into(),
            chain: chain.into(),
            point,
        };
        let expected = [
            chain("in", HookPoint::Input),
            chain("through", HookPoint::Forward),
        ];
        assert_eq!(found, expected);
    });
}

#[test]
fn rules_of_the_user_are_counted() {
    private(|kernel| {
        assert_eq!(kernel.host_facts().unwrap().user_rules, []);
        run("nft", &["add table inet sealane-user"]);
        run("nft", &["add chain inet sealane-user sealane-user-forward"]);
        run(
            "nft",
            &["add rule inet sealane-user sealane-user-forward drop"],
        );
        let counted = [("sealane-user-forward".to_owned(), 1)];
        assert_eq!(kernel.host_facts().unwrap().user_rules, counted);
    });
}

#[test]
fn what_listens_is_told_by_address_and_family() {
    private(|kernel| {
        run("ip", &["link", "set", "lo", "up"]);
        let _one = TcpListener::bind("127.0.0.1:80").unwrap();
        let _both = TcpListener::bind("[::]:81").unwrap();
        let _udp = UdpSocket::bind("0.0.0.0:53").unwrap();
        let listens = |protocol, to: &str| {
            let to = to.parse().unwrap();
            kernel.listens(Netns::Host, protocol, to).unwrap()
        };
        assert!(listens(Protocol::Tcp, "127.0.0.1:80"));
        assert!(!listens(Protocol::Tcp, "127.0.0.2:80"));
        assert!(!listens(Protocol::Udp, "127.0.0.1:80"));
        assert!(listens(Protocol::Tcp, "127.0.0.1:81"));
        assert!(listens(Protocol::Tcp, "[::1]:81"));
        assert!(listens(Protocol::Udp, "127.0.0.1:53"));
        assert!(!listens(Protocol::Udp, "[::1]:53"));
        assert!(!listens(Protocol::Sctp, "127.0.0.1:53"));
    });
}

#[test]
fn a_socket_for_ipv6_alone_takes_no_ipv4() {
    private(|kernel| {
        run("sysctl", &["-qw", "net.ipv6.bindv6only=1"]);
        let _six = TcpListener::bind("[::]:80").unwrap();
        let listens = |to: &str| {
            let to = to.parse().unwrap();
            kernel.listens(Netns::Host, Protocol::Tcp, to).unwrap()
        };
        assert!(listens("[::1]:80"));
        assert!(!listens("127.0.0.1:80"));
    });
}
