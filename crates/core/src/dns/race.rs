//! Races: whom to ask when, so that one dead upstream is hardly felt.
//!
//! The upstreams have an order, and the first is asked first. If it has not answered after a
//! moment the next is asked too, and so on; the first good answer wins. What a later server denies
//! is believed only when the earlier ones had their time: they may know names that it does not.

use std::time::{Duration, Instant};

/// How long an upstream is waited for before the next is asked as well.
const HEDGE: Duration = Duration::from_millis(25);
/// How long a later upstream's "no" waits for an earlier one to know better.
const PATIENCE: Duration = Duration::from_secs(1);
/// When an upstream is asked again: one lost packet must not cost the client its own time-out.
const RESEND: Duration = Duration::from_secs(1);
/// When an upstream has failed.
const TIMEOUT: Duration = Duration::from_secs(4);

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask this upstream, now.
    Ask(usize),
    /// Look again then.
    Wait(Instant),
    /// Deliver the answer that was held back.
    Deliver,
    /// Tell the client that nobody answered.
    GiveUp,
}

/// What to do with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the answer.
    Deliver,
    /// Keep it until [`Next::Deliver`].
    Hold,
}

/// The asking of one question.
#[derive(Clone, Debug)]
pub struct Race {
    lanes: Vec<Lane>,
    held: Option<Held>,
}

/// A "no" that an upstream before this one may correct for a while.
#[derive(Clone, Copy, Debug)]
struct Held {
    upstream: usize,
    until: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Lane {
    upstream: usize,
    /// Whether it is not expected to answer.
    suspect: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Asked { since: Instant, again: bool },
    TimedOut,
    Done,
}

impl Race {
    /// A race among upstreams, known by their place in the configuration. Those that are not
    /// expected to answer come last, and nobody waits for them.
    pub fn new(upstreams: impl IntoIterator<Item = (usize, bool)>) -> Self {
        let lane = |(upstream, suspect)| Lane {
            upstream,
            suspect,
            state: State::Idle,
        };
        let mut lanes: Vec<_> = upstreams.into_iter().map(lane).collect();
        lanes.sort_by_key(|lane| (lane.suspect, lane.upstream));
        Self { lanes, held: None }
    }

    /// What to do now. Ask again after each [`Next::Ask`].
    pub fn next(&mut self, now: Instant) -> Next {
        for lane in &mut self.lanes {
            if lane.asked_at().is_some_and(|since| now >= since + TIMEOUT) {
                lane.state = State::TimedOut;
            }
        }
        if self
            .held
            .is_some_and(|held| now >= held.until || !self.may_be_corrected(held.upstream))
        {
            return Next::Deliver;
        }
        if let Some(upstream) = self.start_another(now).or_else(|| self.ask_again(now)) {
            return Next::Ask(upstream);
        }
        self.wake_ups().min().map_or(Next::GiveUp, Next::Wait)
    }

    /// An upstream answered; `negative` if it knows no such name or record.
    pub fn answered(&mut self, upstream: usize, negative: bool, now: Instant) -> Verdict {
        self.failed(upstream);
        if negative && self.may_be_corrected(upstream) {
            self.held.get_or_insert(Held {
                upstream,
                until: now + PATIENCE,
            });
            return Verdict::Hold;
        }
        Verdict::Deliver
    }

    /// An upstream cannot be asked, or answered that it failed.
    pub fn failed(&mut self, upstream: usize) {
        for lane in self
            .lanes
            .iter_mut()
            .filter(|lane| lane.upstream == upstream)
        {
            lane.state = State::Done;
        }
    }

    /// The upstreams that were asked long enough ago to have answered, and have not.
    pub fn silent(&self, now: Instant) -> impl Iterator<Item = usize> {
        let late = move |lane: &&Lane| match lane.state {
            State::Asked { since, .. } => now >= since + HEDGE,
            State::TimedOut => true,
            State::Idle | State::Done => false,
        };
        self.lanes.iter().filter(late).map(|lane| lane.upstream)
    }

    /// Whether an upstream before this one is expected to answer still.
    fn may_be_corrected(&self, upstream: usize) -> bool {
        let expected = |lane: &Lane| !lane.suspect && lane.asked_at().is_some();
        self.lanes
            .iter()
            .any(|lane| lane.upstream < upstream && expected(lane))
    }

    fn start_another(&mut self, now: Instant) -> Option<usize> {
        let due = self.held.is_none() && self.hedge_at().is_none_or(|hedge| now >= hedge);
        let idle = self
            .lanes
            .iter_mut()
            .find(|lane| lane.state == State::Idle)
            .filter(|_| due)?;
        idle.state = State::Asked {
            since: now,
            again: false,
        };
        Some(idle.upstream)
    }

    fn ask_again(&mut self, now: Instant) -> Option<usize> {
        self.lanes.iter_mut().find_map(|lane| match lane.state {
            State::Asked {
                since,
                again: false,
            } if now >= since + RESEND => {
                lane.state = State::Asked { since, again: true };
                Some(lane.upstream)
            }
            State::Idle | State::Asked { .. } | State::TimedOut | State::Done => None,
        })
    }

