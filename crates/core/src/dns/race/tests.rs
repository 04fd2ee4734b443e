//! Races, told with a clock in milliseconds.

use super::*;
use crate::dns::some_instant;

struct Clock {
    start: Instant,
    race: Race,
}

/// A race of one group.
fn race(upstreams: &[(usize, bool)]) -> Clock {
    let entrant = |(upstream, suspect)| (upstream, 0, suspect);
    groups(&upstreams.iter().copied().map(entrant).collect::<Vec<_>>())
}

/// A race of upstreams, each with its group and whether it is suspect.
fn groups(upstreams: &[(usize, usize, bool)]) -> Clock {
    let entrant = |&(upstream, group, suspect): &(usize, usize, bool)| Entrant {
        upstream,
        group,
        suspect,
    };
    Clock {
        start: some_instant(),
        race: Race::new(upstreams.iter().map(entrant)),
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

    /// An upstream answers; what is done then.
    fn hears(&mut self, upstream: usize, found: Found, milliseconds: u64) -> Next {
        self.race.answered(upstream, found, self.at(milliseconds));
        self.next(milliseconds)
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
    assert_eq!(race.next(1000), Next::Remind(0));
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
    let started = || {
        let mut race = race(&[(0, false), (1, false), (2, false)]);
        race.next(0);
        race.next(25);
        assert_eq!(race.hears(1, Found::NoName, 30), Next::Wait(race.at(1000)));
        race
    };
    let mut race = started();
    assert_eq!(race.hears(0, Found::Records, 40), Next::Deliver(0));
    assert!(matches!(
        started().hears(0, Found::NoName, 40),
        Next::Deliver(_)
    ));
    let mut race = started();
    race.race.failed(0);
    assert_eq!(race.next(40), Next::Deliver(1));
    let mut race = started();
    assert_eq!(race.next(1030), Next::Deliver(1));
    assert_eq!(race.race.silent(race.at(1030)).collect::<Vec<_>>(), [0]);
}

#[test]
fn a_no_waits_neither_for_suspects_nor_for_later_upstreams() {
    let mut race = race(&[(0, true), (1, false), (2, false)]);
    assert_eq!(
        (race.next(0), race.next(25), race.next(50)),
        (Next::Ask(1), Next::Ask(2), Next::Ask(0))
    );
    assert_eq!(race.hears(1, Found::NoName, 60), Next::Deliver(1));
    assert!(race.race.is_final(1));
}

#[test]
fn a_yes_is_believed_from_anybody_of_a_group() {
    let mut race = race(&[(0, false), (1, false)]);
    race.next(0);
    race.next(25);
    assert_eq!(race.hears(1, Found::Records, 30), Next::Deliver(1));
    assert!(race.race.is_final(1));
}

#[test]
fn what_one_group_denies_another_is_asked_at_once() {
    let mut race = groups(&[(0, 0, false), (1, 0, false), (2, 1, false), (3, 1, false)]);
    assert_eq!(race.next(0), Next::Ask(0));
    assert_eq!(race.hears(0, Found::NoName, 5), Next::Ask(2), "not 1");
    race.waits(5, 30);
    let mut known = Clock {
        race: race.race.clone(),
        ..race
    };
    assert_eq!(known.hears(2, Found::Records, 8), Next::Deliver(2));
    assert!(known.race.is_final(2));
    let mut denied = Clock {
        race: race.race.clone(),
        ..race
    };
    assert_eq!(denied.hears(2, Found::NoName, 8), Next::Deliver(0));
    assert!(denied.race.is_final(0), "all were heard");
    assert_eq!(
        race.hears(2, Found::NoRecords, 8),
        Next::Deliver(2),
        "the name exists"
    );
}

#[test]
fn a_group_that_is_not_heard_has_two_seconds_and_nothing_is_final() {
    let mut race = groups(&[(0, 0, false), (1, 1, false)]);
    race.next(0);
    assert_eq!(race.hears(0, Found::NoName, 5), Next::Ask(1));
    race.waits(5, 1005);
    assert_eq!(race.next(1005), Next::Remind(1));
    race.waits(1005, 2005);
    assert_eq!(race.next(2005), Next::Deliver(0));
    assert!(!race.race.is_final(0));
    let mut suspect = groups(&[(0, 0, false), (1, 1, true)]);
    suspect.next(0);
    assert_eq!(suspect.hears(0, Found::NoName, 5), Next::Ask(1));
    suspect.waits(5, 255);
    assert_eq!(suspect.next(255), Next::Deliver(0));
}

#[test]
fn the_earlier_of_two_groups_that_know_a_name_is_right() {
    let started = || {
        let mut race = groups(&[(0, 0, false), (1, 1, false)]);
        assert_eq!((race.next(0), race.next(25)), (Next::Ask(0), Next::Ask(1)));
        assert_eq!(race.hears(1, Found::Records, 30), Next::Wait(race.at(1000)));
        race
    };
    let mut race = started();
    assert_eq!(race.hears(0, Found::Records, 40), Next::Deliver(0));
    assert!(race.race.is_final(0));
    assert_eq!(started().hears(0, Found::NoName, 40), Next::Deliver(1));
    let mut silent = started();
    assert_eq!(silent.next(1030), Next::Deliver(1));
    assert!(!silent.race.is_final(1), "the earlier one may know better");
}
