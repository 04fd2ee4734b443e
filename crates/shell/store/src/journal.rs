//! Claims: which kernel objects are ours.

use crate::BootId;
use crate::disk::{Appended, Disk, LocalDisk};
use sealane_kernel::fault;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use thiserror::Error;

/// Dead lines that are put up with before the file is written anew.
const DEAD_LINES: usize = 20_000;
/// The same at the end of a session: the next one reads them all.
const DEAD_LINES_LEFT: usize = 500;

/// Why the journal cannot be read or written.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The system refused; the claim or release was not written.
    #[error("cannot write the journal of claims {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line in the middle is not a claim.
    #[error(
        "line {line} of the journal {} cannot be read; `sealane purge` removes what is ours by name",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, counted from one.
        line: usize,
    },
    /// The claims are another owner's.
    #[error(
        "the claims in {} are of the owner \"{owner}\"; start with --owner {owner}, or choose \
         another --exec-root",
        path.display()
    )]
    OtherOwner {
        /// The file.
        path: PathBuf,
        /// Who wrote it.
        owner: String,
    },
    /// A key cannot be written as JSON.
    #[error("a key cannot be written to the journal {}", path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
}

/// The append-only list of the keys we claimed and released. Each call is one write, which a crash
/// of the daemon leaves behind whole or not at all; there is no sync, because the kernel objects
/// do not outlive the machine either.
#[derive(Debug)]
pub struct Journal<K> {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    stamp: Stamp,
    state: Mutex<State>,
    kind: PhantomData<fn(K)>,
}

/// Whose claims, and of which boot: what the first line says.
#[derive(Clone, Debug)]
struct Stamp {
    boot: BootId,
    owner: String,
}

/// The owner that the first line does not name.
const USUAL_OWNER: &str = "sealane";
const OWNER: &str = " owner ";

impl Stamp {
    fn line(&self) -> String {
        let boot = self.boot.as_str();
        if self.owner == USUAL_OWNER {
            format!("boot {boot}\n")
        } else {
            format!("boot {boot}{OWNER}{}\n", self.owner)
        }
    }

    /// The owner that a first line of this boot names.
    fn owner_in(&self, line: &str) -> Option<String> {
        let rest = line
            .strip_prefix("boot ")?
            .strip_prefix(self.boot.as_str())?;
        match rest.strip_prefix(OWNER) {
            None => rest.is_empty().then(|| USUAL_OWNER.to_owned()),
            Some(owner) => Some(owner.to_owned()),
        }
    }
}

#[derive(Debug)]
struct State {
    file: Box<dyn Appended>,
    bytes: u64,
    /// Lines that a compaction would leave out.
    dead: usize,
}

/// What a journal file says.
struct Contents<K> {
    claimed: BTreeSet<K>,
    lines: usize,
    /// How much of it is sound: a torn last line is cut off.
    bytes: u64,
}

impl<K: Serialize + DeserializeOwned + Ord> Journal<K> {
    /// Opens the journal, and returns what is claimed. Claims of another boot are dropped: their
    /// objects are gone with it.
    pub fn open(path: &Path, boot: BootId) -> Result<(Self, BTreeSet<K>), JournalError> {
        Self::open_of(path, boot, USUAL_OWNER)
    }

    /// The same for an owner by name. Claims of another one's are refused: its objects bear other
    /// marks, and would stay behind.
    pub fn open_of(
        path: &Path,
        boot: BootId,
        owner: &str,
    ) -> Result<(Self, BTreeSet<K>), JournalError> {
        Self::open_on(Arc::new(LocalDisk), path, boot, owner)
    }

