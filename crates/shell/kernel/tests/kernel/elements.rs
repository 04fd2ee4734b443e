//! Elements of sets and maps of every type.

use crate::support::*;
use sealane_core::model::IpFamily;
use sealane_core::model::Protocol::{Sctp, Tcp, Udp};
use sealane_core::nft::*;
use sealane_core::plan::{Change, Key, Netns, Object, SetId};
use sealane_kernel::Kernel;
use sealane_kernel::read::Observe;
use sealane_kernel::write::Write;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);

/// An element's key and data.
type Element = (Vec<Datum>, Data);

/// A set of every type, and two elements of it; in maps, with data.
fn samples() -> Vec<(Set, [Element; 2])> {
    use DataType as Type;
    let eth = |text| Datum::Interface(name(text));
    let socket4 = |port| Data::Socket(IpAddr::V4(V4), port);
    let socket6 = |port| Data::Socket(IpAddr::V6(V6), port);
    let plain = |key: &[Type], one: Vec<Datum>, two: Vec<Datum>| {
        (
            key.to_vec(),
            vec![],
            false,
            [(one, Data::None), (two, Data::None)],
        )
    };
    let jump = Data::Verdict(Verdict::Jump("plain".into()));
    let drop = Data::Verdict(Verdict::Drop);
    let ranges = [
        (
            vec![Datum::Protocol(Tcp), Datum::Ports(7000, 7010)],
            Data::Address(IpAddr::V4(V4)),
        ),
        (
            vec![Datum::Protocol(Udp), Datum::Ports(80, 65535)],
            Data::Address(IpAddr::V4(V4)),
        ),
    ];
    let ranges6 = [
        (
            vec![Datum::Protocol(Tcp), Datum::Ports(1, 2)],
            Data::Address(IpAddr::V6(V6)),
        ),
        (
            vec![Datum::Protocol(Sctp), Datum::Ports(1, 2)],
            Data::Address(IpAddr::V6(V6)),
        ),
    ];
    let hash4 = [
        (
            vec![Datum::Protocol(Tcp), Datum::Ipv4(V4), Datum::Port(80)],
            socket4(8080),
        ),
        (
            vec![Datum::Protocol(Udp), Datum::Ipv4(V4), Datum::Port(80)],
            socket4(8081),
        ),
    ];
    let hash6 = [
        (
            vec![Datum::Protocol(Tcp), Datum::Ipv6(V6), Datum::Port(80)],
            socket6(8080),
        ),
        (
            vec![Datum::Protocol(Udp), Datum::Ipv6(V6), Datum::Port(80)],
            socket6(8081),
        ),
    ];
    let families = [
        (vec![Datum::NfProto(IpFamily::V4)], drop.clone()),
        (
            vec![Datum::NfProto(IpFamily::V6)],
            Data::Verdict(Verdict::Return),
        ),
    ];
    let pairs = [
        (vec![eth("eth0"), eth("br-0123456789ab")], drop),
        (vec![eth("br0"), eth("eth0")], jump),
    ];
    let all = vec![
        plain(
            &[Type::Ipv4],
            vec![Datum::Ipv4(V4)],
            vec![Datum::Ipv4(Ipv4Addr::LOCALHOST)],
        ),
        plain(
            &[Type::Ipv6],
            vec![Datum::Ipv6(V6)],
            vec![Datum::Ipv6(Ipv6Addr::LOCALHOST)],
        ),
        plain(
            &[Type::Protocol],
            vec![Datum::Protocol(Tcp)],
            vec![Datum::Protocol(Sctp)],
        ),
        plain(&[Type::Port], vec![Datum::Port(80)], vec![Datum::Port(443)]),
        plain(
            &[Type::Interface],
            vec![eth("eth0")],
            vec![eth("br-0123456789ab")],
        ),
        plain(
            &[Type::Ipv6, Type::Ipv6],
            vec![Datum::Ipv6(V6), Datum::Ipv6(V6)],
            vec![Datum::Ipv6(V6), Datum::Ipv6(Ipv6Addr::LOCALHOST)],
        ),
        (
            vec![Type::Port],
            vec![],
            true,
            [
                (vec![Datum::Ports(80, 90)], Data::None),
                (vec![Datum::Ports(7000, 65535)], Data::None),
            ],
        ),
        (vec![Type::NfProto], vec![Type::Verdict], false, families),
        (
            vec![Type::Interface, Type::Interface],
            vec![Type::Verdict],
            false,
            pairs,
        ),
        (
            vec![Type::Protocol, Type::Ipv4, Type::Port],
            vec![Type::Ipv4, Type::Port],
            false,
            hash4,
        ),
        (
            vec![Type::Protocol, Type::Ipv6, Type::Port],
            vec![Type::Ipv6, Type::Port],
            false,
            hash6,
        ),
        (
            vec![Type::Protocol, Type::Port],
            vec![Type::Ipv4],
            true,
            ranges,
        ),
        (
            vec![Type::Protocol, Type::Port],
            vec![Type::Ipv6],
            true,
            ranges6,
        ),
    ];
    let named = all
        .into_iter()
        .enumerate()
        .map(|(place, (key, data, interval, elements))| {
            (
                Set {
                    name: format!("set{place}"),
                    key,
                    data,
                    interval,
                },
                elements,
            )
        });
    named.collect()
}

