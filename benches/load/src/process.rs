//! A program that the benchmark runs: started in a process group of its own,
//! and ended with the value that stands for it, however the benchmark ends.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    net::SocketAddr,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, bail};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{
        Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open,
        set_parent_process_death_signal,
    },
};

/// How long a program may take to end once it is told to.
const PATIENCE: Timespec = Timespec {
    tv_sec: 5,
    tv_nsec: 0,
};

/// Most of a program's log that is quoted in an error, in bytes.
const QUOTED: usize = 2000;

/// Lets the calling program end with the one that started it, even where that
/// is killed (`PR_SET_PDEATHSIG` in `prctl(2)`).
pub fn end_with_parent() -> io::Result<()> {
    Ok(set_parent_process_death_signal(Some(Signal::TERM))?)
}

/// A running program; dropping it ends the program and waits for that.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, with its stderr in `logs/NAME.log`.
    pub fn start(name: &str, command: &mut Command, logs: &Path) -> anyhow::Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let child = command
            .stderr(File::create(&log)?)
            .process_group(0)
            .spawn()
            .with_context(|| format!("{name}: cannot start {}", command.get_program().display()))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// Starts `command`, whose first line on stdout is the address it serves.
    pub fn serve(
        name: &str,
        command: &mut Command,
        logs: &Path,
    ) -> anyhow::Result<(Self, SocketAddr)> {
        let mut process = Self::start(
            name,
            command.stdin(Stdio::null()).stdout(Stdio::piped()),
            logs,
        )?;
        let mut line = String::new();
        if let Some(stdout) = process.child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        match line.trim().parse() {
            Ok(address) => Ok((process, address)),
            Err(_) => bail!("{name}: said no address: {}", process.complaint()),
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The child itself, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// An error with what the program logged, if it is no longer running.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!(
                "{} ended by itself ({status}): {}",
                self.name,
                self.complaint()
            ),
        }
    }

    /// The end of what the program wrote to stderr.
    pub fn complaint(&self) -> String {
        let mut text = Vec::new();
        let read = File::open(&self.log).and_then(|mut log| log.read_to_end(&mut text));
        match read {
            Ok(_) if !text.is_empty() => {
                String::from_utf8_lossy(&text[text.len().saturating_sub(QUOTED)..])
                    .trim()
                    .to_owned()
            }
            _ => "it logged nothing".to_owned(),
        }
    }

    /// SIGTERM, time to obey, then SIGKILL to all that is left of the group.
    fn end(&mut self) -> io::Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        let pid = Pid::from_child(&self.child);
        let handle = pidfd_open(pid, PidfdFlags::empty())?;
        kill_process(pid, Signal::TERM)?;
        poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&PATIENCE))?;
        // Before it is waited for: until then nobody else can have its id.
        let _ = kill_process_group(pid, Signal::KILL);
        self.child.wait().map(drop)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(problem) = self.end() {
            eprintln!("{}: cannot be ended: {problem}", self.name);
        }
    }
}