    /// When the next upstream is asked; `None` if none is being waited for.
    fn hedge_at(&self) -> Option<Instant> {
        self.lanes
            .iter()
            .filter_map(Lane::asked_at)
            .max()
            .map(|latest| latest + HEDGE)
    }

    fn wake_ups(&self) -> impl Iterator<Item = Instant> {
        let more = self.lanes.iter().any(|lane| lane.state == State::Idle);
        let hedge = self.hedge_at().filter(|_| more && self.held.is_none());
        let lanes = self.lanes.iter().filter_map(|lane| match lane.state {
            State::Asked {
                since,
                again: false,
            } => Some(since + RESEND),
            State::Asked { since, again: true } => Some(since + TIMEOUT),
            State::Idle | State::TimedOut | State::Done => None,
        });
        lanes.chain(hedge).chain(self.held.map(|held| held.until))
    }
}

impl Lane {
    fn asked_at(&self) -> Option<Instant> {
        match self.state {
            State::Asked { since, .. } => Some(since),
            State::Idle | State::TimedOut | State::Done => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::some_instant;

    struct Clock {
        start: Instant,
        race: Race,
    }

    /// A race, and its clock in milliseconds.
    fn race(upstreams: &[(usize, bool)]) -> Clock {
        Clock {
            start: some_instant(),
            race: Race::new(upstreams.iter().copied()),
        }
    }

    impl Clock {
        fn at(&self, milliseconds: u64) -> Instant {
            self.start + Duration::from_millis(milliseconds)
        }

        fn next(&mut self, milliseconds: u64) -> Next {
            self.race.next(self.at(milliseconds))
        }

        fn waits(&mut self, now: u64, until: u64) {
            assert_eq!(self.next(now), Next::Wait(self.at(until)), "at {now}");
        }
    }

    #[test]
    fn the_next_upstream_is_asked_when_one_is_silent_for_a_moment() {
        let mut race = race(&[(0, false), (1, false), (2, false)]);
        assert_eq!(race.next(0), Next::Ask(0));
        race.waits(0, 25);
        assert_eq!(race.next(25), Next::Ask(1));
        race.waits(25, 50);
        assert_eq!(race.next(50), Next::Ask(2));
        race.waits(50, 1000);
        assert_eq!(race.race.silent(race.at(60)).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn the_next_upstream_is_asked_at_once_when_one_fails() {
        let mut race = race(&[(0, false), (1, false)]);
        assert_eq!(race.next(0), Next::Ask(0));
        race.race.failed(0);
        assert_eq!(race.next(3), Next::Ask(1));
        race.race.failed(1);
        assert_eq!(race.next(4), Next::GiveUp);
    }

    #[test]
    fn every_upstream_has_four_seconds_and_is_reminded_once() {
        let mut race = race(&[(0, false)]);
        assert_eq!(race.next(0), Next::Ask(0));
        race.waits(0, 1000);
        assert_eq!(race.next(1000), Next::Ask(0));
        race.waits(1000, 4000);
        assert_eq!(race.next(3999), Next::Wait(race.at(4000)));
        assert_eq!(race.next(4000), Next::GiveUp);
        assert_eq!(race.race.silent(race.at(4000)).collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn a_suspect_comes_last() {
        let mut race = race(&[(0, true), (1, false)]);
        assert_eq!(race.next(0), Next::Ask(1));
        assert_eq!(race.next(25), Next::Ask(0));
    }

    #[test]
    fn without_upstreams_there_is_nothing_to_wait_for() {
        assert_eq!(race(&[]).next(0), Next::GiveUp);
    }

    #[test]
    fn a_later_no_waits_for_an_earlier_upstream() {
        let mut race = race(&[(0, false), (1, false), (2, false)]);
        race.next(0);
        race.next(25);
        assert_eq!(race.race.answered(1, true, race.at(30)), Verdict::Hold);
        race.waits(30, 1000);
        assert_eq!(
            race.race.clone().answered(0, false, race.at(40)),
            Verdict::Deliver
        );
        assert_eq!(
            race.race.clone().answered(0, true, race.at(40)),
            Verdict::Deliver
        );
        let mut failed = race.race.clone();
        failed.failed(0);
        assert_eq!(failed.next(race.at(40)), Next::Deliver);
        assert_eq!(race.next(1030), Next::Deliver);
    }

    #[test]
    fn a_no_waits_neither_for_suspects_nor_for_later_upstreams() {
        let mut race = race(&[(0, true), (1, false), (2, false)]);
        assert_eq!(
            (race.next(0), race.next(25), race.next(50)),
            (Next::Ask(1), Next::Ask(2), Next::Ask(0))
        );
        assert_eq!(race.race.answered(1, true, race.at(60)), Verdict::Deliver);
    }

    #[test]
    fn a_yes_is_believed_from_anybody() {
        let mut race = race(&[(0, false), (1, false)]);
        race.next(0);
        race.next(25);
        assert_eq!(race.race.answered(1, false, race.at(30)), Verdict::Deliver);
    }
}
