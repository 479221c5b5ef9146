//! A waker that stays quiet while who it would wake is looking anyway: what is
//! driven in place wakes its own driver again and again.

use std::{
    mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicU8,
            Ordering::{AcqRel, Acquire, Relaxed},
        },
    },
    task::{Context, Poll, Wake, Waker},
};

/// How often one poll looks again because the bell rang meanwhile.
const LOOKS: usize = 3;

/// Nobody looks: who rings wakes the task.
const AWAY: u8 = 0;

/// Somebody looks, or nobody is to be woken: who rings wakes no one.
const LOOKING: u8 = 1;

/// It has rung; one bit beside the others.
const RUNG: u8 = 2;

/// Wakes the task that looked last, unless it is looking.
#[derive(Debug)]
pub(crate) struct Bell {
    ringer: Arc<Ringer>,
    /// The bell as those see it who ring it.
    waker: Waker,
    /// What it wakes, which the ringer knows.
    task: Waker,
    /// The last look was.
    in_vain: bool,
}

#[derive(Debug)]
struct Ringer {
    task: Mutex<Waker>,
    state: AtomicU8,
}

impl Bell {
    /// A bell that wakes nobody yet.
    pub(crate) fn new() -> Self {
        let ringer = Arc::new(Ringer {
            task: Mutex::new(Waker::noop().clone()),
            state: AtomicU8::new(AWAY),
        });
        Self {
            waker: Waker::from(Arc::clone(&ringer)),
            ringer,
            task: Waker::noop().clone(),
            in_vain: false,
        }
    }

    /// Polls with the bell for a waker, again if it rings meanwhile; not at all where it
    /// was in vain before and nothing has rung since: what is polled is woken by nothing
    /// else. Until the next call it wakes the task of `cx`.
    pub(crate) fn look<T>(
        &mut self,
        cx: &Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let state = &self.ringer.state;
        if !self.task.will_wake(cx.waker()) {
            self.task.clone_from(cx.waker());
            self.ringer.answer_to(cx.waker());
        } else if self.in_vain && state.load(Relaxed) & RUNG == 0 {
            return Poll::Pending;
        }
        // What those have done who rang before this is seen now; who rings from now on has
        // it looked for again. Both take that nobody passes the other: no plain store.
        state.swap(LOOKING, AcqRel);
        for _ in 0..LOOKS {
            let ready = poll(&mut Context::from_waker(&self.waker));
            self.in_vain = ready.is_pending();
            if ready.is_ready() {
                state.store(AWAY, Relaxed);
                return ready;
            }
            if state.load(Relaxed) == LOOKING
                && state
                    .compare_exchange(LOOKING, AWAY, AcqRel, Acquire)
                    .is_ok()
            {
                return Poll::Pending;
            }
            state.swap(LOOKING, AcqRel);
        }
        state.swap(RUNG, AcqRel);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Wakes nobody until the next look.
    pub(crate) fn silence(&self) {
        self.ringer.state.fetch_or(LOOKING, AcqRel);
    }
}

impl Ringer {
    fn answer_to(&self, waker: &Waker) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        let old = mem::replace(&mut *task, waker.clone());
        drop(task);
        drop(old);
    }
}

impl Wake for Ringer {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.fetch_or(RUNG, AcqRel) & LOOKING == 0 {
            let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
            let waker = task.clone();
            drop(task);
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

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
        let mut bell = Bell::new();
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
        let mut bell = Bell::new();
        let mut inner = None;
        let pending = bell.look(&cx, |cx| {
            inner = Some(cx.waker().clone());
            Poll::<()>::Pending
        });
        assert!(pending.is_pending());
        assert_eq!(count.0.load(SeqCst), 0);
        inner.unwrap().wake();
        assert_eq!(count.0.load(SeqCst), 1);
        let mut looks = 0;
        for turn in 1..=2 {
            let pending = bell.look(&cx, |cx| {
                looks += 1;
                cx.waker().wake_by_ref();
                Poll::<()>::Pending
            });
            assert!(pending.is_pending());
            assert_eq!((looks, count.0.load(SeqCst)), (turn * LOOKS, turn + 1));
        }
    }

    #[test]
    fn what_has_not_rung_is_polled_for_another_task_only() {
        let waker = Waker::from(Arc::<Count>::default());
        let cx = Context::from_waker(&waker);
        let mut bell = Bell::new();
        let (mut looks, mut inner) = (0, None);
        let mut look = |bell: &mut Bell, cx: &Context<'_>, rings: bool| {
            let pending = bell.look(cx, |cx| {
                looks += 1;
                inner = Some(cx.waker().clone());
                Poll::<()>::Pending
            });
            assert!(pending.is_pending());
            if rings {
                inner.as_ref().expect("a waker").wake_by_ref();
            }
            looks
        };
        assert_eq!(look(&mut bell, &cx, false), 1);
        assert_eq!(look(&mut bell, &cx, true), 1);
        assert_eq!(look(&mut bell, &cx, false), 2);
        assert_eq!(look(&mut bell, &cx, false), 2);
        let other = Waker::from(Arc::<Count>::default());
        assert_eq!(look(&mut bell, &Context::from_waker(&other), false), 3);
    }

    #[test]
    fn who_rings_from_another_thread_is_never_missed() {
        const TURNS: usize = 200_000;
        let (said, heard) = (Arc::<Count>::default(), Arc::<Count>::default());
        let mut bell = Bell::new();
        let ringing = {
            let (said, heard, waker) = (Arc::clone(&said), Arc::clone(&heard), bell.waker.clone());
            std::thread::spawn(move || {
                for turn in 1..=TURNS {
                    said.0.store(turn, Relaxed);
                    waker.wake_by_ref();
                    while heard.0.load(Relaxed) < turn {
                        std::hint::spin_loop();
                    }
                }
            })
        };
        // Polled again and again, as by a task that others wake as well.
        let waker = Waker::from(Arc::<Count>::default());
        let cx = Context::from_waker(&waker);
        let stuck = std::time::Instant::now() + std::time::Duration::from_secs(60);
        for turn in 1..=TURNS {
            while bell
                .look(&cx, |_| {
                    let there = said.0.load(Relaxed) >= turn;
                    if there {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                })
                .is_pending()
            {
                assert!(std::time::Instant::now() < stuck, "turn {turn} was missed");
            }
            heard.0.store(turn, Relaxed);
        }
        ringing.join().expect("all was heard");
    }

    #[test]
    fn a_silenced_bell_wakes_nobody() {
        let count = Arc::<Count>::default();
        let waker = Waker::from(Arc::clone(&count));
        let mut bell = Bell::new();
        let cx = Context::from_waker(&waker);
        assert!(bell.look(&cx, |_| Poll::<()>::Pending).is_pending());
        bell.silence();
        bell.waker.wake_by_ref();
        assert_eq!(count.0.load(SeqCst), 0);
    }
}
