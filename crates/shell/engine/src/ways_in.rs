//! What is to be published where: which requests need a port of the host, and which only open the
//! container's own, because their network is routed.
//!
//! Pure. Start at [`split`].

use sealane_core::drivers::WayIn;
use sealane_core::model::{IpFamily, PerFamily, PortMapping, PortRequest};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What becomes of requests: ports of the host to reserve, and mappings that need none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) reserve: Vec<PortRequest>,
    pub(crate) open: Vec<PortMapping>,
}

const ALL: PerFamily<IpAddr> = PerFamily {
    v4: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    v6: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
};

/// Decides for each request. `binding` is the host address for requests without one.
pub(crate) fn split(
    requests: &[PortRequest],
    ways: PerFamily<WayIn>,
    binding: Option<IpAddr>,
) -> Split {
    let mut split = Split::default();
    for request in requests {
        match request.host_ip.or(binding) {
            None => split.everywhere(request, ways),
            Some(ip) => split.on(request, ip, ways),
        }
    }
    split
}

impl Split {
    /// On every address of the host, of both families.
    fn everywhere(&mut self, request: &PortRequest, ways: PerFamily<WayIn>) {
        if ways == PerFamily::from_fn(|_| WayIn::Translated) {
            // One port number for both.
            self.reserve.push(request.clone());
            return;
        }
        for family in IpFamily::BOTH {
            self.on(request, ALL[family], ways);
        }
    }

    fn on(&mut self, request: &PortRequest, ip: IpAddr, ways: PerFamily<WayIn>) {
        let family = IpFamily::of(ip);
        match ways[family] {
            WayIn::Translated => self.reserve.push(PortRequest {
                host_ip: Some(ip),
                ..request.clone()
            }),
            WayIn::Routed => self.open.push(PortMapping {
                protocol: request.protocol,
                host_ip: Some(ALL[family]),
                host_port: 0,
                container_port: request.container_port,
            }),
            WayIn::None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use WayIn::{Routed, Translated};
    use sealane_core::model::Protocol;

    fn told(host_ip: Option<&str>, (v4, v6): (WayIn, WayIn)) -> (Vec<String>, Vec<String>) {
        let request = PortRequest {
            protocol: Protocol::Tcp,
            container_port: 80,
            host_ip: host_ip.map(|ip| ip.parse().unwrap()),
            host_ports: Some((8080, 8080)),
        };
        let split = split(&[request], PerFamily { v4, v6 }, None);
        let text = |ip: &Option<IpAddr>| ip.map_or("both".into(), |ip| ip.to_string());
        (
            split.reserve.iter().map(|one| text(&one.host_ip)).collect(),
            split.open.iter().map(|one| text(&one.host_ip)).collect(),
        )
    }

    #[test]
    fn a_routed_family_needs_no_port_of_the_host() {
        let none: [&str; 0] = [];
        let check = |ip, ways, reserve: &[&str], open: &[&str]| {
            let (reserved, opened) = told(ip, ways);
            assert_eq!(
                (reserved, opened),
                (owned(reserve), owned(open)),
                "{ways:?}"
            );
        };
        let owned_none = &none;
        check(None, (Translated, Translated), &["both"], owned_none);
        check(None, (Translated, Routed), &["0.0.0.0"], &["::"]);
        check(None, (Routed, Translated), &["::"], &["0.0.0.0"]);
        check(None, (Routed, Routed), owned_none, &["0.0.0.0", "::"]);
        check(None, (WayIn::None, Translated), &["::"], owned_none);
        check(
            Some("127.0.0.1"),
            (Routed, Routed),
            owned_none,
            &["0.0.0.0"],
        );
        check(
            Some("10.0.0.1"),
            (Translated, Routed),
            &["10.0.0.1"],
            owned_none,
        );
        check(
            Some("::1"),
            (Translated, WayIn::None),
            owned_none,
            owned_none,
        );
    }

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }
}
