//! The relay's hearing: what upstreams said, and what follows from it.

use super::Relay;
use crate::Tools;
use crate::asker::{Place, Sent};
use crate::askers::{Heard, Said};
use crate::poller::Serial;
use sealane_core::dns::{Found, Letters, Reply};

/// How often a question is asked again from another port, because the last one got forged replies.
const MAX_SIEGES: u8 = 3;

impl Relay {
    /// Judges all that was heard, which may lead to more being asked and heard.
    pub(super) fn judge_heard(&mut self, tools: &mut Tools<'_>) {
        while let Some(Heard { place, sent, said }) = self.askers.take_heard() {
            let ticket = sent.ticket;
            match said {
                Said::Reply(bytes) => self.judge(place, sent, bytes, tools),
                Said::Folded => {
                    let letters = Some(Letters::SmallAfterFolding);
                    self.ask(ticket, sent.upstream, letters, sent.sieges, tools);
                }
                Said::Besieged if sent.sieges < MAX_SIEGES => {
                    self.ask(ticket, sent.upstream, None, sent.sieges + 1, tools);
                }
                Said::Besieged => {
                    let upstream = place.upstream.address;
                    tracing::warn!(%upstream, "forged answers keep a question from being asked");
                    self.lane_failed(ticket, sent.upstream);
                }
                Said::Nothing(error) => {
                    tracing::debug!(upstream = %place.upstream.address, %error, "did not answer");
                    let standing = self.standings.entry(place).or_default();
                    standing.health.was_unreachable(tools.now);
                    self.lane_failed(ticket, sent.upstream);
                }
            }
            self.run(ticket, tools);
        }
    }

    /// Judges a reply to what was asked.
    fn judge(&mut self, place: Place, sent: Sent, bytes: Vec<u8>, tools: &mut Tools<'_>) {
        let Ok(reply) = Reply::parse(&bytes) else {
            return;
        };
        let found = reply.found();
        let standing = self.standings.entry(place).or_default();
        standing.health.answered();
        let doubtful = standing.spelling.doubts(sent.letters) && found != Some(Found::Records);
        let has_records = found == Some(Found::Records);
        standing
            .spelling
            .answered(sent.letters, has_records, tools.now);
        if doubtful {
            let letters = Some(Letters::SmallAfterDenial);
            return self.ask(sent.ticket, sent.upstream, letters, sent.sieges, tools);
        }
        let Some(flight) = self.flights.get_mut(&sent.ticket) else {
            return;
        };
        match found {
            Some(found) => {
                flight.replies.push((sent.upstream, bytes));
                flight.race.answered(sent.upstream, found, tools.now);
            }
            None => flight.race.failed(sent.upstream),
        }
    }

    fn lane_failed(&mut self, ticket: Serial, upstream: usize) {
        if let Some(flight) = self.flights.get_mut(&ticket) {
            flight.race.failed(upstream);
        }
    }
}
