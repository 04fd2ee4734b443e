//! The thread that talks to firewalld: orders from the engine, and news from the bus.

use crate::bus::Bus;
use crate::{FirewalldError, Letter, Order, Shared};
use futures_util::StreamExt;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::runtime;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep_until, timeout};
use zbus::MessageStream;

/// How long to do without a bus before looking for one again.
const PAUSE: Duration = Duration::from_secs(10);
/// For a whole order. A reload with many zones takes seconds.
const DEADLINE: Duration = Duration::from_secs(20);
/// For a bus to greet, and to say whether firewalld is there.
const GREETING: Duration = Duration::from_secs(5);

/// Follows until the last sender of orders is gone.
pub(crate) fn run(mut orders: UnboundedReceiver<Letter>, shared: &Shared) {
    let event_loop = runtime::Builder::new_current_thread().enable_all().build();
    match event_loop {
        Ok(event_loop) => event_loop.block_on(serve(&mut orders, shared)),
        // The caller gets the error that firewalld does not answer.
        Err(error) => tracing::error!(%error, "firewalld is not followed"),
    }
}

async fn serve(orders: &mut UnboundedReceiver<Letter>, shared: &Shared) {
    loop {
        // Most hosts without firewalld have no bus either.
        let followed = match timeout(GREETING, greet()).await {
            Ok(Ok((bus, changes))) => follow(&bus, changes, orders, shared).await,
            Ok(Err(None)) => without_bus(orders).await,
            Ok(Err(Some(error))) => {
                tracing::warn!(%error, "the bus does not tell when firewalld comes");
                without_bus(orders).await
            }
            Err(_) => {
                tracing::warn!("the system's bus does not answer; firewalld is not followed");
                without_bus(orders).await
            }
        };
        shared.set_present(false);
        if followed == Ended::Orders {
            return;
        }
    }
}

/// A bus with its news; no error where there is none.
async fn greet() -> Result<(Bus, (MessageStream, MessageStream)), Option<zbus::Error>> {
    let bus = Bus::connect().await.map_err(|_| None)?;
    let changes = bus.changes().await.map_err(Some)?;
    Ok((bus, changes))
}

/// What came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Bus,
    Orders,
}

/// Without a bus there is no firewalld, and nothing to be done.
async fn without_bus(orders: &mut UnboundedReceiver<Letter>) -> Ended {
    let answer_all = async {
        while let Some(letter) = orders.recv().await {
            letter.answer_with(Ok(()));
        }
    };
    match timeout(PAUSE, answer_all).await {
        Ok(()) => Ended::Orders,
        Err(_) => Ended::Bus,
    }
}

async fn follow(
    bus: &Bus,
    (mut comings, mut reloads): (MessageStream, MessageStream),
    orders: &mut UnboundedReceiver<Letter>,
    shared: &Shared,
) -> Ended {
    let mut owed = Owed::default();
    look_and_give(bus, shared, &mut owed).await;
    loop {
        let again = owed.since.map(|since| since + PAUSE);
        let change = tokio::select! {
            letter = orders.recv() => match letter {
                Some(letter) => {
                    answer(bus, letter, shared, &mut owed).await;
                    continue;
                }
                None => return Ended::Orders,
            },
            () = sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => {
                look_and_give(bus, shared, &mut owed).await;
                continue;
            }
            change = comings.next() => change,
            change = reloads.next() => change,
        };
        if change.is_none() {
            return Ended::Bus;
        }
        look_and_give(bus, shared, &mut owed).await;
    }
}

/// What has to be set in firewalld again, as it let a deadline pass.
#[derive(Debug, Default)]
struct Owed {
    /// Since when; `None` if it has answered.
    since: Option<Instant>,
    /// The bridges that are to be taken out of the zone.
    removals: BTreeSet<String>,
}

/// Carries out an order, unless firewalld is silent: then it is owed.
async fn answer(bus: &Bus, letter: Letter, shared: &Shared, owed: &mut Owed) {
    letter.open();
    let done = match owed.since {
        None => in_time(bus, &letter.order, shared, owed).await,
        Some(_) => Err(FirewalldError::Silent),
    };
    if let (Order::Remove(bridge), Err(FirewalldError::Silent)) = (&letter.order, &done) {
        owed.removals.insert(bridge.clone());
    }
    letter.answer_with(done);
}

/// Carries out an order before its deadline.
async fn in_time(
    bus: &Bus,
    order: &Order,
    shared: &Shared,
    owed: &mut Owed,
) -> Result<(), FirewalldError> {
    shared.begin();
    let done = timeout(DEADLINE, carry_out(bus, order, shared)).await;
    shared.end();
    owed.since = done.is_err().then(Instant::now);
    done.unwrap_or(Err(FirewalldError::Silent))
}

/// One that was there first, has come or has forgotten is given everything.
async fn look_and_give(bus: &Bus, shared: &Shared, owed: &mut Owed) {
    look(bus, shared).await;
    let mut given = in_time(bus, &Order::Everything, shared, owed).await;
    while given.is_ok()
        && let Some(bridge) = owed.removals.pop_first()
    {
        // One of the same name may be there again.
        if shared.bridges().contains(&bridge) {
            continue;
        }
        given = in_time(bus, &Order::Remove(bridge.clone()), shared, owed).await;
        if let Err(FirewalldError::Silent) = given {
            owed.removals.insert(bridge);
        }
    }
    if let Err(error) = given {
        tracing::warn!(%error, "firewalld may not let containers' packets pass");
    }
}

async fn look(bus: &Bus, shared: &Shared) {
    let there = match timeout(GREETING, bus.has_firewalld()).await {
        Ok(Ok(there)) => there,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the bus does not tell whether firewalld runs");
            false
        }
        Err(_) => {
            tracing::warn!("the bus does not tell in time whether firewalld runs");
            false
        }
    };
    if there && !shared.is_present() {
        tracing::info!("firewalld is at work; our bridges go into its zone docker");
    }
    shared.set_present(there);
}

async fn carry_out(bus: &Bus, order: &Order, shared: &Shared) -> Result<(), FirewalldError> {
    if !shared.is_present() {
        return Ok(());
    }
    match order {
        Order::Everything => {
            let bridges = shared.bridges().clone();
            if bridges.is_empty() {
                return Ok(());
            }
            bus.give(&bridges).await
        }
        Order::Add(bridge) => bus.give(&[bridge.clone()].into()).await,
        Order::Remove(bridge) => bus.remove(bridge).await,
        Order::Withdraw => bus.withdraw().await,
    }
}
