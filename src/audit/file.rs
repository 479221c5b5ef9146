//! The file of records: JSON Lines, appended by a thread of its own, so that a
//! slow disk holds up nothing. Rotation is `logrotate(8)`'s: a file that was
//! moved or removed is begun anew at its path.

use std::{
    cell::RefCell,
    fs::{self, OpenOptions},
    io::{self, Write},
    mem,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use chrono::{SecondsFormat, Utc};
use serde_json::json;
use tracing::{error, info};

use super::{
    line::{self, Clock},
    record::Record,
};

/// The most bytes of records that may wait for the disk; beyond, they are lost and
/// counted.
const WAITING: usize = 2 << 20;

/// How long records are gathered before they are written: a thread that was woken for
/// each of them would cost as much as the call.
const GATHERING: Duration = Duration::from_millis(50);

/// Room for a line that a thread keeps.
const LINE: usize = 4096;

/// How long the end waits for the disk.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why the thread that writes is woken.
enum Call {
    /// Something waits where nothing did.
    Lines,
    /// All that waits is to be written now, and that said.
    Flush(SyncSender<()>),
}

/// The file, as those see it who record.
#[derive(Debug)]
pub(super) struct File {
    waiting: Arc<Mutex<Lines>>,
    calls: SyncSender<Call>,
    lost: Arc<AtomicU64>,
}

/// Records that wait for the disk, a line each.
#[derive(Debug, Default)]
struct Lines {
    text: Vec<u8>,
    count: u64,
}

/// Where one thread writes a record before it takes the lock that all take.
#[derive(Debug, Default)]
struct Desk {
    line: Vec<u8>,
    clock: Clock,
}

thread_local! {
    static DESK: RefCell<Desk> = RefCell::default();
}

impl File {
    /// Begins to write to `path`. Error: no thread can be had.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let (calls, called) = sync_channel(16);
        let waiting = Arc::<Mutex<Lines>>::default();
        let lost = Arc::<AtomicU64>::default();
        let writer = Writer {
            path,
            waiting: Arc::clone(&waiting),
            file: None,
            lost: Arc::clone(&lost),
            failing: false,
        };
        thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || writer.run(&called))?;
        Ok(Self {
            waiting,
            calls,
            lost,
        })
    }

    /// Appends a record, unless too many wait.
    pub(super) fn write(&self, record: &Record<'_>) {
        let length = DESK.with_borrow_mut(|desk| {
            desk.line.clear();
            line::write(&mut desk.line, &mut desk.clock, record);
            let waiting = &mut *lock(&self.waiting);
            let length = waiting.text.len();
            if length <= WAITING {
                waiting.text.extend_from_slice(&desk.line);
                waiting.count += 1;
            }
            // What was long once is not kept for good.
            desk.line.shrink_to(LINE);
            length
        });
        if length > WAITING {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if length == 0 {
            // One that is not heard has others before it.
            let _ = self.calls.try_send(Call::Lines);
        }
    }

    /// Waits until all records before are written, or cannot be.
    pub(super) fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.calls.try_send(Call::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(PATIENCE);
        }
    }
}

fn lock(lines: &Mutex<Lines>) -> MutexGuard<'_, Lines> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Writer {
    path: PathBuf,
    waiting: Arc<Mutex<Lines>>,
    file: Option<fs::File>,
    lost: Arc<AtomicU64>,
    /// The last write failed, which was said.
    failing: bool,
}

impl Writer {
    /// Writes until nobody records any more.
    fn run(mut self, calls: &Receiver<Call>) {
        // What waits is taken by giving the room of what was written for it.
        let mut taken = Lines::default();
        loop {
            let mut called = match calls.recv() {
                Ok(Call::Lines) => calls.recv_timeout(GATHERING),
                Ok(flush) => Ok(flush),
                Err(_) => Err(RecvTimeoutError::Disconnected),
            };
            mem::swap(&mut taken, &mut *lock(&self.waiting));
            self.append(&taken.text, taken.count);
            taken.text.clear();
            taken.text.shrink_to(WAITING / 8);
            taken.count = 0;
            match &mut called {
                Ok(Call::Flush(done)) => _ = done.send(()),
                Ok(Call::Lines) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn append(&mut self, batch: &[u8], lines: u64) {
        if batch.is_empty() {
            return;
        }
        let lost = self.lost.swap(0, Ordering::Relaxed);
        match self.try_append(batch, lost) {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    info!("calls are recorded again in {}", self.path.display());
                }
            }
            Err(error) => {
                self.file = None;
                self.lost.fetch_add(lost + lines, Ordering::Relaxed);
                if !std::mem::replace(&mut self.failing, true) {
                    let path = self.path.display();
                    error!("calls are not recorded, {path} cannot be written: {error}");
                }
            }
        }
    }

    fn try_append(&mut self, batch: &[u8], lost: u64) -> io::Result<()> {
        let file = match self.file.take() {
            Some(file) if is_still_at(&file, &self.path) => file,
            _ => open(&self.path)?,
        };
        let file = self.file.insert(file);
        let length = file.metadata()?.len();
        let mut text = Vec::new();
        if lost > 0 {
            let time = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
            text = serde_json::to_vec(&json!({ "time": time, "lost": lost }))?;
            text.push(b'\n');
        }
        text.extend_from_slice(batch);
        file.write_all(&text).inspect_err(|_| {
            // No half a line may stand where the next one begins.
            let _ = file.set_len(length);
        })
    }
}

/// Readable for its owner alone, as are directories made on the way.
fn open(path: &Path) -> io::Result<fs::File> {
    if let Some(directory) = path.parent() {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

fn is_still_at(file: &fs::File, path: &Path) -> bool {
    let (Ok(own), Ok(there)) = (file.metadata(), fs::metadata(path)) else {
        return false;
    };
    (own.dev(), own.ino()) == (there.dev(), there.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &Path) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn a_file_that_was_moved_is_begun_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/audit.jsonl");
        let file = File::open(path.clone()).unwrap();
        file.write(&Record::refused("a", "x\ny"));
        file.flush();
        let moved = directory.path().join("moved");
        fs::rename(&path, &moved).unwrap();
        file.write(&Record::refused("b", "x"));
        file.flush();
        assert_eq!(lines(&moved)[0]["why"], "x\ny");
        assert_eq!(lines(&path)[0]["caller"], "b");
        let mode = fs::metadata(&path).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_could_not_be_written_is_counted_and_said() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.jsonl");
        fs::create_dir(&path).unwrap();
        let file = File::open(path.clone()).unwrap();
        file.write(&Record::refused("a", "x"));
        file.flush();
        fs::remove_dir(&path).unwrap();
        file.write(&Record::refused("b", "x"));
        file.flush();
        let lines = lines(&path);
        assert_eq!((lines.len(), &lines[0]["lost"]), (2, &serde_json::json!(1)));
    }
}