fn table() -> Table {
    let plain = Chain {
        name: "plain".into(),
        hook: None,
        rules: vec![],
        user: false,
    };
    let sets = samples().into_iter().map(|(set, _)| set).collect();
    Table {
        family: Family::Inet,
        name: "sealane".into(),
        owned: false,
        sets,
        chains: vec![plain],
    }
}

fn object(set: &Set, (key, data): &(Vec<Datum>, Data)) -> (Key, Object) {
    (
        Key::Element(set.name.clone().into(), key.clone()),
        Object::Element(data.clone()),
    )
}

fn with_table(test: impl FnOnce(&Kernel) + Send) {
    private(|kernel| {
        make(
            kernel,
            vec![(
                Key::Table(Netns::Host, "sealane".into()),
                Object::Table(table()),
            )],
        );
        test(kernel);
    });
}

/// What `nft` lists of one set.
fn listed(set: &Set) -> String {
    let kind = if set.data.is_empty() { "set" } else { "map" };
    let text = run("nft", &["list", kind, "inet", "sealane", &set.name]);
    squeezed(&text)
}

/// The same in our words.
fn rendered(set: &Set, key: &[Datum], data: &Data) -> String {
    let table = Table {
        sets: vec![set.clone()],
        chains: vec![],
        ..table()
    };
    let elements = BTreeMap::from([(set.name.as_str(), vec![(key, data)])]);
    squeezed(
        &Listing {
            table: &table,
            elements,
        }
        .to_string(),
    )
}

#[test]
fn elements_of_every_type_are_listed_as_they_render() {
    with_table(|kernel| {
        for (set, elements) in samples() {
            for element in &elements {
                let made = vec![object(&set, element)];
                make(kernel, made.clone());
                assert_eq!(listed(&set), rendered(&set, &element.0, &element.1));
                kernel.write(&removals(made)).unwrap();
                assert!(!listed(&set).contains("elements"));
            }
        }
    });
}

#[test]
fn elements_of_every_type_are_observed_as_made() {
    with_table(|kernel| {
        let made: Vec<(Key, Object)> = samples()
            .iter()
            .flat_map(|(set, elements)| elements.iter().map(|element| object(set, element)))
            .collect();
        make(kernel, made.clone());
        make(kernel, made.clone());
        let keys: Vec<&Key> = made.iter().map(|(key, _)| key).collect();
        let expected: BTreeMap<Key, Object> = made.iter().cloned().collect();
        assert_eq!(kernel.observe(&keys).unwrap(), expected);
        let owned: BTreeMap<Key, Object> = kernel
            .owned()
            .unwrap()
            .into_iter()
            .filter(|(key, _)| matches!(key, Key::Element(..)))
            .collect();
        assert_eq!(owned, expected);
        kernel.write(&removals(made.clone())).unwrap();
        assert!(kernel.observe(&keys).unwrap().is_empty());
        kernel.write(&removals(made)).unwrap();
    });
}

#[test]
fn an_element_of_a_map_takes_other_data() {
    with_table(|kernel| {
        for (set, [one, two]) in samples()
            .into_iter()
            .filter(|(set, _)| !set.data.is_empty())
        {
            let (key, old) = object(&set, &one);
            let new = match one.1 {
                Data::Address(IpAddr::V4(_)) => Data::Address(Ipv4Addr::LOCALHOST.into()),
                Data::Address(IpAddr::V6(_)) => Data::Address(Ipv6Addr::LOCALHOST.into()),
                Data::None | Data::Socket(..) | Data::Verdict(_) => two.1.clone(),
            };
            let new = Object::Element(new);
            make(kernel, vec![(key.clone(), old.clone())]);
            kernel
                .write(&[Change::Alter(key.clone(), old.clone(), new.clone())])
                .unwrap();
            assert_eq!(kernel.observe(&[&key]).unwrap()[&key], new, "{}", set.name);
            // What is there by surprise gives way to what is wanted.
            kernel
                .write(&[Change::Create(key.clone(), old.clone())])
                .unwrap();
            assert_eq!(kernel.observe(&[&key]).unwrap()[&key], old, "{}", set.name);
            // And what was thought to be there need not be.
            kernel
                .write(&[Change::Delete(key.clone(), old.clone())])
                .unwrap();
            kernel
                .write(&[Change::Alter(key.clone(), old, new.clone())])
                .unwrap();
            assert_eq!(kernel.observe(&[&key]).unwrap()[&key], new, "{}", set.name);
        }
    });
}

