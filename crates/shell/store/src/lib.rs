//! What survives a restart.
//!
//! - *Desired state* in [`Store`]: networks, containers, reservations. Under the data root, durable
//!   before the API answers, one [`Batch`] per call.
//! - *Runtime state* in [`Records`]: what runs, one file per sandbox. Under the exec root, and gone
//!   with the boot that it belongs to ([`BootId`]).
//! - *Claims* in [`Journal`]: the kernel objects that are ours, written down before they are made.
//!
//! All of them are on a [`Disk`]: this machine's, or one in memory for tests.
//!
//! Knows nothing of what it keeps: values are whatever `serde` can write. Never a second copy of
//! what the kernel can be asked for.

mod batch;
mod boot;
mod disk;
mod error;
mod journal;
mod lock;
mod memory;
pub mod private;
mod records;
mod spare;
mod store;

pub use batch::{Batch, Table};
pub use boot::{BootId, BootIdError};
pub use disk::{Appended, Disk, LocalDisk};
pub use error::StoreError;
pub use journal::{Journal, JournalError};
pub use lock::{Holder, Tenure};
pub use memory::MemoryDisk;
pub use records::{LoadedRecords, RecordError, Records};
/// Where a test may make the process die; for those who write files of their own beside the store.
pub use sealane_kernel::fault;
pub use store::Store;
