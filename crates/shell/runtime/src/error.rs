//! What can go wrong with container processes.

use crate::refusal::{Cause, Refusal};
use sealane_core::model::{ErrorClass, Id};
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why an operation on a container's process failed. Texts that clients know are Docker's.
#[derive(Debug, Error)]
pub enum RuntimeError {
    /// A needed program is missing.
    #[error("no {program} found in {searched}; install the package {program}")]
    Missing {
        /// The program.
        program: &'static str,
        /// The folders that were searched.
        searched: String,
    },
    /// No OCI runtime of those found passed the trial.
    #[error("no OCI runtime works here ({attempts}); install runc")]
    NoneWorks {
        /// What each said.
        attempts: String,
    },
    /// The user or group is not known in the root file system, or out of range.
    #[error("{0}")]
    User(String),
    /// A capability, a signal, a mount or another part of the request is not valid.
    #[error("{0}")]
    InvalidSpec(String),
    /// The OCI runtime refused to make the container.
    #[error(
        "failed to create task for container: failed to create shim task: OCI runtime create failed: {0}: unknown"
    )]
    Create(Refusal),
    /// The OCI runtime refused to start the container's program.
    #[error(
        "failed to create task for container: failed to start shim task: OCI runtime start failed: {0}: unknown"
    )]
    Start(Refusal),
    /// The OCI runtime refused to run another program in the container.
    #[error("OCI runtime exec failed: {0}: unknown")]
    Exec(Refusal),
    /// conmon ended or hung without saying whether there is a process.
    #[error("{} did not do its work: {words}", conmon.display())]
    Supervisor {
        /// Where it is.
        conmon: PathBuf,
        /// What it and the OCI runtime left in their logs.
        words: String,
    },
    /// A program other than the runtime's create, start and exec failed.
    #[error("{what} of {id} failed: {message}")]
    Program {
        /// Which command.
        what: &'static str,
        /// For which container or exec.
        id: Id,
        /// What it said.
        message: String,
    },
    /// There is no such process here.
    #[error("{0} has no process here")]
    NotFound(Id),
    /// The process has ended.
    #[error("the process of {0} has ended")]
    Ended(Id),
    /// A process with this id exists already.
    #[error("{0} has a process already; delete it first")]
    Exists(Id),
    /// A file, folder or socket could not be used.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A record, log line or answer cannot be understood.
    #[error("{} cannot be understood: {reason}", path.display())]
    Damaged {
        /// Where it stands.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl RuntimeError {
    /// The kind of failure, for the answer to a request.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Create(refusal) | Self::Start(refusal) | Self::Exec(refusal) => {
                match refusal.cause {
                    Cause::NotFound | Cause::NotExecutable => ErrorClass::InvalidArgument,
                    Cause::Other => ErrorClass::Internal,
                }
            }
            Self::User(_) | Self::InvalidSpec(_) => ErrorClass::InvalidArgument,
            Self::NotFound(_) => ErrorClass::NotFound,
            Self::Ended(_) | Self::Exists(_) => ErrorClass::Conflict,
            Self::Missing { .. } | Self::NoneWorks { .. } => ErrorClass::Unavailable,
            Self::Supervisor { .. }
            | Self::Program { .. }
            | Self::File { .. }
            | Self::Damaged { .. } => ErrorClass::Internal,
        }
    }

    /// The exit code Docker gives a container or exec that failed to start so: 127 when the
    /// program was not found, 126 when it may not be executed, else 128. `None` if the failure
    /// is not one of starting.
    pub fn exit_code(&self) -> Option<i32> {
        match self {
            Self::Create(refusal) | Self::Start(refusal) | Self::Exec(refusal) => {
                Some(refusal.exit_code())
            }
            Self::Missing { .. }
            | Self::NoneWorks { .. }
            | Self::User(_)
            | Self::InvalidSpec(_)
            | Self::Supervisor { .. }
            | Self::Program { .. }
            | Self::NotFound(_)
            | Self::Ended(_)
            | Self::Exists(_)
            | Self::File { .. }
            | Self::Damaged { .. } => None,
        }
    }
}
