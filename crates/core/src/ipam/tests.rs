//! A pool against a reference model, and Docker's corner cases one by one.

use super::*;
use crate::model::{IpFamily, SubnetSpec};
use ipnet::IpNet;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

const START: Duration = Duration::ZERO;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn spec(subnet: &str) -> SubnetSpec {
    SubnetSpec {
        subnet: net(subnet),
        ip_range: None,
        gateway: None,
        auxiliary: BTreeMap::new(),
    }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

mod pool {
    use super::*;

    #[test]
    fn the_lowest_free_address_is_given() {
        let mut pool = Pool::new(net("10.0.0.0/29"), None);
        pool.reserve(ip("10.0.0.2")).unwrap();
        let given: Vec<_> = std::iter::from_fn(|| pool.allocate(START).ok()).collect();
        assert_eq!(
            given,
            ["10.0.0.1", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"].map(ip)
        );
        assert_eq!(pool.allocate(START), Err(ReserveError::Exhausted));
    }

    #[test]
    fn a_released_address_rests_for_a_minute() {
        let mut pool = Pool::new(net("10.0.0.0/24"), None);
        assert_eq!(pool.allocate(START), Ok(ip("10.0.0.1")));
        pool.release(ip("10.0.0.1"), at(10));
        assert_eq!(pool.allocate(at(69)), Ok(ip("10.0.0.2")));
        assert_eq!(pool.allocate(at(70)), Ok(ip("10.0.0.1")));
    }

    #[test]
    fn when_nothing_else_is_left_the_longest_rested_address_is_given() {
        let mut pool = Pool::new(net("10.0.0.0/30"), None);
        assert_eq!(pool.allocate(START), Ok(ip("10.0.0.1")));
        assert_eq!(pool.allocate(START), Ok(ip("10.0.0.2")));
        pool.release(ip("10.0.0.2"), at(1));
        pool.release(ip("10.0.0.1"), at(2));
        assert_eq!(pool.allocate(at(3)), Ok(ip("10.0.0.2")));
        assert_eq!(pool.allocate(at(3)), Ok(ip("10.0.0.1")));
        assert_eq!(pool.allocate(at(3)), Err(ReserveError::Exhausted));
    }

    #[test]
    fn an_endpoint_gets_its_own_address_back_at_once() {
        let mut pool = Pool::new(net("10.0.0.0/24"), None);
        let own = pool.allocate(START).unwrap();
        pool.release(own, START);
        assert_eq!(pool.allocate_again(own, at(1)), Ok(own));
        assert_eq!(
            pool.allocate_again(own, at(1)),
            Ok(ip("10.0.0.2")),
            "somebody else has it"
        );
        assert_eq!(
            pool.allocate_again(ip("10.1.0.9"), at(1)),
            Ok(ip("10.0.0.3"))
        );
    }

    #[test]
    fn held_addresses_are_given_last_and_fixed_ones_never() {
        let mut pool = Pool::new(net("10.0.0.0/29"), None);
        pool.hold(ip("10.0.0.1"), true);
        pool.hold(ip("10.0.0.4"), true);
        pool.fix(ip("10.0.0.2"), true);
        assert_eq!(pool.usage().available, 7 - 2);
        assert_eq!(pool.allocate(START), Ok(ip("10.0.0.3")));
        pool.release(ip("10.0.0.3"), START);
        assert_eq!(pool.allocate(START), Ok(ip("10.0.0.5")));
        assert_eq!(pool.allocate(START), Ok(ip("10.0.0.6")));
        assert_eq!(pool.allocate(START), Ok(ip("10.0.0.3")), "rather than held");
        assert_eq!(pool.allocate(START), Ok(ip("10.0.0.1")));
        pool.hold(ip("10.0.0.4"), false);
        assert_eq!(pool.allocate(START), Ok(ip("10.0.0.4")));
        assert_eq!(pool.allocate(START), Err(ReserveError::Exhausted));
        assert_eq!(pool.reserve(ip("10.0.0.2")), Ok(()));
        assert!(pool.is_held(ip("10.0.0.1")) && !pool.could_give(ip("10.0.0.7")));
    }

    #[test]
    fn an_address_that_was_never_used_need_not_rest() {
        let mut pool = Pool::new(net("10.0.0.0/24"), None);
        let address = pool.allocate(START).unwrap();
        pool.cancel(address);
        assert_eq!(pool.allocate(START), Ok(address));
        pool.release(address, START);
        pool.cancel(address);
        assert_eq!(
            pool.allocate(START),
            Ok(ip("10.0.0.2")),
            "a rest is not cut short"
        );
    }

    #[test]
    fn refusals_have_dockers_texts() {
        let mut pool = Pool::new(net("10.0.0.0/24"), None);
        let text = |result: Result<(), ReserveError>| result.unwrap_err().to_string();
        pool.reserve(ip("10.0.0.9")).unwrap();
        assert_eq!(text(pool.reserve(ip("10.0.0.9"))), "Address already in use");
        assert_eq!(text(pool.reserve(ip("10.0.0.0"))), "Address already in use");
        assert_eq!(
            text(pool.reserve(ip("10.0.0.255"))),
            "Address already in use"
        );
        let outside = "no configured subnet contains IP address 10.0.1.1";
        assert_eq!(text(pool.reserve(ip("10.0.1.1"))), outside);
        assert!(pool.reserve(ip("::10.0.0.1")).is_err(), "the other family");
    }

    #[test]
    fn a_range_limits_dynamic_addresses_only() {
        let mut pool = Pool::new(net("10.0.0.0/24"), Some(net("10.0.0.128/30")));
        pool.reserve(ip("10.0.0.5")).unwrap();
        pool.reserve(ip("10.0.0.129")).unwrap();
        let given: Vec<_> = std::iter::from_fn(|| pool.allocate(START).ok()).collect();
        assert_eq!(given, ["10.0.0.128", "10.0.0.130", "10.0.0.131"].map(ip));
        pool.release(ip("10.0.0.5"), START);
        assert_eq!(
            pool.allocate(at(1)),
            Err(ReserveError::Exhausted),
            "5 is not dynamic"
        );
    }

    #[test]
    fn small_subnets_have_no_network_address() {
        let all = |subnet: &str| {
            let mut pool = Pool::new(net(subnet), None);
            std::iter::from_fn(|| pool.allocate(START).ok()).collect::<Vec<_>>()
        };
        assert_eq!(all("10.0.0.4/31"), ["10.0.0.4", "10.0.0.5"].map(ip));
        assert_eq!(all("10.0.0.4/32"), ["10.0.0.4"].map(ip));
        assert_eq!(all("fd00::/127"), ["fd00::1"].map(ip));
        assert_eq!(all("fd00::/128"), [] as [IpAddr; 0]);
        assert_eq!(all("fd00::/126"), ["fd00::1", "fd00::2", "fd00::3"].map(ip));
    }

    #[test]
    fn usage_counts_as_docker_does() {
        let gateway = SubnetSpec {
            gateway: Some(ip("10.0.0.1")),
            ..spec("10.0.0.0/24")
        };
        let mut pool = Pool::open(&gateway).unwrap();
        assert_eq!(
            pool.usage(),
            Usage {
                in_use: 3,
                available: 253
            }
        );
        pool.allocate(START).unwrap();
        assert_eq!(
            pool.usage(),
            Usage {
                in_use: 4,
                available: 252
            }
        );
        pool.release(ip("10.0.0.2"), START);
        assert_eq!(
            pool.usage(),
            Usage {
                in_use: 3,
                available: 253
            }
        );

        let mut ranged = Pool::new(net("10.0.0.0/16"), Some(net("10.0.9.0/24")));
        ranged.reserve(ip("10.0.0.7")).unwrap();
        assert_eq!(
            ranged.usage(),
            Usage {
                in_use: 3,
                available: 256
            }
        );

        let six = Pool::new(net("fd00::/64"), None);
        assert_eq!(
            six.usage(),
            Usage {
                in_use: 1,
                available: u64::MAX
            }
        );
        let everything = Pool::new(net("::/0"), None);
        assert_eq!(
            everything.usage(),
            Usage {
                in_use: 1,
                available: u64::MAX
            }
        );
    }

    #[test]
    fn a_large_ipv6_subnet_costs_nothing() {
        let mut pool = Pool::new(net("fd00::/64"), Some(net("fd00::8000:0:0:0/65")));
        assert_eq!(pool.allocate(START), Ok(ip("fd00::8000:0:0:0")));
        pool.reserve(ip("fd00::ffff:ffff:ffff:ffff")).unwrap();
        assert_eq!(pool.allocate(START), Ok(ip("fd00::8000:0:0:1")));
    }

    #[test]
    fn sixty_thousand_endpoints_are_given_and_taken_back() {
        let mut pool = Pool::new(net("10.0.0.0/16"), None);
        let given: BTreeSet<_> = (0..60_000).map(|_| pool.allocate(START).unwrap()).collect();
        assert_eq!(given.len(), 60_000);
        for address in given {
            pool.release(address, START);
        }
        assert_eq!(pool.usage().in_use, 2);
        assert_eq!(pool.allocate(at(60)), Ok(ip("10.0.0.1")));
    }

    #[test]
    fn the_default_gateway_is_the_first_dynamic_address() {
        assert_eq!(
            default_gateway(net("10.0.0.0/8"), None),
            Some(ip("10.0.0.1"))
        );
        let range = Some(net("10.5.0.0/16"));
        assert_eq!(
            default_gateway(net("10.0.0.0/8"), range),
            Some(ip("10.5.0.0"))
        );
        assert_eq!(default_gateway(net("fd00::/64"), None), Some(ip("fd00::1")));
        assert_eq!(default_gateway(net("fd00::/128"), None), None);
    }

    #[test]
    fn gateway_and_auxiliary_addresses_are_reserved() {
        let mut wanted = SubnetSpec {
            gateway: Some(ip("10.0.0.1")),
            ..spec("10.0.0.0/29")
        };
        wanted.auxiliary.insert("printer".into(), ip("10.0.0.2"));
        let mut pool = Pool::open(&wanted).unwrap();
        assert_eq!(pool.allocate(START), Ok(ip("10.0.0.3")));

        wanted.auxiliary.insert("router".into(), ip("10.0.0.1"));
        let text = Pool::open(&wanted).unwrap_err().to_string();
        let expected = "failed to allocate secondary ip address (router:10.0.0.1): \
                        Address already in use";
        assert_eq!(text, expected);
        wanted.gateway = Some(ip("10.0.0.7"));
        let text = Pool::open(&wanted).unwrap_err().to_string();
        assert_eq!(
            text,
            "failed to allocate gateway (10.0.0.7): Address already in use"
        );
    }
}

mod against_a_model {
    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Reserve(u8),
        Allocate,
        Again(u8),
        Release(u8),
        Cancel(u8),
        Wait(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            2 => any::<u8>().prop_map(Step::Reserve),
            6 => Just(Step::Allocate),
            1 => any::<u8>().prop_map(Step::Again),
            4 => any::<u8>().prop_map(Step::Release),
            1 => any::<u8>().prop_map(Step::Cancel),
            3 => any::<u8>().prop_map(Step::Wait),
        ]
    }

    /// What a pool should do, said as plainly as possible.
    struct Model {
        dynamic: Vec<IpAddr>,
        never: BTreeSet<IpAddr>,
        used: BTreeSet<IpAddr>,
        resting: BTreeMap<IpAddr, Duration>,
    }

    impl Model {
        fn allocate(&mut self, now: Duration) -> Option<IpAddr> {
            let taken =
                |address: &&IpAddr| !self.used.contains(address) && !self.never.contains(address);
            let rested = |address: &&IpAddr| {
                self.resting
                    .get(address)
                    .is_none_or(|released| *released + QUARANTINE <= now)
            };
            let free: Vec<IpAddr> = self.dynamic.iter().filter(taken).copied().collect();
            let lowest = free.iter().find(rested).copied();
            let oldest = free
                .iter()
                .copied()
                .min_by_key(|a| (self.resting.get(a), *a));
            let given = lowest.or(oldest)?;
            self.take(given);
            Some(given)
        }

        fn take(&mut self, address: IpAddr) {
            self.resting.remove(&address);
            self.used.insert(address);
        }
    }

    fn run(subnet: IpNet, range: Option<IpNet>, steps: Vec<Step>) -> Result<(), TestCaseError> {
        let every: Vec<IpAddr> = hosts(subnet);
        let never = match subnet {
            IpNet::V4(_) if every.len() > 2 => [every[0], every[every.len() - 1]].into(),
            IpNet::V4(_) => BTreeSet::new(),
            IpNet::V6(_) => [every[0]].into(),
        };
        let dynamic = range.map_or_else(|| every.clone(), hosts);
        let mut model = Model {
            dynamic,
            never,
            used: BTreeSet::new(),
            resting: BTreeMap::new(),
        };
        let mut pool = Pool::new(subnet, range);
        let mut now = Duration::ZERO;
        for step in steps {
            let pick = |number: u8| every[usize::from(number) % every.len()];
            match step {
                Step::Wait(seconds) => now += Duration::from_secs(seconds.into()),
                Step::Allocate => prop_assert_eq!(pool.allocate(now).ok(), model.allocate(now)),
                Step::Reserve(number) => {
                    let address = pick(number);
                    let free = !model.used.contains(&address) && !model.never.contains(&address);
                    prop_assert_eq!(pool.reserve(address).is_ok(), free);
                    if free {
                        model.take(address);
                    }
                }
                Step::Again(number) => {
                    let address = pick(number);
                    let free = !model.used.contains(&address) && !model.never.contains(&address);
                    let expected = if free {
                        model.take(address);
                        Some(address)
                    } else {
                        model.allocate(now)
                    };
                    prop_assert_eq!(pool.allocate_again(address, now).ok(), expected);
                }
                Step::Release(number) => {
                    pool.release(pick(number), now);
                    if model.used.remove(&pick(number)) {
                        model.resting.insert(pick(number), now);
                    }
                }
                Step::Cancel(number) => {
                    pool.cancel(pick(number));
                    model.used.remove(&pick(number));
                }
            }
            let fixed = model
                .never
                .iter()
                .filter(|address| model.dynamic.contains(address))
                .count();
            let dynamic_used = model
                .used
                .iter()
                .filter(|a| model.dynamic.contains(a))
                .count();
            let expected = Usage {
                in_use: (model.used.len() + model.never.len()) as u64,
                available: (model.dynamic.len() - dynamic_used - fixed) as u64,
            };
            prop_assert_eq!(pool.usage(), expected);
        }
        Ok(())
    }

    /// Every address of a small prefix.
    fn hosts(net: IpNet) -> Vec<IpAddr> {
        match net {
            IpNet::V4(net) => (net.network().to_bits()..=net.broadcast().to_bits())
                .map(|bits| IpAddr::V4(bits.into()))
                .collect(),
            IpNet::V6(net) => (net.network().to_bits()..=net.broadcast().to_bits())
                .map(|bits| IpAddr::V6(bits.into()))
                .collect(),
        }
    }

    proptest! {
        #[test]
        fn a_whole_subnet(steps in prop::collection::vec(step(), 0..200)) {
            run(net("10.0.0.0/28"), None, steps)?;
        }

        #[test]
        fn a_subnet_with_a_range(
            steps in prop::collection::vec(step(), 0..200),
            start in 0u8..16,
        ) {
            let range = format!("10.0.0.{}/28", u32::from(start) * 16);
            run(net("10.0.0.0/24"), Some(net(&range)), steps)?;
        }

        #[test]
        fn an_ipv6_subnet(steps in prop::collection::vec(step(), 0..200), length in 121u8..=128) {
            run(net(&format!("fd00::/{length}")), None, steps)?;
        }

        #[test]
        fn a_tiny_subnet(steps in prop::collection::vec(step(), 0..60), length in 29u8..=32) {
            run(net(&format!("10.0.0.8/{length}")), None, steps)?;
        }
    }
}

mod address_pools {
    use super::*;

    fn pools(texts: &[(&str, u8)]) -> AddressPools {
        let pool = |(base, size): &(&str, u8)| AddressPool {
            base: net(base),
            size: *size,
        };
        AddressPools::new(texts.iter().map(pool).collect(), b"daemon").unwrap()
    }

    #[test]
    fn after_dockers_thirty_one_subnets_small_ones_follow() {
        let pools = AddressPools::predefined(b"daemon");
        let mut taken = Vec::new();
        while taken.len() < 33 {
            taken.push(pools.choose(IpFamily::V4, &taken, &[], None).unwrap());
        }
        assert_eq!(taken[..2], [net("172.17.0.0/16"), net("172.18.0.0/16")]);
        assert_eq!(taken[14..16], [net("172.31.0.0/16"), net("192.168.0.0/20")]);
        assert_eq!(taken[31..], [net("10.128.0.0/24"), net("10.128.1.0/24")]);
        assert_eq!(pools.room(IpFamily::V4, &taken, &[]), (31 + 65_536, 65_534));
        let all = [net("0.0.0.0/0")];
        let error = pools.choose(IpFamily::V4, &taken, &all, None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "all predefined address pools have been fully subnetted"
        );
        assert_eq!(pools.room(IpFamily::V4, &[], &all).1, 0);
    }

    #[test]
    fn what_the_user_gave_is_all_there_is() {
        let pools = pools(&[("10.9.0.0/24", 26)]);
        let mut taken = Vec::new();
        while let Ok(subnet) = pools.choose(IpFamily::V4, &taken, &[], None) {
            taken.push(subnet);
            assert_eq!(
                pools.room(IpFamily::V4, &taken, &[]),
                (4, 4 - taken.len() as u128)
            );
        }
        assert_eq!(taken.len(), 4);
    }

    #[test]
    fn subnets_that_the_host_uses_are_skipped() {
        let pools = AddressPools::predefined(b"daemon");
        let avoid = [
            net("172.17.5.0/24"),
            net("172.16.0.0/12"),
            net("192.168.15.254/32"),
        ];
        let choose = |avoid: &[IpNet]| pools.choose(IpFamily::V4, &[], avoid, None).unwrap();
        assert_eq!(choose(&avoid[..1]), net("172.18.0.0/16"));
        assert_eq!(choose(&avoid[..2]), net("192.168.0.0/20"));
        assert_eq!(choose(&avoid), net("192.168.16.0/20"));
    }

    #[test]
    fn a_size_alone_can_be_asked_for() {
        let pools = AddressPools::predefined(b"daemon");
        let choose = |size: u8, taken: &[IpNet]| pools.choose(IpFamily::V4, taken, &[], Some(size));
        assert_eq!(choose(24, &[]), Ok(net("172.17.0.0/24")));
        assert_eq!(
            choose(24, &[net("172.17.0.0/24")]),
            Ok(net("172.17.1.0/24"))
        );
        assert_eq!(choose(15, &[]), Ok(net("172.20.0.0/15")));
        assert_eq!(choose(8, &[]), Err(ChooseError::NoSuchSize));
        assert_eq!(choose(33, &[]), Err(ChooseError::NoSuchSize));
        let six = pools.choose(IpFamily::V6, &[], &[], Some(80)).unwrap();
        assert_eq!(six.prefix_len(), 80);
    }

    #[test]
    fn ipv6_subnets_come_from_the_daemons_own_prefix() {
        let pools = AddressPools::predefined(b"daemon");
        let first = pools.choose(IpFamily::V6, &[], &[], None).unwrap();
        let second = pools.choose(IpFamily::V6, &[first], &[], None).unwrap();
        // SHA-256 of "daemon", by sha256sum: its first eight bytes end in these five.
        assert_eq!(first, net("fda5:3ece:5f6b::/64"));
        assert_eq!(second, net("fda5:3ece:5f6b:1::/64"));
        assert_ne!(
            AddressPools::predefined(b"other").choose(IpFamily::V6, &[], &[], None),
            Ok(first)
        );
    }

    #[test]
    fn a_configured_ipv6_pool_replaces_the_daemons_own() {
        let pools = pools(&[("fd12::/32", 40), ("10.9.0.0/16", 24), ("10.9.4.0/24", 28)]);
        assert_eq!(
            pools.choose(IpFamily::V6, &[], &[], None),
            Ok(net("fd12::/40"))
        );
        assert_eq!(pools.pools().len(), 2, "a pool inside another is left out");
        assert_eq!(
            pools.choose(IpFamily::V4, &[], &[], None),
            Ok(net("10.9.0.0/24"))
        );
    }

    #[test]
    fn pools_that_cannot_be_cut_are_refused() {
        let new = |base: &str, size| {
            AddressPools::new(
                vec![AddressPool {
                    base: net(base),
                    size,
                }],
                b"",
            )
            .unwrap_err()
        };
        assert!(matches!(
            new("10.0.0.0/24", 16),
            InvalidAddressPool::Small { .. }
        ));
        assert!(matches!(
            new("10.0.0.0/24", 33),
            InvalidAddressPool::Size { .. }
        ));
        assert!(matches!(
            new("10.0.0.0/24", 0),
            InvalidAddressPool::Size { .. }
        ));
    }

    #[test]
    fn the_last_subnet_of_the_address_space_is_no_special_case() {
        let pools = pools(&[("255.255.255.0/24", 25), ("ffff:ffff:ffff:ffff::/64", 65)]);
        let taken = [net("255.255.255.0/25"), net("ffff:ffff:ffff:ffff::/65")];
        let last = [
            net("255.255.255.128/25"),
            net("ffff:ffff:ffff:ffff:8000::/65"),
        ];
        assert_eq!(pools.choose(IpFamily::V4, &taken, &[], None), Ok(last[0]));
        assert_eq!(pools.choose(IpFamily::V6, &taken, &[], None), Ok(last[1]));
        assert_eq!(
            pools.choose(IpFamily::V4, &taken, &last, None),
            Err(ChooseError::Exhausted)
        );
        assert_eq!(
            pools.choose(IpFamily::V6, &taken, &last, None),
            Err(ChooseError::Exhausted)
        );
    }

    proptest! {
        /// The chosen subnet is the first of all that overlaps nothing, found by trying each.
        #[test]
        fn the_first_subnet_that_overlaps_nothing_is_chosen(
            used in prop::collection::vec((0u32..1 << 16, 18u8..=32), 0..40),
            size in 18u8..=24,
        ) {
            let pools = pools(&[("10.1.0.0/18", 24), ("10.1.128.0/17", 24)]);
            let used: Vec<IpNet> = used.into_iter().map(|(host, length)| {
                let address = IpAddr::V4((0x0a01_0000 | host).into());
                IpNet::new(address, length).unwrap().trunc()
            }).collect();
            let bases = [net("10.1.0.0/18"), net("10.1.128.0/17")];
            let every = bases.iter().flat_map(|base| base.subnets(size).unwrap());
            let expected = every.into_iter().find(|subnet| {
                check_overlap(*subnet, &used).is_ok()
            });
            let (taken, avoid) = used.split_at(used.len() / 2);
            let chosen = pools.choose(IpFamily::V4, taken, avoid, Some(size));
            prop_assert_eq!(chosen.ok(), expected);
        }
    }
}

mod validation {
    use super::*;

    fn faults(spec: SubnetSpec) -> Vec<String> {
        validate(&[spec], true)
            .err()
            .map(|error| error.0)
            .unwrap_or_default()
    }

    #[test]
    fn every_fault_is_listed_in_dockers_words() {
        let mut wrong = SubnetSpec {
            ip_range: Some(net("192.168.0.1/24")),
            gateway: Some(ip("192.168.0.1")),
            ..spec("10.67.0.5/24")
        };
        wrong.auxiliary.insert("a".into(), ip("fd00::1"));
        let expected = "invalid network config:\n\
            invalid subnet 10.67.0.5/24: it should be 10.67.0.0/24\n\
            invalid ip-range 192.168.0.1/24: it should be 192.168.0.0/24\n\
            invalid ip-range 192.168.0.1/24: parent subnet 10.67.0.5/24 doesn't contain ip-range\n\
            invalid gateway 192.168.0.1: parent subnet 10.67.0.5/24 doesn't contain this address\n\
            invalid auxiliary address a: parent subnet is an IPv4 block";
        assert_eq!(validate(&[wrong], false).unwrap_err().to_string(), expected);
    }

    #[test]
    fn a_range_is_smaller_than_its_subnet_and_of_its_family() {
        let with_range = |range: &str| SubnetSpec {
            ip_range: Some(net(range)),
            ..spec("10.1.0.0/16")
        };
        let bigger = "invalid ip-range 10.0.0.0/8: CIDR block is bigger than its parent subnet \
                      10.1.0.0/16";
        assert_eq!(faults(with_range("10.0.0.0/8")), [bigger]);
        let family = "invalid ip-range fd00::/64: parent subnet is an IPv4 block";
        assert_eq!(faults(with_range("fd00::/64")), [family]);
        let host_bits = "invalid ip-range 10.1.0.2/28: it should be 10.1.0.0/28";
        assert_eq!(faults(with_range("10.1.0.2/28")), [host_bits]);
        assert!(faults(with_range("10.1.0.0/16")).is_empty());
    }

    #[test]
    fn an_ipv6_subnet_is_ignored_without_ipv6() {
        let wrong = [spec("fd00::5/64")];
        assert_eq!(validate(&wrong, false), Ok(()));
        assert!(validate(&wrong, true).is_err());
    }

    #[test]
    fn overlapping_subnets_are_refused() {
        let present = [net("10.0.0.0/16"), net("fd00::/64")];
        assert!(check_overlap(net("10.1.0.0/16"), &present).is_ok());
        assert!(check_overlap(net("fd00:0:0:1::/64"), &present).is_ok());
        for wanted in ["10.0.3.0/24", "10.0.0.0/8", "10.0.0.0/16", "fd00::8/128"] {
            let error = check_overlap(net(wanted), &present)
                .unwrap_err()
                .to_string();
            let text = "invalid pool request: Pool overlaps with other one on this address space";
            assert_eq!(error, text);
        }
    }
}