    /// The same on any disk.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        path: &Path,
        boot: BootId,
        owner: &str,
    ) -> Result<(Self, BTreeSet<K>), JournalError> {
        let stamp = Stamp {
            boot,
            owner: owner.to_owned(),
        };
        let contents = read(&*disk, path, &stamp)?;
        let mut file = disk.append_to(path).map_err(at(path))?;
        let mut bytes = contents.bytes;
        file.set_len(bytes).map_err(at(path))?;
        if bytes == 0 {
            let header = stamp.line();
            file.append(header.as_bytes()).map_err(at(path))?;
            bytes = header.len() as u64;
        }
        let dead = contents.lines - contents.claimed.len();
        let state = Mutex::new(State { file, bytes, dead });
        let journal = Self {
            disk,
            path: path.to_owned(),
            stamp,
            state,
            kind: PhantomData,
        };
        Ok((journal, contents.claimed))
    }

    /// Writes down that objects are ours; to be called before they are made.
    pub fn claim<'a>(&self, keys: impl IntoIterator<Item = &'a K>) -> Result<(), JournalError>
    where
        K: 'a,
    {
        self.append('+', keys).map(drop)
    }

    /// Writes down that objects are no longer ours; to be called after they are gone.
    pub fn release<'a>(&self, keys: impl IntoIterator<Item = &'a K>) -> Result<(), JournalError>
    where
        K: 'a,
    {
        // A release makes its own line and that of the claim superfluous.
        let dead = self.append('-', keys)? * 2;
        let mut state = self.state();
        state.dead += dead;
        if state.dead > DEAD_LINES {
            self.rewrite(&mut state)
        } else {
            Ok(())
        }
    }

    /// What is claimed and not released.
    pub fn load(&self) -> Result<BTreeSet<K>, JournalError> {
        let _state = self.state();
        Ok(read(&*self.disk, &self.path, &self.stamp)?.claimed)
    }

    /// Leaves a file that is soon read, at the end of a session.
    pub fn tidy(&self) -> Result<(), JournalError> {
        let mut state = self.state();
        match state.dead > DEAD_LINES_LEFT {
            true => self.rewrite(&mut state),
            false => Ok(()),
        }
    }

    /// Writes the file anew, with nothing but what is claimed.
    pub fn compact(&self) -> Result<(), JournalError> {
        self.rewrite(&mut self.state())
    }

    fn append<'a>(
        &self,
        sign: char,
        keys: impl IntoIterator<Item = &'a K>,
    ) -> Result<usize, JournalError>
    where
        K: 'a,
    {
        let (lines, text) = self.encode(sign, keys)?;
        if lines == 0 {
            return Ok(0);
        }
        let mut state = self.state();
        fault::point(if sign == '+' {
            "journal claim"
        } else {
            "journal release"
        });
        if let Err(source) = state.file.append(text.as_bytes()) {
            // What was written of it would be a torn line in front of the next one.
            let sound = state.bytes;
            state.file.set_len(sound).map_err(at(&self.path))?;
            return Err(JournalError::Io {
                path: self.path.clone(),
                source,
            });
        }
        state.bytes += text.len() as u64;
        Ok(lines)
    }

    fn encode<'a>(
        &self,
        sign: char,
        keys: impl IntoIterator<Item = &'a K>,
    ) -> Result<(usize, String), JournalError>
    where
        K: 'a,
    {
        let mut text = String::new();
        let mut lines = 0;
        for key in keys {
            let json = serde_json::to_string(key).map_err(|source| JournalError::Encode {
                path: self.path.clone(),
                source,
            })?;
            text.push(sign);
            text.push_str(&json);
            text.push('\n');
            lines += 1;
        }
        Ok((lines, text))
    }

    fn rewrite(&self, state: &mut State) -> Result<(), JournalError> {
        let claimed = read::<K>(&*self.disk, &self.path, &self.stamp)?.claimed;
        let text = self.stamp.line() + &self.encode('+', &claimed)?.1;
        let new = self.path.with_extension("new");
        fault::point("journal rewrite");
        self.disk.write(&new, text.as_bytes()).map_err(at(&new))?;
        let file = self.disk.append_to(&new).map_err(at(&new))?;
        let renamed = self.disk.rename(&new, &self.path);
        renamed.map_err(at(&self.path))?;
        *state = State {
            file,
            bytes: text.len() as u64,
            dead: 0,
        };
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read<K: DeserializeOwned + Ord>(
    disk: &dyn Disk,
    path: &Path,
    stamp: &Stamp,
) -> Result<Contents<K>, JournalError> {
    let nothing = Contents {
        claimed: BTreeSet::new(),
        lines: 0,
        bytes: 0,
    };
    let text = match disk.read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(nothing),
        Err(source) => {
            return Err(JournalError::Io {
                path: path.to_owned(),
                source,
            });
        }
    };
    let sound = text
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |end| end + 1);
    let Some(body) = text[..sound].strip_prefix(stamp.line().as_bytes()) else {
        let first = text[..sound].split(|&byte| byte == b'\n').next();
        let first = first.and_then(|line| str::from_utf8(line).ok());
        return match first.and_then(|line| stamp.owner_in(line)) {
            None => Ok(nothing),
            Some(owner) => Err(JournalError::OtherOwner {
                path: path.to_owned(),
                owner,
            }),
        };
    };

    let mut contents = Contents {
        bytes: sound as u64,
        ..nothing
    };
    for line in body.split_inclusive(|&byte| byte == b'\n') {
        contents.lines += 1;
        if !replay(line, &mut contents.claimed) {
            return Err(JournalError::Damaged {
                path: path.to_owned(),
                line: contents.lines + 1,
            });
        }
    }
    Ok(contents)
}

/// Adds or removes what a line says; false if it says nothing we know.
fn replay<K: DeserializeOwned + Ord>(line: &[u8], claimed: &mut BTreeSet<K>) -> bool {
    let Some((sign, json)) = line.split_first() else {
        return false;
    };
    let Ok(key) = serde_json::from_slice::<K>(json) else {
        return false;
    };
    match sign {
        b'+' => claimed.insert(key),
        b'-' => claimed.remove(&key),
        _ => return false,
    };
    true
}

fn at(path: &Path) -> impl Fn(io::Error) -> JournalError {
    move |source| JournalError::Io {
        path: path.to_owned(),
        source,
    }
}