#[test]
fn intervals_that_overlap_are_refused() {
    with_table(|kernel| {
        let (set, _) = samples()
            .into_iter()
            .find(|(set, _)| set.data == [DataType::Ipv4])
            .unwrap();
        let range = |first, last| {
            let key = vec![Datum::Protocol(Tcp), Datum::Ports(first, last)];
            object(&set, &(key, Data::Address(V4.into())))
        };
        make(kernel, vec![range(100, 200)]);
        let refused = kernel
            .write(&creations(vec![range(300, 400), range(150, 250)]))
            .unwrap_err();
        assert_eq!(refused.index, 1);
        let there: Vec<_> = [range(100, 200), range(300, 400)]
            .map(|(key, _)| key)
            .into();
        let found = kernel.observe(&there.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(found.len(), 1);
    });
}

#[test]
fn thousands_of_elements_fit_one_transaction() {
    with_table(|kernel| {
        let (set, _) = samples()
            .into_iter()
            .find(|(set, _)| set.data.len() == 2)
            .unwrap();
        let elements: Vec<(Key, Object)> = (1..=20_000)
            .map(|port| {
                let key = vec![Datum::Protocol(Tcp), Datum::Ipv4(V4), Datum::Port(port)];
                object(&set, &(key, Data::Socket(V4.into(), port)))
            })
            .collect();
        make(kernel, elements.clone());
        assert_eq!(kernel.owned().unwrap().len(), 1 + elements.len());
        kernel.write(&removals(elements)).unwrap();
        assert_eq!(kernel.owned().unwrap().len(), 1);
    });
}

#[test]
fn thousands_of_removals_of_what_is_absent_are_fine() {
    with_table(|kernel| {
        let (set, _) = samples()
            .into_iter()
            .find(|(set, _)| set.data.len() == 2)
            .unwrap();
        let elements: Vec<(Key, Object)> = (1..=4_000)
            .map(|port| {
                let key = vec![Datum::Protocol(Tcp), Datum::Ipv4(V4), Datum::Port(port)];
                object(&set, &(key, Data::Socket(V4.into(), port)))
            })
            .collect();
        kernel.write(&removals(elements)).unwrap();
    });
}

#[test]
fn a_set_may_be_of_any_table_of_any_namespace() {
    private(|kernel| {
        let netns = inside("web");
        let table = Table {
            family: Family::Ip,
            name: "sealane-ways".into(),
            sets: vec![Set {
                name: "ways".into(),
                key: vec![DataType::Ipv4],
                data: vec![DataType::Ipv4],
                interval: false,
            }],
            chains: vec![],
            owned: false,
        };
        let set = SetId::of(netns, Family::Ip, table.name.clone(), "ways".into());
        let address = |last| Ipv4Addr::new(192, 0, 2, last);
        let element = |last, to: u8| {
            let key = Key::Element(set.clone(), vec![Datum::Ipv4(address(last))]);
            (key, Object::Element(Data::Address(address(to).into())))
        };
        let objects = vec![
            (Key::Namespace(sandbox("web")), Object::Present),
            (
                Key::Table(netns, table.name.clone()),
                Object::Table(table.clone()),
            ),
            element(1, 11),
            element(2, 12),
        ];
        make(kernel, objects.clone());
        assert!(differing(kernel, &objects).is_empty());
        let listed = || {
            let list = ["nft", "list", "map", "ip", "sealane-ways", "ways"];
            squeezed(&run_in(kernel, &sandbox("web"), &list))
        };
        assert!(listed().contains("192.0.2.1 : 192.0.2.11"), "{}", listed());
        let (key, other) = element(1, 13);
        make(kernel, vec![(key, other)]);
        assert!(listed().contains("192.0.2.1 : 192.0.2.13"), "{}", listed());
        kernel
            .write(&removals(vec![element(1, 13), element(2, 12)]))
            .unwrap();
        assert!(!listed().contains("elements"), "{}", listed());
        assert_eq!(differing(kernel, &objects).len(), 2);
    });
}
