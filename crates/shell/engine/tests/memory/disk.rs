//! Whether the files have what the engine shows, and the journal what the kernel has.

use crate::agree::{Agreement, addresses_of, equal};
use crate::model::Model;
use crate::world::{World, data_root, exec_root, files, id};
use sealane_core::model::Sandbox;
use sealane_core::plan::{Key, Netns};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Every namespace, link and address of the host is claimed.
pub(crate) fn claims(world: &World) -> Agreement {
    let claimed = world.claimed();
    let objects = world.kernel.objects();
    let of_host = |key: &&Key| {
        let address = matches!(key, Key::Address(Netns::Host, ..));
        address || matches!(key, Key::Namespace(_) | Key::Link(..))
    };
    match objects
        .keys()
        .filter(of_host)
        .find(|key| !claimed.contains(key))
    {
        Some(key) => Err(format!("{key} is not claimed")),
        None => Ok(()),
    }
}

/// The same, and nothing is claimed that is not there.
pub(crate) fn just_claims(world: &World) -> Agreement {
    claims(world)?;
    let objects = world.kernel.objects();
    let claimed = world.claimed();
    match claimed.iter().find(|key| !objects.contains_key(*key)) {
        Some(key) => Err(format!("{key} is claimed and gone")),
        None => Ok(()),
    }
}

/// A record for each sandbox and none besides.
pub(crate) fn records(world: &World, model: &Model) -> Agreement {
    let files_there = world.disk.files();
    let records = files_there.keys().filter_map(|path| {
        let name = path.strip_prefix(exec_root().join("sandboxes")).ok()?;
        Some(name.to_string_lossy().into_owned())
    });
    let wanted = model.sandboxes.keys().map(|s| format!("{}.json", id(*s)));
    equal::<BTreeSet<String>>("records", &records.collect(), &wanted.collect())?;
    equal(
        "the id",
        &files_there.contains_key(&data_root().join("engine-id")),
        &true,
    )?;
    Ok(())
}

/// The hosts file of each sandbox has its addresses.
pub(crate) fn hosts(world: &World, model: &Model) -> Agreement {
    let files_there = world.disk.files();
    for s in model.sandboxes.keys() {
        let found: Arc<Sandbox> = world.engine.sandbox(&id(*s)).expect("it is known");
        let hosts = files_there.get(&files(*s).join("hosts"));
        let hosts = String::from_utf8_lossy(hosts.map_or(&[], |hosts| hosts));
        for ip in addresses_of(&found) {
            let line = format!("{ip}\t");
            if !hosts.lines().any(|one| one.starts_with(&line)) {
                return Err(format!("{ip} is not in the hosts file of {}", found.name));
            }
        }
    }
    Ok(())
}
