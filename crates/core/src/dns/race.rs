//! Races: whom to ask when, so that one dead upstream is hardly felt.
//!
//! The upstreams have an order, and the first is asked first. If it has not answered after a
//! moment the next is asked too, and so on; the first good answer wins. What a later server denies
//! is believed only when the earlier ones had their time: they may know names that it does not.
//!
//! Servers of one configuration are a group and should know the same names: what one of them denies
//! the others are not asked. Servers of another network are another group and may know more: a name
//! does not exist only when every group denied it, and of two groups that know it the earlier one
//! is right.

use std::time::{Duration, Instant};

/// How long an upstream is waited for before the next is asked as well.
const HEDGE: Duration = Duration::from_millis(25);
/// How long a later upstream's word waits for an earlier one to know better.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the denial of one group waits for another group: long enough to ask it twice,
const PATIENCE_ACROSS: Duration = Duration::from_secs(2);
/// and how long if no server of it is expected to answer.
const PATIENCE_SUSPECT: Duration = Duration::from_millis(250);
/// When an upstream is asked again: one lost packet must not cost the client its own time-out.
const RESEND: Duration = Duration::from_secs(1);
/// When an upstream has failed.
const TIMEOUT: Duration = Duration::from_secs(4);

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask this upstream, now.
    Ask(usize),
    /// Ask this upstream again: the first time it has not answered.
    Remind(usize),
    /// Look again then.
    Wait(Instant),
    /// Deliver what this upstream answered.
    Deliver(usize),
    /// Answer the client with a failure: no server answered.
    GiveUp,
}

/// What an upstream answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Found {
    /// What was asked for, or where to look for it.
    Records,
    /// The name exists, and has no such record.
    NoRecords,
    /// There is no such name.
    NoName,
}

/// An upstream that may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entrant {
    /// Its place in the configuration.
    pub upstream: usize,
    /// The group it is of; earlier groups come first.
    pub group: usize,
    /// Whether it is not expected to answer.
    pub suspect: bool,
}

/// The asking of one question.
#[derive(Clone, Debug)]
pub struct Race {
    lanes: Vec<Lane>,
    said: Vec<Said>,
}

