//! The steps of a run in memory: everything that fakes are asked to change, counted, so that a test
//! can have any one refused, or have everything end there.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What goes wrong, and at which step. The first is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This one step is refused.
    Refused(usize),
    /// Nothing is done any more from this step on, as when the process is killed.
    Dead(usize),
}

/// A count that several fakes share. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Steps(Arc<Mutex<Run>>);

#[derive(Debug, Default)]
struct Run {
    taken: usize,
    fault: Option<Fault>,
    struck: Option<String>,
}

impl Steps {
    /// Counts from 0, with this fault ahead.
    pub fn begin(&self, fault: Option<Fault>) {
        *self.run() = Run {
            fault,
            ..Run::default()
        };
    }

    /// Has no fault ahead any more. What was counted stays.
    pub fn pause(&self) {
        self.run().fault = None;
    }

    /// How many were taken or refused since the count began.
    pub fn taken(&self) -> usize {
        self.run().taken
    }

    /// The first step that the fault has met.
    pub fn struck(&self) -> Option<String> {
        self.run().struck.clone()
    }

    /// Takes a step. `refusal` is the error number of this kind of step; `what` is given by
    /// [`Steps::struck`].
    pub fn take(&self, refusal: i32, what: impl FnOnce() -> String) -> io::Result<()> {
        let mut run = self.run();
        let step = run.taken;
        run.taken += 1;
        let error = match run.fault {
            Some(Fault::Refused(at)) if at == step => io::Error::from_raw_os_error(refusal),
            Some(Fault::Dead(at)) if at <= step => {
                io::Error::new(io::ErrorKind::BrokenPipe, "dead")
            }
            Some(Fault::Refused(_) | Fault::Dead(_)) | None => return Ok(()),
        };
        run.struck.get_or_insert_with(what);
        Err(error)
    }

    fn run(&self) -> MutexGuard<'_, Run> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three(fault: Option<Fault>) -> ([bool; 3], Option<String>) {
        let steps = Steps::default();
        steps.begin(fault);
        let take = |name: &str| steps.take(libc::EPERM, || name.into()).is_ok();
        (["a", "b", "c"].map(take), steps.struck())
    }

    #[test]
    fn one_step_is_refused_or_all_from_it_on() {
        assert_eq!(three(None), ([true; 3], None));
        let struck = Some("b".to_owned());
        assert_eq!(
            three(Some(Fault::Refused(1))),
            ([true, false, true], struck.clone())
        );
        assert_eq!(three(Some(Fault::Dead(1))), ([true, false, false], struck));
    }
}
