//! The network use cases for a process that lasts one call: a plugin, a command of the operator.
//!
//! One process at a time owns a data root and an exec root, and has the truth about them in memory.
//! A daemon owns them for its life, any other process for one call: it waits for its turn, opens,
//! runs one use case, saves, leaves. Where a daemon owns them, the use case runs in there, asked for
//! over a socket in the exec root that root alone can use. So the same call works with and without a
//! daemon, and none sees half of what another does.
//!
//! Start at [`call()`]; what can be asked for is in `request`, a session of one call in `own`, the
//! daemon's side in `daemon`.

mod ask;
mod call;
mod daemon;
mod own;
mod request;
pub mod settings;
mod territory;

pub use call::{Roots, SessionError, call};
pub use daemon::Calls;
pub use request::{Answer, Call, Refusal, ShownSandbox, sandbox_id};
pub use settings::SettingsError;
pub use territory::{TURN, Territory, TerritoryError, make_exec_root};
