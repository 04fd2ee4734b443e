//! Who a process runs as: names and numbers, looked up in the container's own files.

use crate::{Result, RuntimeError};
use oci_spec::runtime::{User, UserBuilder};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A user, and the home folder that its entry names.
pub(crate) type Resolved = (User, Option<String>);

/// The longest passwd or group file that is looked at; a container may not make us read more.
const MAX_FILE: u64 = 16 << 20;
const MAX_ID: i64 = i32::MAX as i64;

/// Looks up `name`, `uid`, `name:group` or `uid:gid`, and further groups.
pub(crate) fn resolve(rootfs: &Path, user: &str, groups: &[String]) -> Result<Resolved> {
    let passwd = read_inside(rootfs, "etc/passwd")?;
    let group = read_inside(rootfs, "etc/group")?;
    let found = lookup(user, &passwd, &group)?;
    let mut additional = vec![found.gid];
    let named = groups.iter().map(|name| find_group(name, &group));
    for gid in found.groups.iter().copied().map(Ok).chain(named) {
        let gid = gid?;
        if !additional.contains(&gid) {
            additional.push(gid);
        }
    }
    let user = UserBuilder::default()
        .uid(found.uid)
        .gid(found.gid)
        .additional_gids(additional);
    let user = user
        .build()
        .map_err(|error| RuntimeError::User(error.to_string()))?;
    Ok((user, Some(found.home)))
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    home: String,
}

pub(crate) fn lookup(text: &str, passwd: &str, group: &str) -> Result<Found> {
    let (user, group_name) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    };
    let number = number(user)?;
    let entry = entries(passwd).find(|fields| {
        let uid = || fields.get(2).and_then(|uid| uid.parse::<u32>().ok());
        match user {
            "" => uid() == Some(0),
            name => fields.first() == Some(&name) || (number.is_some() && uid() == number),
        }
    });
    let field = |place: usize| entry.as_ref().and_then(|fields| fields.get(place).copied());
    let uid = match (field(2).and_then(|uid| uid.parse().ok()), number) {
        (Some(uid), _) | (None, Some(uid)) => uid,
        (None, None) if user.is_empty() => 0,
        (None, None) => return Err(unknown("user", user, "passwd")),
    };
    let own_gid = field(3).and_then(|gid| gid.parse().ok()).unwrap_or(0);
    let home = field(5)
        .filter(|home| !home.is_empty())
        .unwrap_or("/")
        .to_owned();
    let (gid, groups) = match group_name {
        Some(name) => (find_group(name, group)?, Vec::new()),
        None => (
            own_gid,
            field(0)
                .map(|name| groups_of(name, group))
                .unwrap_or_default(),
        ),
    };
    Ok(Found {
        uid,
        gid,
        groups,
        home,
    })
}

fn find_group(name: &str, group: &str) -> Result<u32> {
    let number = number(name)?;
    let named = entries(group)
        .find(|fields| fields.first() == Some(&name))
        .and_then(|fields| fields.get(2)?.parse().ok());
    named
        .or(number)
        .ok_or_else(|| unknown("group", name, "group"))
}

fn groups_of(user: &str, group: &str) -> Vec<u32> {
    entries(group)
        .filter(|fields| {
            fields
                .get(3)
                .is_some_and(|list| list.split(',').any(|name| name == user))
        })
        .filter_map(|fields| fields.get(2)?.parse().ok())
        .collect()
}

fn entries(file: &str) -> impl Iterator<Item = Vec<&str>> {
    file.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| line.split(':').collect())
}

fn number(text: &str) -> Result<Option<u32>> {
    match text.parse::<i64>() {
        Ok(id @ 0..=MAX_ID) => Ok(u32::try_from(id).ok()),
        Ok(_) => Err(RuntimeError::User(
            "uids and gids must be in range 0-2147483647".into(),
        )),
        Err(_) => Ok(None),
    }
}

fn unknown(what: &str, name: &str, file: &str) -> RuntimeError {
    RuntimeError::User(format!(
        "unable to find {what} {name}: no matching entries in {file} file"
    ))
}

/// Reads a file below `rootfs`. A link in it leads to where it would lead inside.
fn read_inside(rootfs: &Path, path: &str) -> Result<String> {
    let failed = |action, source: std::io::Error| RuntimeError::File {
        action,
        path: rootfs.join(path),
        source,
    };
    let root = openat2(
        CWD,
        rootfs,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::empty(),
    )
    .map_err(|errno| failed("open the root file system of", errno.into()))?;
    // Not to wait for a writer where the image has a pipe in place of the file.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let file = match openat2(&root, path, flags, Mode::empty(), inside) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(String::new()),
        Err(errno) => return Err(failed("open", errno.into())),
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE)
        .read_to_end(&mut bytes)
        .map_err(|source| failed("read", source))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/sh\nwww:x:33:34::/srv:/bin/false\n7:x:900:901::/x:\n";
    const GROUP: &str = "root:x:0:\nweb:x:34:\nlogs:x:50:www,root\nadm:x:51:www\n";

    fn found(text: &str) -> Found {
        lookup(text, PASSWD, GROUP).unwrap()
    }

    fn text(error: RuntimeError) -> String {
        error.to_string()
    }

    #[test]
    fn nobody_named_is_root_with_its_groups() {
        let root = Found {
            uid: 0,
            gid: 0,
            groups: vec![50],
            home: "/root".into(),
        };
        assert_eq!(found(""), root);
        assert_eq!(found("root"), root);
        assert_eq!(lookup("", "", "").unwrap().home, "/");
    }

    #[test]
    fn a_name_or_its_number_brings_its_groups_unless_one_is_named() {
        let www = Found {
            uid: 33,
            gid: 34,
            groups: vec![50, 51],
            home: "/srv".into(),
        };
        assert_eq!(found("www"), www);
        assert_eq!(found("33"), www);
        assert_eq!(
            found("www:adm"),
            Found {
                gid: 51,
                groups: vec![],
                ..www
            }
        );
        assert_eq!(found("33:7").gid, 7);
    }

    #[test]
    fn a_number_nobody_has_is_taken_as_it_is() {
        assert_eq!(
            found("4000"),
            Found {
                uid: 4000,
                gid: 0,
                groups: vec![],
                home: "/".into()
            }
        );
        assert_eq!(found("7").uid, 900, "a name of digits comes first");
    }

    #[test]
    fn unknown_names_are_refused_in_dockers_words() {
        let refused = |user| text(lookup(user, PASSWD, GROUP).unwrap_err());
        assert_eq!(
            refused("me"),
            "unable to find user me: no matching entries in passwd file"
        );
        assert_eq!(
            refused("www:x"),
            "unable to find group x: no matching entries in group file"
        );
        assert_eq!(
            refused("2147483648"),
            "uids and gids must be in range 0-2147483647"
        );
        assert_eq!(refused("-1"), "uids and gids must be in range 0-2147483647");
    }

    #[test]
    fn a_link_does_not_lead_out_of_the_root_file_system() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        std::os::unix::fs::symlink("/../../../etc/passwd", folder.path().join("etc/passwd"))
            .unwrap();
        assert!(
            read_inside(folder.path(), "etc/passwd").is_err(),
            "a link to itself"
        );
        std::fs::remove_file(folder.path().join("etc/passwd")).unwrap();
        std::os::unix::fs::symlink("/etc/shadow", folder.path().join("etc/passwd")).unwrap();
        assert_eq!(read_inside(folder.path(), "etc/passwd").unwrap(), "");
    }
}
