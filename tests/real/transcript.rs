//! The lines of a stream as they come, and a value that can be waited for.

use std::{
    io::{BufRead as _, BufReader, Read},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use crate::process::LIMIT;

/// The lines of a stream, kept as they come.
#[derive(Clone, Default)]
pub(crate) struct Transcript(Watched<Lines>);

#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    complete: bool,
}

impl Transcript {
    /// Reads `stream` to its end.
    pub(crate) fn of(stream: impl Read + Send + 'static) -> Self {
        let transcript = Self::default();
        let kept = transcript.clone();
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                kept.0.change(|kept| kept.lines.push(line));
            }
            kept.0.change(|kept| kept.complete = true);
        });
        transcript
    }

    /// The first thing that `wanted` makes of a line, past or to come, from line
    /// `from` on, and the line's number; nothing if the stream ends or `LIMIT`
    /// passes without one.
    pub(crate) fn find<T>(
        &self,
        from: usize,
        wanted: impl Fn(&str) -> Option<T>,
    ) -> Option<(usize, T)> {
        self.0
            .wait(LIMIT, |kept| {
                let lines = kept.lines.iter().enumerate().skip(from);
                let found = lines
                    .into_iter()
                    .find_map(|(at, line)| Some((at, wanted(line)?)));
                (found.is_some() || kept.complete).then_some(found)
            })
            .flatten()
    }

    /// All of it, once the stream has ended.
    pub(crate) fn whole(&self) -> String {
        self.0
            .wait(LIMIT, |kept| kept.complete.then(|| kept.lines.join("\n")))
            .expect("the stream ends")
    }

    /// What there is of it by now.
    pub(crate) fn so_far(&self) -> String {
        self.0.change(|kept| kept.lines.join("\n"))
    }
}

/// A value that can be waited for.
pub(crate) struct Watched<T>(Arc<(Mutex<T>, Condvar)>);

impl<T> Clone for Watched<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Default> Default for Watched<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Watched<T> {
    /// Changes it, or reads it, and wakes whoever waits.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let (value, changed) = &*self.0;
        let outcome = change(&mut value.lock().unwrap());
        changed.notify_all();
        outcome
    }

    /// Waits until `wanted` makes something of it; nothing if `limit` passes first.
    pub(crate) fn wait<R>(
        &self,
        limit: Duration,
        mut wanted: impl FnMut(&T) -> Option<R>,
    ) -> Option<R> {
        let (value, changed) = &*self.0;
        let until = Instant::now() + limit;
        let mut value = value.lock().unwrap();
        loop {
            if let Some(found) = wanted(&value) {
                return Some(found);
            }
            let left = until.checked_duration_since(Instant::now())?;
            value = changed.wait_timeout(value, left).unwrap().0;
        }
    }
}
