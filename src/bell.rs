//! A waker that stays quiet while who it would wake is looking anyway: what is
//! driven in place wakes its own driver again and again.

use std::{
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

/// How often one poll looks again because the bell rang meanwhile.
const LOOKS: usize = 3;

/// Wakes the task that looked last, unless it is looking.
#[derive(Debug)]
pub(crate) struct Bell {
    ringer: Arc<Ringer>,
    /// The bell as those see it who ring it.
    waker: Waker,
}

#[derive(Debug)]
struct Ringer {
    task: Mutex<Waker>,
    looking: AtomicBool,
    rung: AtomicBool,
}

impl Bell {
    /// A bell that wakes nobody yet.
    pub(crate) fn new() -> Self {
        let ringer = Arc::new(Ringer {
            task: Mutex::new(Waker::noop().clone()),
            looking: AtomicBool::new(false),
            rung: AtomicBool::new(false),
        });
        Self {
            waker: Waker::from(Arc::clone(&ringer)),
            ringer,
        }
    }

    /// Polls with the bell for a waker, again if it rings meanwhile. Until the
    /// next call it wakes the task of `cx`.
    pub(crate) fn look<T>(
        &self,
        cx: &Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let ringer = &*self.ringer;
        ringer.answer_to(cx.waker());
        ringer.looking.store(true, SeqCst);
        for _ in 0..LOOKS {
            ringer.rung.store(false, SeqCst);
            let ready = poll(&mut Context::from_waker(&self.waker));
            if ready.is_ready() {
                ringer.looking.store(false, SeqCst);
                return ready;
            }
            if !ringer.rung.load(SeqCst) {
                break;
            }
        }
        ringer.looking.store(false, SeqCst);
        // It may have rung after the last look.
        if ringer.rung.load(SeqCst) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Wakes nobody from now on.
    pub(crate) fn silence(&self) {
        self.ringer.answer_to(Waker::noop());
    }
}

impl Ringer {
    fn answer_to(&self, waker: &Waker) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if !task.will_wake(waker) {
            let old = mem::replace(&mut *task, waker.clone());
            drop(task);
            drop(old);
        }
    }
}

impl Wake for Ringer {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, SeqCst);
        if !self.looking.load(SeqCst) {
            let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
            let waker = task.clone();
            drop(task);
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn who_looks_is_not_woken_but_looks_again() {
        let count = Arc::<Count>::default();
        let waker = Waker::from(Arc::clone(&count));
        let cx = Context::from_waker(&waker);
        let bell = Bell::new();
        let mut looks = 0;
        let done = bell.look(&cx, |cx| {
            looks += 1;
            cx.waker().wake_by_ref();
            if looks == 2 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        assert!(done.is_ready());
        assert_eq!((looks, count.0.load(SeqCst)), (2, 0));
    }

    #[test]
    fn who_looks_in_vain_is_woken_later_and_once_more_if_it_never_ends() {
        let count = Arc::<Count>::default();
        let waker = Waker::from(Arc::clone(&count));
        let cx = Context::from_waker(&waker);
        let bell = Bell::new();
        let mut inner = None;
        let pending = bell.look(&cx, |cx| {
            inner = Some(cx.waker().clone());
            Poll::<()>::Pending
        });
        assert!(pending.is_pending());
        assert_eq!(count.0.load(SeqCst), 0);
        inner.unwrap().wake();
        assert_eq!(count.0.load(SeqCst), 1);
        let pending = bell.look(&cx, |cx| {
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert!(pending.is_pending());
        assert_eq!(count.0.load(SeqCst), 2);
    }

    #[test]
    fn a_silenced_bell_wakes_nobody() {
        let count = Arc::<Count>::default();
        let waker = Waker::from(Arc::clone(&count));
        let bell = Bell::new();
        let cx = Context::from_waker(&waker);
        assert!(bell.look(&cx, |_| Poll::<()>::Pending).is_pending());
        bell.silence();
        bell.waker.wake_by_ref();
        assert_eq!(count.0.load(SeqCst), 0);
    }
}