/// What was answered, and not delivered yet.
#[derive(Clone, Copy, Debug)]
struct Said {
    upstream: usize,
    group: usize,
    found: Found,
    since: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Lane {
    entrant: Entrant,
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
    /// A race among upstreams. Those that are not expected to answer come last, and are not
    /// waited for.
    pub fn new(entrants: impl IntoIterator<Item = Entrant>) -> Self {
        let lane = |entrant| Lane {
            entrant,
            state: State::Idle,
        };
        let mut lanes: Vec<_> = entrants.into_iter().map(lane).collect();
        lanes.sort_by_key(|lane| {
            let Entrant {
                upstream,
                group,
                suspect,
            } = lane.entrant;
            (suspect, group, upstream)
        });
        Self {
            lanes,
            said: vec![],
        }
    }

    /// What to do now. Ask again after each [`Next::Ask`] and [`Next::Remind`].
    pub fn next(&mut self, now: Instant) -> Next {
        for lane in &mut self.lanes {
            if lane.asked_at().is_some_and(|since| now >= since + TIMEOUT) {
                lane.state = State::TimedOut;
            }
        }
        self.rest_denied_groups(now);
        if let Some((upstream, _)) = self.decision().filter(|(_, from)| now >= *from) {
            return Next::Deliver(upstream);
        }
        if let Some(upstream) = self.start_another(now) {
            return Next::Ask(upstream);
        }
        if let Some(upstream) = self.remind(now) {
            return Next::Remind(upstream);
        }
        let next = self.wake_ups().filter(|at| *at > now).min();
        next.map_or(Next::GiveUp, Next::Wait)
    }

    /// An upstream answered.
    pub fn answered(&mut self, upstream: usize, found: Found, now: Instant) {
        let mut lanes = self.lanes.iter();
        let lane = lanes.find(|lane| lane.entrant.upstream == upstream);
        let Some(group) = lane.map(|lane| lane.entrant.group) else {
            return;
        };
        self.failed(upstream);
        self.said.push(Said {
            upstream,
            group,
            found,
            since: now,
        });
    }

    /// An upstream cannot be asked, or answered that it failed.
    pub fn failed(&mut self, upstream: usize) {
        for lane in &mut self.lanes {
            if lane.entrant.upstream == upstream {
                lane.state = State::Done;
            }
        }
    }

    /// The upstreams that were asked long enough ago to have answered, and have not.
    pub fn silent(&self, now: Instant) -> impl Iterator<Item = usize> {
        let late = move |lane: &&Lane| match lane.state {
            State::Asked { since, .. } => now >= since + HEDGE,
            State::TimedOut => true,
            State::Idle | State::Done => false,
        };
        let lanes = self.lanes.iter().filter(late);
        lanes.map(|lane| lane.entrant.upstream)
    }

    /// Whether no upstream that has not answered could answer better than this one.
    pub fn is_final(&self, upstream: usize) -> bool {
        let mut said = self.said.iter();
        let Some(word) = said.find(|said| said.upstream == upstream) else {
            return false;
        };
        let groups = self.lanes.iter().map(|lane| lane.entrant.group);
        let mut better = groups.filter(|g| word.found != Found::Records || *g < word.group);
        better.all(|group| self.has_heard(group))
    }

    /// What can be delivered, and from when on: the records of the earliest group that has any, or
    /// else a denial when every group has had its time.
    fn decision(&self) -> Option<(usize, Instant)> {
        let records = self.said.iter().filter(|said| said.found == Found::Records);
        if let Some(best) = records.min_by_key(|said| said.group) {
            let awaited = self.is_awaited(|entrant| entrant.group < best.group);
            let patience = if awaited { PATIENCE } else { Duration::ZERO };
            return Some((best.upstream, best.since + patience));
        }
        let first = self.said.iter().map(|said| said.since).min()?;
        let open = self.lanes.iter().filter(|lane| lane.is_open());
        let patience = open.map(|lane| match lane.entrant {
            entrant if self.has_heard(entrant.group) => PATIENCE,
            Entrant { suspect: true, .. } => PATIENCE_SUSPECT,
            Entrant { suspect: false, .. } => PATIENCE_ACROSS,
        });
        let until = first + patience.max().unwrap_or_default();
        let best = self.said.iter().min_by_key(|said| (said.found, said.group));
        best.map(|said| (said.upstream, until))
    }

    /// Whether a server of this group answered.
    fn has_heard(&self, group: usize) -> bool {
        self.said.iter().any(|said| said.group == group)
    }

    /// Asks no further server of a group in which a server denied the name and none before it is expected
    /// to know better.
    fn rest_denied_groups(&mut self, now: Instant) {
        for said in self.said.clone() {
            let earlier = |e: &Entrant| e.group == said.group && e.upstream < said.upstream;
            let ripe = now >= said.since + PATIENCE || !self.is_awaited(earlier);
            for lane in &mut self.lanes {
                if ripe && lane.entrant.group == said.group {
                    lane.rest(now);
                }
            }
        }
    }

    /// Whether an upstream of these is expected to answer still.
    fn is_awaited(&self, of_these: impl Fn(&Entrant) -> bool) -> bool {
        let expected = |lane: &Lane| !lane.entrant.suspect && lane.asked_at().is_some();
        let mut lanes = self.lanes.iter();
        lanes.any(|lane| of_these(&lane.entrant) && expected(lane))
    }

    fn start_another(&mut self, now: Instant) -> Option<usize> {
        let due = self.hedge_at().is_none_or(|hedge| now >= hedge);
        let next = self.next_idle().filter(|_| due)?;
        let lane = self.lanes.get_mut(next)?;
        lane.state = State::Asked {
            since: now,
            again: false,
        };
        Some(lane.entrant.upstream)
    }

    /// The place of the next upstream to ask: of a group in which none answered.
    fn next_idle(&self) -> Option<usize> {
        let next = |lane: &Lane| lane.state == State::Idle && !self.has_heard(lane.entrant.group);
        self.lanes.iter().position(next)
    }

    fn remind(&mut self, now: Instant) -> Option<usize> {
        self.lanes.iter_mut().find_map(|lane| match lane.state {
            State::Asked {
                since,
                again: false,
            } if now >= since + RESEND => {
                lane.state = State::Asked { since, again: true };
                Some(lane.entrant.upstream)
            }
            State::Idle | State::Asked { .. } | State::TimedOut | State::Done => None,
        })
    }

    /// When the next upstream is asked; `None` if none is being waited for.
    fn hedge_at(&self) -> Option<Instant> {
        let asked = self.lanes.iter().filter_map(Lane::asked_at).max();
        asked.map(|latest| latest + HEDGE)
    }

    fn wake_ups(&self) -> impl Iterator<Item = Instant> {
        let hedge = self.hedge_at().filter(|_| self.next_idle().is_some());
        let lanes = self.lanes.iter().filter_map(|lane| match lane.state {
            State::Asked {
                since,
                again: false,
            } => Some(since + RESEND),
            State::Asked { since, again: true } => Some(since + TIMEOUT),
            State::Idle | State::TimedOut | State::Done => None,
        });
        let ripe = self.said.iter().map(|said| said.since + PATIENCE);
        let decided = self.decision().map(|(_, from)| from);
        lanes.chain(hedge).chain(ripe).chain(decided)
    }
}

impl Lane {
    fn asked_at(&self) -> Option<Instant> {
        match self.state {
            State::Asked { since, .. } => Some(since),
            State::Idle | State::TimedOut | State::Done => None,
        }
    }

    /// Whether it may answer still, now or when it is asked.
    fn is_open(&self) -> bool {
        matches!(self.state, State::Idle | State::Asked { .. })
    }

    /// It is not waited for, and not asked any more.
    fn rest(&mut self, now: Instant) {
        self.state = match self.state {
            State::Asked { since, .. } if now >= since + HEDGE => State::TimedOut,
            State::Idle | State::Asked { .. } => State::Done,
            State::TimedOut | State::Done => self.state,
        };
    }
}

#[cfg(test)]
mod tests;
