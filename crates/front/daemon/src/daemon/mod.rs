//! `sealane daemon`: puts the parts together, serves until a signal, and ends in order.
//!
//! Start at [`run`]. Nothing is touched before the settings are checked; what is made then is made
//! in the order the parts need each other, and undone by the part that made it.

mod error;
mod facts;
mod identity;
mod limits;
mod logging;
mod monitors;
mod parts;
mod passed;
mod pidfile;
mod reload;
mod serve;
mod signals;
mod sockets;
mod spans;

pub(crate) use error::DaemonError;
pub(crate) use pidfile::Pidfile;

use crate::config::{CalledAs, Config};
use clap::ArgMatches;
use std::error::Error;

/// Reads the settings and runs the daemon to its end.
pub(crate) fn run(matches: &ArgMatches, called_as: CalledAs) -> Result<(), Box<dyn Error>> {
    let config = Config::load(matches, called_as)?;
    if config.validate {
        println!("configuration OK");
        return Ok(());
    }
    let spans = spans::start()?;
    let logging = logging::start(config.level, config.raw_logs, spans.as_ref());
    serve::serve(config, matches, called_as, &logging)?;
    Ok(())
}
