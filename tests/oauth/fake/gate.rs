//! A place where a request waits until the test lets it go on.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::Instant,
};

use crate::support::PATIENCE;

/// A gate, closed at first. Clones are the same gate.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    open: bool,
    arrived: usize,
}

impl Gate {
    /// Arrives, and waits until it is open.
    pub(crate) fn pass(&self) {
        let (state, changed) = &*self.0;
        let mut state = state.lock().unwrap();
        state.arrived += 1;
        changed.notify_all();
        // A test that has failed opens nothing any more.
        drop(changed.wait_timeout_while(state, 2 * PATIENCE, |state| !state.open));
    }

    /// Waits until `number` have arrived in all.
    #[track_caller]
    pub(crate) fn arrived(&self, number: usize) {
        let (state, changed) = &*self.0;
        let end = Instant::now() + PATIENCE;
        let mut state = state.lock().unwrap();
        while state.arrived < number {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} of {number} arrived", state.arrived);
            state = changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Lets go on who waits, and who will come.
    pub(crate) fn open(&self) {
        let (state, changed) = &*self.0;
        state.lock().unwrap().open = true;
        changed.notify_all();
    }
}
