//! What an entry of a layer says about its file besides the content.

use crate::extract::itself;
use rustix::fs::{
    AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat, lsetxattr,
};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use tar::Entry;

/// What an entry says about owner, mode, attributes and times.
pub(crate) struct Metadata {
    uid: u32,
    gid: u32,
    mode: u32,
    pub(crate) times: Timestamps,
    attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Metadata {
    /// Reads it.
    pub(crate) fn of<R: Read>(entry: &mut Entry<'_, R>) -> io::Result<Self> {
        let mut attributes = Vec::new();
        for extension in entry.pax_extensions()?.into_iter().flatten() {
            let extension = extension?;
            if let Some(name) = extension.key_bytes().strip_prefix(b"SCHILY.xattr.") {
                attributes.push((name.to_vec(), extension.value_bytes().to_vec()));
            }
        }
        // They would be taken for instructions by overlayfs.
        attributes.retain(|(name, _)| !name.starts_with(b"trusted.overlay."));
        let header = entry.header();
        let number = |value: u64| u32::try_from(value).map_err(|_| io::Error::from(Errno::INVAL));
        let fields = header.as_old();
        let seconds = blank_is_zero(&fields.mtime, header.mtime())?;
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        let time = Timespec {
            tv_sec: seconds,
            tv_nsec: 0,
        };
        Ok(Self {
            uid: number(blank_is_zero(&fields.uid, header.uid())?)?,
            gid: number(blank_is_zero(&fields.gid, header.gid())?)?,
            mode: blank_is_zero(&fields.mode, header.mode())? & 0o7777,
            times: Timestamps {
                last_access: time,
                last_modification: time,
            },
            attributes,
        })
    }

    /// Gives it to what was made of the entry, but for the times.
    pub(crate) fn apply(&self, parent: &OwnedFd, name: &OsStr, is_symlink: bool) -> io::Result<()> {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        chownat(
            parent,
            name,
            Some(uid),
            Some(gid),
            AtFlags::SYMLINK_NOFOLLOW,
        )?;
        if !is_symlink {
            // After the owner, whose change takes set-user-id away.
            chmodat(
                parent,
                name,
                Mode::from_raw_mode(self.mode),
                AtFlags::empty(),
            )?;
        }
        let path = itself(parent).join(name);
        for (attribute, value) in &self.attributes {
            match lsetxattr(&path, attribute.as_slice(), value, XattrFlags::empty()) {
                Err(Errno::NOTSUP) => {
                    tracing::debug!(path = %name.display(), "this file system keeps no attributes");
                }
                set => set?,
            }
        }
        Ok(())
    }
}

/// A number of a header. One that was left blank is zero, as Go reads it, and so Docker.
fn blank_is_zero<T: Default>(field: &[u8], read: io::Result<T>) -> io::Result<T> {
    if field.iter().all(|byte| matches!(byte, 0 | b' ')) {
        return Ok(T::default());
    }
    read
}

#[cfg(test)]
mod tests {
    use crate::extract::unpack;
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    use tar::{Builder, Header};

    #[test]
    fn what_a_header_leaves_blank_is_zero() {
        let mut header = Header::new_ustar();
        header.set_size(1);
        header.set_mode(0o640);
        let fields = header.as_old_mut();
        (fields.uid, fields.gid, fields.mtime) = ([0; 8], [b' '; 8], [0; 12]);
        let mut builder = Builder::new(Vec::new());
        builder.append_data(&mut header, "file", &b"x"[..]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        unpack(&builder.into_inner().unwrap()[..], folder.path()).unwrap();
        let about = fs::metadata(folder.path().join("file")).unwrap();
        assert_eq!((about.uid(), about.gid(), about.mtime()), (0, 0, 0));
        assert_eq!(about.mode() & 0o7777, 0o640);
    }
}
