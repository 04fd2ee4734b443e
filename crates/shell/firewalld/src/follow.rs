//! The thread that talks to firewalld: orders from the engine, and news from the bus.

use crate::bus::Bus;
use crate::{FirewalldError, Letter, Order, Shared};
use futures_util::StreamExt;
use std::time::Duration;
use tokio::runtime;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;
use zbus::MessageStream;

/// How long to do without a bus before looking for one again.
const PAUSE: Duration = Duration::from_secs(10);

/// Follows until nobody has orders any more.
pub(crate) fn run(mut orders: UnboundedReceiver<Letter>, shared: &Shared) {
    let event_loop = runtime::Builder::new_current_thread().enable_all().build();
    match event_loop {
        Ok(event_loop) => event_loop.block_on(serve(&mut orders, shared)),
        // Whoever asks is told that nobody answers.
        Err(error) => tracing::error!(%error, "firewalld is not followed"),
    }
}

async fn serve(orders: &mut UnboundedReceiver<Letter>, shared: &Shared) {
    loop {
        let followed = match Bus::connect().await {
            Ok(bus) => match bus.changes().await {
                Ok(changes) => follow(&bus, changes, orders, shared).await,
                Err(error) => {
                    tracing::warn!(%error, "the bus does not tell when firewalld comes");
                    without_bus(orders).await
                }
            },
            // Most hosts without firewalld have no bus either.
            Err(_) => without_bus(orders).await,
        };
        shared.set_present(false);
        if followed == Ended::Orders {
            return;
        }
    }
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
    look_and_give(bus, shared).await;
    loop {
        let change = tokio::select! {
            letter = orders.recv() => match letter {
                Some(letter) => {
                    let done = carry_out(bus, &letter.order, shared).await;
                    letter.answer_with(done);
                    continue;
                }
                None => return Ended::Orders,
            },
            change = comings.next() => change,
            change = reloads.next() => change,
        };
        if change.is_none() {
            return Ended::Bus;
        }
        look_and_give(bus, shared).await;
    }
}

/// One that was there first, has come or has forgotten is given everything.
async fn look_and_give(bus: &Bus, shared: &Shared) {
    look(bus, shared).await;
    if let Err(error) = carry_out(bus, &Order::Everything, shared).await {
        tracing::warn!(%error, "firewalld may not let containers' packets pass");
    }
}

async fn look(bus: &Bus, shared: &Shared) {
    let there = bus.has_firewalld().await;
    let there = there.unwrap_or_else(|error| {
        tracing::warn!(%error, "the bus does not tell whether firewalld runs");
        false
    });
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
