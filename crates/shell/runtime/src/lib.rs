//! Container processes: an OCI runtime makes them, `conmon` watches over them.
//!
//! May touch the exec root (bundles, exit files), the log files under the data root, the cgroups
//! below its parent, and processes it started. It knows nothing of networks or images: it is
//! given a network namespace and a root file system by path.
//! A container outlives the daemon that made it: nothing here is held in memory only.
//! Start at [`Runtime`].

mod attach;
mod bundle;
mod cgroups;
mod config;
mod conmon;
mod delete;
mod error;
mod exec;
mod exits;
mod fault;
mod files;
mod identity;
mod layout;
mod logs;
pub mod outside;
mod process;
mod programs;
mod refusal;
mod room;
mod runtime;
mod spec;
mod top;
mod trial;
mod usage;
mod watch;

pub use attach::{Attach, MAX_FRAME, MAX_STDIN, Stream, decode_frame, stdin_chunks};
pub use bundle::check_capabilities;
pub use config::{RuntimeChoice, RuntimeConfig};
pub use error::RuntimeError;
pub use exits::{Exit, ExitOf};
pub use logs::{LogEntry, LogQuery, LogReader};
pub use process::{Created, ProcessTable, RunningExec, State};
pub use refusal::{Cause, Refusal};
pub use runtime::Runtime;
pub use spec::{
    Device, ExecSpec, Mount, MountKind, ProcessSpec, Propagation, Resources, Rlimit, Stdin,
};
pub use usage::{BlockUsage, CpuUsage, MemoryUsage, PidsUsage, Usage};

/// What this crate's operations return.
pub type Result<T, E = RuntimeError> = std::result::Result<T, E>;
