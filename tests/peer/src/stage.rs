//! What all exchanges of one peer process share: its script, the gates, those
//! who relay, and the line to the harness.

use std::{
    collections::{HashMap, HashSet},
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process,
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use crate::script::{Command, Event, Script, Step};

/// How often a waiting exchange looks whether its other side is still there.
const GLANCE: Duration = Duration::from_millis(10);

/// The state of one peer process.
pub struct Stage {
    /// The peer's directory: its script and the harness's socket.
    pub dir: PathBuf,
    harness: Mutex<UnixStream>,
    acts: Mutex<Acts>,
    changed: Condvar,
}

#[derive(Default)]
struct Acts {
    script: Script,
    counts: HashMap<String, usize>,
    open: HashSet<String>,
    emitted: Vec<String>,
    relays: usize,
}

impl Stage {
    /// Reads the script and joins the harness; both are in `dir`.
    pub fn set(dir: &Path) -> Arc<Self> {
        let script = fs::read(dir.join("script.json")).expect("the script can be read");
        let script = serde_json::from_slice(&script).expect("the script can be understood");
        let mut harness = UnixStream::connect(dir.join("harness")).expect("the harness listens");
        // An order that was given before the harness knew of this process would
        // not reach it: nothing is done until it says so.
        _ = harness.read(&mut [0]);
        Arc::new(Self {
            dir: dir.to_owned(),
            harness: Mutex::new(harness),
            acts: Mutex::new(Acts {
                script,
                ..Acts::default()
            }),
            changed: Condvar::new(),
        })
    }

    /// Obeys the harness from now on; `emit` sends what nobody relays. The
    /// process ends when the harness does.
    pub fn obey(self: &Arc<Self>, emit: impl Fn(&str) + Send + 'static) {
        let stage = Arc::clone(self);
        let harness = self
            .harness
            .lock()
            .unwrap()
            .try_clone()
            .expect("the socket can be cloned");
        thread::spawn(move || {
            for line in BufReader::new(harness).lines().map_while(Result::ok) {
                match serde_json::from_str(&line).expect("a command can be understood") {
                    Command::Open(gate) => _ = stage.acts.lock().unwrap().open.insert(gate),
                    Command::Script(script) => {
                        let mut acts = stage.acts.lock().unwrap();
                        acts.script = script;
                        acts.counts.clear();
                    }
                    Command::Emit(text) => {
                        let mut acts = stage.acts.lock().unwrap();
                        if acts.relays == 0 {
                            drop(acts);
                            emit(&text);
                        } else {
                            acts.emitted.push(text);
                        }
                    }
                    Command::Sync(number) => stage.tell(&Event::Synced(number)),
                    Command::Exit(code) => process::exit(code),
                }
                stage.changed.notify_all();
            }
            process::exit(0);
        });
    }

    /// Tells the harness.
    pub fn tell(&self, event: &Event) {
        let mut line = serde_json::to_vec(event).expect("an event can be written");
        line.push(b'\n');
        // A harness that is gone ends this process through `obey`.
        _ = self.harness.lock().unwrap().write_all(&line);
    }

    /// What is done before anything is read.
    pub fn opening(&self) -> Vec<Step> {
        self.acts.lock().unwrap().script.start.clone()
    }

    /// The steps for the next message of this key, `None` if the script has none.
    /// Opens the gates of these names: who waits for such a message goes on.
    pub fn steps(&self, keys: &[String]) -> Option<(String, Vec<Step>)> {
        let mut acts = self.acts.lock().unwrap();
        acts.open.extend(keys.iter().cloned());
        self.changed.notify_all();
        let key = keys
            .iter()
            .find(|key| acts.script.on.contains_key(*key))?
            .clone();
        let count = acts.counts.entry(key.clone()).or_default();
        let turn = *count;
        *count += 1;
        let turns = &acts.script.on[&key];
        let steps = turns
            .get(turn)
            .or(turns.last())
            .cloned()
            .unwrap_or_default();
        Some((key, steps))
    }

    /// Waits until `gate` is open; false when the other side went first.
    pub fn pass(&self, gate: &str, gone: impl Fn() -> bool) -> bool {
        self.wait(gone, |acts| acts.open.contains(gate).then_some(()))
            .is_some()
    }

    /// Waits `time`; false when the other side went first.
    pub fn linger(&self, time: Duration, gone: impl Fn() -> bool) -> bool {
        let end = Instant::now() + time;
        self.wait(gone, |_| (Instant::now() >= end).then_some(()))
            .is_some()
    }

    /// Hands every text that the harness emits to `send` until the other side
    /// is gone; only texts from now on.
    pub fn relay(&self, key: &str, gone: impl Fn() -> bool, mut send: impl FnMut(&str)) {
        let mut next = {
            let mut acts = self.acts.lock().unwrap();
            acts.relays += 1;
            acts.emitted.len()
        };
        self.tell(&Event::Relaying(key.to_owned()));
        while let Some(text) = self.wait(&gone, |acts| acts.emitted.get(next).cloned()) {
            send(&text);
            next += 1;
        }
        self.acts.lock().unwrap().relays -= 1;
    }

    /// Hands `text` to all that relay, once one does, unless the other side goes
    /// first.
    pub fn emit(&self, text: String, gone: impl Fn() -> bool) {
        if self
            .wait(gone, |acts| (acts.relays > 0).then_some(()))
            .is_some()
        {
            self.acts.lock().unwrap().emitted.push(text);
            self.changed.notify_all();
        }
    }

    fn wait<T>(&self, gone: impl Fn() -> bool, ready: impl Fn(&Acts) -> Option<T>) -> Option<T> {
        let mut acts = self.acts.lock().unwrap();
        loop {
            if let Some(value) = ready(&acts) {
                return Some(value);
            }
            if gone() {
                return None;
            }
            acts = self.changed.wait_timeout(acts, GLANCE).unwrap().0;
        }
    }
}
