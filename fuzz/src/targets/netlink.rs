//! What the kernel sends: datagrams of netlink as the kernel crate reads them.

use super::none;
use crate::{Seen, Shape, Target};
use sealane_kernel::outside;

pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "netlink-route",
        shape: Shape::Attributes,
        words: &[
            "bridge",
            "veth",
            "macvlan",
            "ipvlan",
            "vlan",
            "sealane host/eth0",
        ],
        made: none,
        run: |bytes| Seen::text(&outside::route(bytes)),
    },
    Target {
        name: "netlink-nftables",
        shape: Shape::Attributes,
        words: &[
            "sealane",
            "filter",
            "FORWARD",
            "SEALANE-FORWARD",
            "immediate",
            "cmp",
            "meta",
        ],
        made: none,
        run: |bytes| Seen::text(&outside::netfilter(bytes)),
    },
    Target {
        name: "netlink-conntrack",
        shape: Shape::Attributes,
        words: &[],
        made: none,
        run: |bytes| Seen::text(&outside::connections(bytes)),
    },
    Target {
        name: "netlink-answers",
        shape: Shape::Attributes,
        words: &["an error\0"],
        made: none,
        run: |bytes| Seen::text(&outside::answers(bytes)),
    },
];
