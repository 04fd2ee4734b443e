//! The figures, one file each. A figure makes its own stage, so that none finds another's remains.

pub(crate) mod attach;
pub(crate) mod beside;
pub(crate) mod calls;
pub(crate) mod crowd;
pub(crate) mod footprint;
pub(crate) mod hang;
pub(crate) mod lab;
pub(crate) mod life;
pub(crate) mod many;
pub(crate) mod names;
pub(crate) mod paths;
pub(crate) mod ports;
pub(crate) mod publish;
pub(crate) mod restart;
pub(crate) mod start;

use crate::error::{BenchError, Result, chain};
use crate::report::Row;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// So few rounds are always made.
const FEW: usize = 3;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// A few rounds of everything, to see that it works.
    pub(crate) quick: bool,
}

/// A figure: its name on the command line, and what takes it.
pub(crate) type Figure = (&'static str, fn(Extent) -> Result<Vec<Row>>);

/// All of them, in the order of the table.
pub(crate) const ALL: [Figure; 15] = [
    ("attach", attach::take),
    ("hang", hang::take),
    ("start", start::take),
    ("life", life::take),
    ("ports", ports::take),
    ("publish", publish::take),
    ("crowd", crowd::take),
    ("names", names::take),
    ("paths", paths::take),
    ("lab", lab::take),
    ("footprint", footprint::take),
    ("restart", restart::take),
    ("calls", calls::take),
    ("beside", beside::take),
    // Last: the kernel takes a while to be rid of so many links.
    ("many", many::take),
];

/// What is taken elsewhere for one of the others.
pub(crate) const ELSEWHERE: [Figure; 1] = [(lab::FIGURE, paths::take_in_lab)];

impl Extent {
    /// The numbers of so many rounds, or of a few. They end early when their time is over: on a
    /// busy machine fewer rounds are better than no table.
    pub(crate) fn rounds(self, full: usize, span: Duration) -> impl Iterator<Item = usize> {
        let begin = Instant::now();
        let count = if self.quick { full.min(FEW) } else { full };
        (0..count).take_while(move |&round| round < FEW || begin.elapsed() < span)
    }

    /// The size of something, or a small one.
    pub(crate) fn size<T>(self, full: T, small: T) -> T {
        if self.quick { small } else { full }
    }
}

/// Takes a figure. What goes wrong becomes a row, so that the others are taken all the same.
pub(crate) fn take((name, figure): Figure, extent: Extent) -> Vec<Row> {
    let taken = catch_unwind(AssertUnwindSafe(|| figure(extent)));
    let rows = taken.unwrap_or_else(|panic| Err(BenchError::Panicked(message(&*panic))));
    rows.unwrap_or_else(|error| vec![Row::missing(name, chain(&error))])
}

/// The text of a panic: the test kit gives up that way.
fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    let text = text.unwrap_or("it gave up without a word");
    let one_line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    one_line.chars().take(300).collect()
}
