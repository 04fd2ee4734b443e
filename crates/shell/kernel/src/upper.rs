//! The kernel's words for links that sit on others.

use netlink_packet_route::link::{
    InfoData, InfoIpVlan, InfoMacVlan, InfoVlan, IpVlanFlags, IpVlanMode, MacVlanMode,
};
use sealane_core::plan::{IpvlanFlag, IpvlanMode, MacvlanMode, Upper};

pub(crate) fn macvlan_mode(mode: MacvlanMode) -> MacVlanMode {
    match mode {
        MacvlanMode::Bridge => MacVlanMode::Bridge,
        MacvlanMode::Private => MacVlanMode::Private,
        MacvlanMode::Vepa => MacVlanMode::Vepa,
        MacvlanMode::Passthru => MacVlanMode::Passthrough,
    }
}

pub(crate) fn ipvlan_mode(mode: IpvlanMode) -> IpVlanMode {
    match mode {
        IpvlanMode::L2 => IpVlanMode::L2,
        IpvlanMode::L3 => IpVlanMode::L3,
        IpvlanMode::L3s => IpVlanMode::L3S,
    }
}

pub(crate) fn ipvlan_flag(flag: IpvlanFlag) -> IpVlanFlags {
    match flag {
        IpvlanFlag::Bridge => IpVlanFlags::empty(),
        IpvlanFlag::Private => IpVlanFlags::Private,
        IpvlanFlag::Vepa => IpVlanFlags::Vepa,
    }
}

/// Reads what the kernel says of a link; `None` for what we do not make.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kernel knows more kinds of links than we make"
)]
pub(crate) fn read(data: &InfoData) -> Option<Upper> {
    match data {
        InfoData::MacVlan(infos) => infos.iter().find_map(read_macvlan).map(Upper::Macvlan),
        InfoData::IpVlan(infos) => read_ipvlan(infos),
        InfoData::Vlan(infos) => infos.iter().find_map(|info| match info {
            InfoVlan::Id(id) => Some(Upper::Vlan(*id)),
            _ => None,
        }),
        _ => None,
    }
}

fn read_macvlan(info: &InfoMacVlan) -> Option<MacvlanMode> {
    let InfoMacVlan::Mode(mode) = info else {
        return None;
    };
    let known = [
        MacvlanMode::Bridge,
        MacvlanMode::Private,
        MacvlanMode::Vepa,
        MacvlanMode::Passthru,
    ];
    known
        .into_iter()
        .find(|known| macvlan_mode(*known) == *mode)
}

fn read_ipvlan(infos: &[InfoIpVlan]) -> Option<Upper> {
    let mode = infos.iter().find_map(|info| {
        let modes = [IpvlanMode::L2, IpvlanMode::L3, IpvlanMode::L3s];
        let same = |mode: &IpvlanMode| *info == InfoIpVlan::Mode(ipvlan_mode(*mode));
        modes.into_iter().find(same)
    });
    let flag = infos.iter().find_map(|info| {
        let flags = [IpvlanFlag::Bridge, IpvlanFlag::Private, IpvlanFlag::Vepa];
        let same = |flag: &IpvlanFlag| *info == InfoIpVlan::Flags(ipvlan_flag(*flag));
        flags.into_iter().find(same)
    });
    Some(Upper::Ipvlan(mode?, flag.unwrap_or_default()))
}
