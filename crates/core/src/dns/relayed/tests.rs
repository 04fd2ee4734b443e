//! What goes out and comes in, read by hickory-proto.

use super::*;
use crate::dns::{Letters, address_query};
use crate::model::IpFamily;
use hickory_proto::op::{Edns, Message, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record};
use proptest::prelude::*;

/// A query for an address, with EDNS of this payload.
fn query(id: u16, name: &str, payload: Option<u16>) -> Vec<u8> {
    let mut message = Message::from_vec(&address_query(id, name, IpFamily::V4).unwrap()).unwrap();
    if let Some(payload) = payload {
        let mut edns = Edns::new();
        edns.set_max_payload(payload);
        message.set_edns(edns);
    }
    message.to_vec().unwrap()
}

/// A reply to what went out, with so many addresses.
fn reply_to(outgoing: &[u8], addresses: u8) -> Vec<u8> {
    let mut message = Message::from_vec(outgoing).unwrap();
    message.metadata.message_type = hickory_proto::op::MessageType::Response;
    for last in 0..addresses {
        let address = RData::A(A([192, 0, 2, last].into()));
        let name = Name::from_ascii("other.test.").unwrap();
        message.add_answer(Record::from_rdata(name, 60, address));
    }
    message.to_vec().unwrap()
}

#[test]
fn a_query_goes_out_without_what_concerns_the_client_alone() {
    let mut asked = query(7, "a.Test", Some(4096));
    asked[3] |= 0x40; // a bit that must be zero
    let length = asked.len();
    asked[length - 2..].copy_from_slice(&[0, 12]); // a cookie in the EDNS record
    asked.extend([0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
    let asked = Query::parse(&asked).unwrap();
    let sent = outgoing(&asked, 99, &Letters::Small.write(&asked, &[0; 32]));
    let sent = Message::from_vec(&sent).unwrap();
    assert_eq!(sent.metadata.id, 99);
    assert!(sent.metadata.recursion_desired);
    assert_eq!(sent.queries[0].name().to_string(), "a.test.");
    let edns = sent.edns.unwrap();
    assert_eq!(
        (edns.max_payload(), edns.options().as_ref().len()),
        (1232, 0)
    );
}

#[test]
fn a_query_with_more_in_it_goes_out_as_it_is() {
    let mut signed = query(7, "a.Test", None);
    signed[11] = 1; // additional: a signature, nearly
    signed.extend([0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 0]);
    let asked = Query::parse(&signed).unwrap();
    assert!(!asked.is_plain());
    let sent = outgoing(&asked, 99, asked.question());
    assert_eq!((&sent[..2], &sent[2..]), (&[0, 99][..], &signed[2..]));
}

#[test]
fn one_reply_serves_clients_of_every_kind() {
    let first = query(7, "a.test", Some(1232));
    let first = Query::parse(&first).unwrap();
    let sent = outgoing(&first, 99, &Letters::Mixed.write(&first, &[0x55; 32]));
    let mut reply = reply_to(&sent, 30);
    reply[3] |= 0x20; // authentic
    let reply = Reply::parse(&reply).unwrap();
    for (payload, transport, cut) in [
        (None, Transport::Udp, true),
        (None, Transport::Tcp, false),
        (Some(512), Transport::Udp, true),
        (Some(4096), Transport::Udp, false),
    ] {
        let asked = query(8, "A.test", payload);
        let given = incoming(&reply, &Query::parse(&asked).unwrap(), transport);
        let given = Message::from_vec(&given).unwrap();
        assert_eq!(given.metadata.id, 8);
        assert_eq!(given.queries[0].name().to_string(), "A.test.");
        assert_eq!(given.metadata.truncation, cut, "{payload:?}");
        assert_eq!(given.answers.len(), if cut { 0 } else { 30 });
        assert_eq!(given.edns.is_some(), payload.is_some() && !cut);
        assert!(!given.metadata.authentic_data, "it was not asked for");
    }
    let plain = query(9, "a.test", None);
    let plain = Query::parse(&plain).unwrap();
    let without = reply_to(&outgoing(&plain, 1, plain.question()), 1);
    let given = incoming(&Reply::parse(&without).unwrap(), &first, Transport::Udp);
    let given = Message::from_vec(&given).unwrap();
    assert!(given.edns.is_some() && given.metadata.response_code == ResponseCode::NoError);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn whatever_an_upstream_says_is_addressed_to_the_client_and_short_enough(
        tail in prop::collection::vec(any::<u8>(), 0..900),
        flags in any::<[u8; 10]>(),
        payload in prop::option::of(0_u16..2_000),
    ) {
        let asked = query(0x1234, "a.test", payload);
        let asked = Query::parse(&asked).unwrap();
        let mut bytes = [&[9, 9][..], &flags, asked.question(), &tail].concat();
        bytes[2] |= 0x80;
        bytes[4..6].copy_from_slice(&[0, 1]);
        let reply = Reply::parse(&bytes).unwrap();
        let given = incoming(&reply, &asked, Transport::Udp);
        prop_assert!(given.len() <= asked.udp_payload());
        prop_assert_eq!(&given[..2], &[0x12, 0x34]);
        prop_assert_eq!(Reply::parse(&given).unwrap().answers(asked.question()), true);
    }
}
