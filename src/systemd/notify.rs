//! What mcpmux tells its service manager (`sd_notify(3)`): that it is ready,
//! what it is doing in one line, that it is alive, that it is stopping; and the
//! descriptors that it is to keep.

use std::{
    env,
    ffi::OsStr,
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::{
        fd::BorrowedFd,
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rustix::net::{
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, sendmsg_addr,
};
use sd_notify::NotifyState;
use tokio::time::MissedTickBehavior;

/// How long a message may wait for a manager whose queue is full. Messages
/// leave from runtime threads, which nothing outside may hold up.
const PATIENCE: Duration = Duration::from_millis(100);

/// The line to the service manager; goes nowhere where there is none.
///
/// A message that cannot be delivered is dropped with a line in the log: a
/// daemon that serves must not end because nobody listens to what it reports.
#[derive(Debug, Default)]
pub struct Notifier {
    line: Option<(UnixDatagram, SocketAddr)>,
    /// The status last delivered, so that only changes are sent.
    status: Mutex<String>,
}

impl Notifier {
    /// The line that `NOTIFY_SOCKET` names, if it is set.
    pub fn from_env() -> Self {
        let Some(address) = env::var_os("NOTIFY_SOCKET") else {
            return Self::default();
        };
        Self::to(&address).unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot use NOTIFY_SOCKET; systemd will not hear of readiness");
            Self::default()
        })
    }

    /// A line to the datagram socket at `address`: a path, or a name in the
    /// abstract namespace after an `@`.
    pub fn to(address: &OsStr) -> io::Result<Self> {
        let address = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            _ => SocketAddr::from_pathname(address)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            line: Some((socket, address)),
            status: Mutex::default(),
        })
    }

    /// Whether somebody listens.
    pub fn is_connected(&self) -> bool {
        self.line.is_some()
    }

    /// mcpmux serves; `status` is what it has to say about itself.
    pub fn ready(&self, status: &str) {
        self.send_with_status(&[NotifyState::Ready], status);
    }

    /// What `systemctl status` shows. Sent only if it differs from the last.
    pub fn status(&self, status: &str) {
        self.send_with_status(&[], status);
    }

    /// mcpmux reads its configuration again, and says that it is
    /// [ready](Self::ready) once it has.
    pub fn reloading(&self) {
        // systemd tells by the time which reload is meant (sd_notify(3)).
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.send(&[NotifyState::Reloading, now]),
            Err(_) => self.send(&[NotifyState::Reloading]),
        };
    }

    /// mcpmux begins to shut down.
    pub fn stopping(&self, status: &str) {
        self.send_with_status(&[NotifyState::Stopping], status);
    }

    /// Starting or stopping takes longer than the unit's time-out allows: asks
    /// for `more` time, counted from now.
    pub fn extend_timeout(&self, more: Duration) {
        let microseconds = u32::try_from(more.as_micros()).unwrap_or(u32::MAX);
        self.send(&[NotifyState::ExtendTimeoutUsec(microseconds)]);
    }

    /// Tells the manager twice per `interval` that this process is alive, each time
    /// that `beat` has gone through what is vouched for and found it so.
    ///
    /// Runs until dropped. It belongs on the runtime that serves: one that hangs, or
    /// a `beat` that does not come back, then falls silent, and systemd starts mcpmux
    /// anew.
    pub async fn watchdog<B>(&self, interval: Duration, beat: impl Fn() -> B)
    where
        B: Future<Output = bool>,
    {
        let mut ticks = tokio::time::interval(interval / 2);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if beat().await {
                self.send(&[NotifyState::Watchdog]);
            }
        }
    }

    /// Has the manager keep `descriptor` as `name` for the next start, if the
    /// unit allows that (`FileDescriptorStoreMax=`). Blocks, but not for long.
    pub(super) fn keep(&self, name: &str, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        self.send_about(&format!("FDSTORE=1\nFDNAME={name}"), &[descriptor])
    }

    /// Has the manager close what it keeps as `name`. Blocks, but not for long.
    pub(super) fn forget(&self, name: &str) -> io::Result<()> {
        self.send_about(&format!("FDSTOREREMOVE=1\nFDNAME={name}"), &[])
    }

    fn send_about(&self, message: &str, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let Some((socket, address)) = &self.line else {
            return Ok(());
        };
        let address = match (address.as_pathname(), address.as_abstract_name()) {
            (Some(path), _) => SocketAddrUnix::new(path)?,
            (_, Some(name)) => SocketAddrUnix::new_abstract_name(name)?,
            _ => return Err(io::ErrorKind::AddrNotAvailable.into()),
        };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let text = [IoSlice::new(message.as_bytes())];
        sendmsg_addr(socket, &address, &text, &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    fn send_with_status(&self, states: &[NotifyState<'_>], text: &str) {
        // A line break would begin another message ("MAINPID=…").
        let text = text.replace(|c: char| c.is_control(), " ");
        let mut last = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        let mut states = states.to_vec();
        if *last != text {
            states.push(NotifyState::Status(&text));
        }
        if self.send(&states) {
            *last = text;
        }
    }

    /// Whether the message is on its way; false also where nobody listens.
    fn send(&self, states: &[NotifyState<'_>]) -> bool {
        let Some((socket, address)) = &self.line else {
            return false;
        };
        if states.is_empty() {
            return true;
        }
        let message = states
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n");
        match socket.send_to_addr(message.as_bytes(), address) {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!(%error, message = "cannot notify systemd", lost = message);
                false
            }
        }
    }
}

/// How often at least the manager wants to hear that this process is alive
/// (`WatchdogSec=`), if it does.
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A manager's end of the line, and a notifier that is connected to it.
    fn line() -> (tempfile::TempDir, UnixDatagram, Notifier) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        manager
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let notifier = Notifier::to(path.as_os_str()).unwrap();
        (folder, manager, notifier)
    }

    fn heard(manager: &UnixDatagram) -> String {
        let mut buffer = [0; 4096];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn readiness_and_status_arrive_together() {
        let (_folder, manager, notifier) = line();
        notifier.ready("2/3 backends up");
        assert_eq!(heard(&manager), "READY=1\nSTATUS=2/3 backends up");
    }

    #[test]
    fn a_status_is_sent_only_when_it_changes() {
        let (_folder, manager, notifier) = line();
        notifier.ready("one");
        notifier.status("one");
        notifier.status("two");
        notifier.status("two");
        notifier.stopping("two");
        assert_eq!(heard(&manager), "READY=1\nSTATUS=one");
        assert_eq!(heard(&manager), "STATUS=two");
        assert_eq!(heard(&manager), "STOPPING=1");
    }

    #[test]
    fn a_reload_tells_when_it_began() {
        let (_folder, manager, notifier) = line();
        let now = || match NotifyState::monotonic_usec_now().unwrap() {
            NotifyState::MonotonicUsec(now) => now,
            other => panic!("{other:?}"),
        };
        let before = now();
        notifier.reloading();
        let heard = heard(&manager);
        let time = heard.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(
            (before..=now()).contains(&time.trim_end().parse().unwrap()),
            "{heard}"
        );
    }

    #[test]
    fn a_line_break_in_a_status_starts_no_second_message() {
        let (_folder, manager, notifier) = line();
        notifier.status("broken:\nMAINPID=1");
        assert_eq!(heard(&manager), "STATUS=broken: MAINPID=1");
    }

    #[test]
    fn an_abstract_socket_is_reached() {
        let name = format!("mcpmux-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        let notifier = Notifier::to(OsStr::new(&format!("@{name}"))).unwrap();
        notifier.extend_timeout(Duration::from_secs(2));
        assert_eq!(heard(&manager), "EXTEND_TIMEOUT_USEC=2000000");
    }

    #[test]
    fn a_document_that_is_left_is_there_before_the_one_before_it_goes() {
        use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
        let (_folder, manager, notifier) = line();
        assert!(super::super::fd_store::leave(&notifier, "x", 7, b"content").unwrap());
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut descriptors = 0;
        let mut messages = Vec::new();
        for _ in 0..3 {
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut buffer = [0; 200];
            let mut parts = [io::IoSliceMut::new(&mut buffer)];
            let length = recvmsg(&manager, &mut parts, &mut control, RecvFlags::empty())
                .unwrap()
                .bytes;
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(received) = message {
                    descriptors += received.count();
                }
            }
            messages.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
        }
        assert_eq!(
            messages,
            [
                "FDSTOREREMOVE=1\nFDNAME=mcpmux-x.b",
                "FDSTORE=1\nFDNAME=mcpmux-x.b",
                "FDSTOREREMOVE=1\nFDNAME=mcpmux-x.a",
            ]
        );
        assert_eq!(descriptors, 1);
        assert!(!super::super::fd_store::leave(&Notifier::default(), "x", 7, b"").unwrap());
    }

    #[test]
    fn a_status_that_was_lost_is_sent_again() {
        let (folder, manager, notifier) = line();
        drop(manager);
        std::fs::remove_file(folder.path().join("notify")).unwrap();
        notifier.status("one");
        let manager = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        notifier.status("one");
        assert_eq!(heard(&manager), "STATUS=one");
    }

    #[test]
    fn a_manager_that_does_not_read_holds_nobody_up() {
        let (_folder, _manager, notifier) = line();
        let started = std::time::Instant::now();
        let delivered = (0..10_000)
            .take_while(|_| notifier.send(&[NotifyState::Watchdog]))
            .count();
        assert!(delivered < 10_000, "the queue never filled");
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        let notifier = Notifier::default();
        notifier.ready("up");
        notifier.stopping("down");
        assert!(!notifier.is_connected());
    }

    #[tokio::test]
    async fn the_watchdog_is_fed_from_the_runtime() {
        let (_folder, manager, notifier) = line();
        let interval = Duration::from_millis(20);
        let fed = tokio::time::timeout(
            Duration::from_millis(200),
            notifier.watchdog(interval, || async { true }),
        );
        assert!(fed.await.is_err(), "it runs until dropped");
        for _ in 0..5 {
            assert_eq!(heard(&manager), "WATCHDOG=1");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_wedged_does_not_feed_the_watchdog() {
        let (_folder, manager, notifier) = line();
        manager.set_nonblocking(true).unwrap();
        let silent = || {
            let read = manager.recv(&mut [0; 64]);
            read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
        };
        let interval = Duration::from_secs(1);
        let wedged = notifier.watchdog(interval, std::future::pending::<bool>);
        let _ = tokio::time::timeout(interval * 10, wedged).await;
        assert!(silent());
    }

    #[tokio::test(start_paused = true)]
    async fn what_answers_wrongly_does_not_feed_the_watchdog_before_it_answers_well() {
        let (_folder, manager, notifier) = line();
        let beats = AtomicUsize::new(0);
        let interval = Duration::from_secs(1);
        let beat = || std::future::ready(beats.fetch_add(1, Ordering::Relaxed) == 5);
        let fed = notifier.watchdog(interval, beat);
        let _ = tokio::time::timeout(interval * 5, fed).await;
        assert_eq!(heard(&manager), "WATCHDOG=1");
        manager.set_nonblocking(true).unwrap();
        assert!(manager.recv(&mut [0; 64]).is_err());
    }
}
