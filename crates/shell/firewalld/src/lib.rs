//! firewalld, where there is one: it is asked to let the packets of our bridges pass.
//!
//! firewalld rejects what its zones do not allow, and an accept in a table of ours does not outweigh
//! that. So our bridges become interfaces of a zone that accepts, and a policy lets others in to
//! them: what they may do is decided by our own table. Zone and policy have the names that Docker
//! gives them, since people write rules for these. May touch: D-Bus. Where no firewalld answers
//! nothing is done, until one does: it is noticed when it comes, and when it has reloaded.
//! Start at [`Firewalld`]; what is said over the bus is in `bus`.

mod bus;
mod follow;

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// A reload, which the first network of a host needs, takes seconds. Longer than an order may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// For how long the order of another is waited for.
const TURN: Duration = Duration::from_secs(2);

/// Why firewalld does not let packets pass.
#[derive(Debug, Error)]
pub enum FirewalldError {
    /// It refused.
    #[error(
        "firewalld does not {what}; look into its log, or start with --firewall-integration=off"
    )]
    Refused {
        /// What it was asked for.
        what: String,
        /// Its answer.
        source: Box<zbus::Error>,
    },
    /// It says nothing.
    #[error("firewalld does not answer; restart it, or start with --firewall-integration=off")]
    Silent,
    /// It has not answered another yet.
    #[error("firewalld is slow to answer; it is given the bridge as soon as it does")]
    Busy,
    /// The thread that talks to it cannot be started.
    #[error("the thread that talks to firewalld cannot be started")]
    Thread(#[source] io::Error),
}

/// The way to the host's firewalld. All calls block until it has answered, and have a deadline;
/// where there is none, or it is slow to answer another, they return at once.
#[derive(Debug)]
pub struct Firewalld {
    shared: Shared,
    orders: UnboundedSender<Letter>,
}

/// What the thread and its users both know.
#[derive(Clone, Debug, Default)]
struct Shared {
    /// The bridges that are to pass.
    bridges: Arc<Mutex<BTreeSet<String>>>,
    /// Whether firewalld is there.
    present: Arc<AtomicBool>,
    /// Since when an order is being carried out.
    busy: Arc<Mutex<Option<Instant>>>,
}

/// What the thread is asked for.
#[derive(Debug)]
enum Order {
    /// Make firewalld know exactly the wanted bridges of ours.
    Everything,
    /// Add one.
    Add(String),
    /// Take one away.
    Remove(String),
    /// Take zone and policy away.
    Withdraw,
}

/// An order, and where to tell what came of it.
#[derive(Debug)]
struct Letter {
    order: Order,
    answer: mpsc::Sender<Result<(), FirewalldError>>,
    /// Whether its turn has come.
    opened: Arc<AtomicBool>,
}

impl Firewalld {
    /// Looks for firewalld, and follows its coming and going from now on.
    pub fn start() -> Result<Self, FirewalldError> {
        let (orders, waiting) = unbounded_channel();
        let shared = Shared::default();
        let of_thread = shared.clone();
        thread::Builder::new()
            .name("firewalld".into())
            .spawn(move || follow::run(waiting, &of_thread))
            .map_err(FirewalldError::Thread)?;
        Ok(Self { shared, orders })
    }

    /// Makes exactly these bridges of ours pass.
    pub fn set(&self, bridges: BTreeSet<String>) -> Result<(), FirewalldError> {
        *self.shared.bridges() = bridges;
        self.ask(Order::Everything)
    }

    /// Makes one more pass.
    pub fn add(&self, bridge: &str) -> Result<(), FirewalldError> {
        self.shared.bridges().insert(bridge.to_owned());
        self.ask_if_there(Order::Add(bridge.to_owned()))
    }

    /// Ends that.
    pub fn remove(&self, bridge: &str) -> Result<(), FirewalldError> {
        self.shared.bridges().remove(bridge);
        self.ask_if_there(Order::Remove(bridge.to_owned()))
    }

    /// Takes away all that was made, the zone and the policy too, if they are ours.
    pub fn withdraw(&self) -> Result<(), FirewalldError> {
        self.shared.bridges().clear();
        self.ask(Order::Withdraw)
    }

    /// Whether there is one.
    pub fn is_present(&self) -> bool {
        self.shared.is_present()
    }

    fn ask_if_there(&self, order: Order) -> Result<(), FirewalldError> {
        if self.is_present() {
            self.ask(order)
        } else {
            Ok(())
        }
    }

    fn ask(&self, order: Order) -> Result<(), FirewalldError> {
        let (answer, answered) = mpsc::channel();
        let opened = Arc::new(AtomicBool::new(false));
        let letter = Letter {
            order,
            answer,
            opened: opened.clone(),
        };
        self.orders
            .send(letter)
            .map_err(|_| FirewalldError::Silent)?;
        if self.shared.busy_for().is_some_and(|busy| busy >= TURN) {
            return Err(FirewalldError::Busy);
        }
        let mut waited = Duration::ZERO;
        while waited < PATIENCE {
            match answered.recv_timeout(TURN) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Disconnected) => return Err(FirewalldError::Silent),
                // Its order stays, and is carried out in its turn.
                Err(RecvTimeoutError::Timeout) if !opened.load(Ordering::Acquire) => {
                    return Err(FirewalldError::Busy);
                }
                Err(RecvTimeoutError::Timeout) => waited += TURN,
            }
        }
        Err(FirewalldError::Silent)
    }
}

impl Shared {
    fn bridges(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.bridges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_present(&self) -> bool {
        self.present.load(Ordering::Acquire)
    }

    fn set_present(&self, present: bool) {
        self.present.store(present, Ordering::Release);
    }

    fn begin(&self) {
        *self.busy() = Some(Instant::now());
    }

    fn end(&self) {
        *self.busy() = None;
    }

    /// For how long an order has been under way.
    fn busy_for(&self) -> Option<Duration> {
        self.busy().map(|since| since.elapsed())
    }

    fn busy(&self) -> MutexGuard<'_, Option<Instant>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Letter {
    fn open(&self) {
        self.opened.store(true, Ordering::Release);
    }

    fn answer_with(self, answer: Result<(), FirewalldError>) {
        // A caller that has run out of time does not listen any more.
        drop(self.answer.send(answer));
    }
}
