//! The witnesses themselves, without Sealane: what they see is really there.

use sealane_conformance::*;
use std::net::Ipv4Addr;

#[test]
fn name_servers_answer_as_they_are_told() {
    let lab = Lab::new();
    let real = name_server(lab.peer(), lan::PEER);
    let host = lab.host(0);
    let ask = |options: &str| host.sh(&format!("dig +tries=1 +time=1 {options}")).stdout;
    assert_eq!(ask("+short www.up.test"), "192.0.2.1\n");
    assert_eq!(ask("+short TXT note.test"), "\"hello\"\n");
    assert_eq!(ask("+short TXT text.test").lines().count(), 12);
    assert!(ask("+noedns +ignore TXT text.test").contains(" tc "));
    assert!(ask("missing.test").contains("NXDOMAIN"));
    assert!(
        real.output().contains("query[A] www.up.test"),
        "{}",
        real.output()
    );
    lab.peer().sh("ip address add 10.99.0.101/24 dev eth0").ok();
    for (manner, said) in [
        (Manner::Address(9), "192.0.2.9"),
        (Manner::Code(2), "SERVFAIL"),
        (Manner::Code(3), "NXDOMAIN"),
        (Manner::Missing, "SOA"),
        (Manner::Code(5), "REFUSED"),
        (Manner::Silent, "no servers could be reached"),
    ] {
        let server = Upstream::start(lab.peer(), "10.99.0.101", manner);
        let answer = ask("@10.99.0.101 name.example");
        assert!(answer.contains(said), "{manner:?}: {answer}");
        assert_eq!(server.queries(), 1);
    }
}

#[test]
fn packets_to_127_0_0_1_do_arrive_by_cable() {
    let lab = Lab::new();
    let _server = lab
        .host(0)
        .spawn("exec busybox nc -ll -p 8080 -e echo taken");
    to_loopback_by_cable(&lab);
    let seen = Capture::start(lab.host(0), "eth0", "dst host 127.0.0.1");
    // Without a guard the host even answers, which is what makes the guard's test a test.
    let taken = eventually(SOON, || {
        let outcome = lab
            .peer()
            .sh("timeout 2 bash -c 'cat </dev/tcp/127.0.0.1/8080'");
        outcome.succeeded().then_some(outcome.stdout)
    });
    assert_eq!(taken, "taken\n");
    assert!(!seen.stop().is_empty());
}

#[test]
fn an_sctp_packet_of_our_making_passes_a_translation() {
    let lab = Lab::with_hosts(2);
    let middle = lab.host(0);
    middle.sysctl("ipv4/ip_forward", "1");
    middle
        .sh("nft 'table ip t { chain c { type nat hook prerouting priority dstnat; sctp dport 9000 dnat to 10.99.0.2:9001; }; }'")
        .ok();
    let capture = Capture::start(lab.host(1), "eth0", "ip proto 132");
    let packet = sctp_init(40000, 9000);
    lab.peer()
        .in_netns(|| send_raw(132, Ipv4Addr::new(10, 99, 0, 1), &packet));
    let seen = eventually(SOON, || capture.packets().first().cloned());
    assert!(
        seen.contains("10.99.0.100.40000 > 10.99.0.2.9001: sctp"),
        "{seen}"
    );
}

#[test]
fn a_conversation_notices_a_break() {
    let lab = Lab::new();
    let listener = lab
        .host(0)
        .in_netns(|| std::net::TcpListener::bind("0.0.0.0:7000"))
        .expect("free");
    let talk = Conversation::between(listener, lab.peer(), "10.99.0.1:7000");
    eventually(SOON, || (talk.rounds() > 10).then_some(()));
    lab.host(0).sh("nft 'table ip t { chain c { type filter hook input priority 0; tcp dport 7000 reject with tcp reset; }; }'").ok();
    // The next round meets the rule.
    eventually(SOON, || {
        let rounds = talk.rounds();
        std::thread::sleep(Duration::from_millis(200));
        (talk.rounds() == rounds).then_some(())
    });
    talk.finish().expect_err("it was reset");
}
