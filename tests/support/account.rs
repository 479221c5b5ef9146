//! What a peer's processes tell, in order, and the way to give them orders.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::Instant,
};

use super::{
    PATIENCE,
    script::{Command as Order, Event},
};

/// The account of one peer, over all of its processes.
#[derive(Default)]
pub struct Account {
    told: Mutex<Told>,
    changed: Condvar,
}

#[derive(Default)]
struct Told {
    events: Vec<Event>,
    processes: Vec<Process>,
    syncs: usize,
}

struct Process {
    stream: UnixStream,
    /// The number of the last [`Order::Sync`] that it has answered.
    synced: usize,
    ended: bool,
}

impl Account {
    /// Hears every process that connects to `listener`.
    pub fn open(listener: UnixListener) -> Arc<Self> {
        let account = Arc::new(Self::default());
        let shared = Arc::clone(&account);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut own = stream.try_clone().expect("a socket can be cloned");
                let mut told = shared.told.lock().unwrap_or_else(PoisonError::into_inner);
                // From now on it hears every order; before, it does nothing.
                _ = own.write_all(b"\n");
                let number = told.processes.len();
                told.processes.push(Process {
                    stream: own,
                    synced: 0,
                    ended: false,
                });
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.hear(number, stream));
            }
        });
        account
    }

    fn hear(&self, number: usize, stream: UnixStream) {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            // A process killed in the middle of a line has nothing more to say.
            let Ok(event) = serde_json::from_str(&line) else {
                break;
            };
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            match event {
                Event::Synced(sync) => told.processes[number].synced = sync,
                event => told.events.push(event),
            }
            self.changed.notify_all();
        }
        self.told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .processes[number]
            .ended = true;
        self.changed.notify_all();
    }

    /// Gives all processes an order.
    pub fn order(&self, order: &Order) {
        self.told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .order(order);
    }

    /// All that happened so far. Every process is asked whether it has told all,
    /// so that what has come back to the test is in it.
    pub fn events(&self) -> Vec<Event> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.syncs += 1;
        let number = told.syncs;
        told.order(&Order::Sync(number));
        let behind = |process: &Process| !process.ended && process.synced < number;
        let end = Instant::now() + PATIENCE;
        while told.processes.iter().any(behind) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "a peer does not answer");
            told = self.changed.wait_timeout(told, left).unwrap().0;
        }
        told.events.clone()
    }

    /// Waits until `look` finds what it looks for in all that happened.
    #[track_caller]
    pub fn wait<T>(&self, what: &str, look: impl Fn(&[Event]) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = look(&told.events) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(told);
                panic!("the peer did not see: {what}");
            }
            told = self.changed.wait_timeout(told, left).unwrap().0;
        }
    }

    /// The last events, each shortened, for the report of a failed test.
    pub fn tail(&self) -> String {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let first = told.events.len().saturating_sub(20);
        let events = told.events[first..].iter();
        events
            .map(|event| format!("{:.300}\n", format!("{event:?}")))
            .collect()
    }
}

impl Told {
    fn order(&mut self, order: &Order) {
        let mut line = serde_json::to_vec(order).expect("an order can be written");
        line.push(b'\n');
        for process in &mut self.processes {
            // Processes that ended hear nothing any more; `hear` notes that.
            _ = process.stream.write_all(&line);
        }
    }
}
