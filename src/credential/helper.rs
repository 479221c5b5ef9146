//! One run of a helper command: a process in a group of its own, bounded in
//! time and output, that leaves nothing behind. Its stdout is a secret and is
//! never shown; its stderr is for the user.

use std::{
    ffi::OsString,
    io,
    pin::pin,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    time::timeout,
};
use zeroize::Zeroizing;

use super::HelperFailure;
use crate::{Secret, config::Environment};

/// The longest that a run may take.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// How long output is waited for that an exited helper left in its pipes.
const DRAIN_LIMIT: Duration = Duration::from_secs(1);
/// The most that stdout may hold, in bytes.
pub(super) const MAX_TOKEN: usize = 64 * 1024;
/// How much of the end of stderr is kept, in bytes.
const MAX_STDERR: usize = 2 * 1024;

/// A helper command and what it is run with.
#[derive(Debug)]
pub(super) struct Helper {
    argv: Vec<String>,
    environment: Vec<(OsString, OsString)>,
    time_limit: Duration,
}

impl Helper {
    pub(super) fn new(argv: &[String], environment: &Environment) -> Self {
        Self {
            argv: argv.to_vec(),
            environment: environment
                .inherited()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            time_limit: TIME_LIMIT,
        }
    }

    /// The program, for messages; arguments may tell too much.
    pub(super) fn program(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }

    /// Runs it once and takes its trimmed stdout for the token. Whatever
    /// becomes of the future, no process of the helper's group survives it.
    pub(super) async fn run(&self) -> Result<Secret, HelperFailure> {
        let mut child = self.spawn()?;
        let group = Group::of(&child);
        let mut stdout = Zeroizing::new(Vec::with_capacity(MAX_TOKEN + 1));
        let mut stderr = Vec::new();
        let finished = finish(&mut child, &group, &mut stdout, &mut stderr);
        let outcome = timeout(self.time_limit, finished).await;
        drop(group);
        let stderr = readable(&stderr);
        match outcome {
            Err(_) => Err(HelperFailure::Time {
                limit: self.time_limit,
                stderr,
            }),
            Ok(Err(failure)) => Err(failure),
            Ok(Ok(status)) if !status.success() => Err(HelperFailure::Status { status, stderr }),
            Ok(Ok(_)) => token(&stdout).map_err(|found| HelperFailure::NoToken { found, stderr }),
        }
    }

    fn spawn(&self) -> Result<Child, HelperFailure> {
        Command::new(self.program())
            .args(self.argv.iter().skip(1))
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| {
                let not_found = source.kind() == io::ErrorKind::NotFound;
                let path = self.environment.iter().find(|(name, _)| name == "PATH");
                let searched = path
                    .filter(|_| not_found && !self.program().contains('/'))
                    .map(|(_, path)| path.to_string_lossy().into_owned());
                HelperFailure::Start { source, searched }
            })
    }
}

/// Waits until the helper has ended, reading both pipes on the way so that it
/// never blocks on them.
async fn finish(
    child: &mut Child,
    group: &Group,
    stdout: &mut Vec<u8>,
    stderr: &mut Vec<u8>,
) -> Result<ExitStatus, HelperFailure> {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let reading = async {
        let (within_bounds, ()) = tokio::join!(read_start(out, stdout), read_end(err, stderr));
        within_bounds
    };
    let mut reading = pin!(reading);
    let mut all_read = false;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status.map_err(HelperFailure::Wait)?,
            within_bounds = &mut reading, if !all_read => {
                if !within_bounds {
                    return Err(HelperFailure::Long);
                }
                all_read = true;
            }
        }
    };
    // What the helper started in its group goes with it, and lets go of the
    // pipes. A daemon that left the group may hold them; it is not waited for.
    group.kill();
    if !all_read
        && timeout(DRAIN_LIMIT, reading)
            .await
            .is_ok_and(|within_bounds| !within_bounds)
    {
        return Err(HelperFailure::Long);
    }
    Ok(status)
}

/// Reads all of `pipe`; false as soon as it is too long.
async fn read_start(pipe: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) -> bool {
    let Some(pipe) = pipe else { return true };
    // A pipe that cannot be read any further has ended.
    let _ = pipe.take(MAX_TOKEN as u64 + 1).read_to_end(into).await;
    into.len() <= MAX_TOKEN
}

/// Reads all of `pipe` and keeps its end.
async fn read_end(pipe: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) {
    let Some(mut pipe) = pipe else { return };
    let mut chunk = [0; 4096];
    while let Ok(count @ 1..) = pipe.read(&mut chunk).await {
        into.extend_from_slice(&chunk[..count]);
        let surplus = into.len().saturating_sub(MAX_STDERR);
        into.drain(..surplus);
    }
}

/// The token that `stdout` is, or what it is instead.
fn token(stdout: &[u8]) -> Result<Secret, &'static str> {
    let text = std::str::from_utf8(stdout)
        .map_err(|_| "bytes that are no text")?
        .trim();
    if text.is_empty() {
        Err("nothing")
    } else if text.contains(char::is_whitespace) {
        Err("more than one word")
    } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err("characters that an HTTP header cannot carry")
    } else {
        Ok(Secret::new(text.to_owned()))
    }
}

/// Text for a message: without control characters but the ends of lines.
fn readable(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    text.trim()
        .chars()
        .filter(|c| !c.is_control() || *c == '\n')
        .collect()
}

/// A process group that is killed when dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    fn kill(&self) {
        if let Some(pid) = self.0 {
            // Fails if nobody is left, which is what is wanted.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::script::Script, Environment, Helper, HelperFailure, MAX_STDERR, timeout};

    async fn failure(script: &Script) -> HelperFailure {
        script.helper().run().await.expect_err("a failure")
    }

    /// Waits until the process has ended whose id the script wrote to `name`.
    /// One that is not reaped yet (`Z`, proc(5)) has ended too: by whom it is
    /// reaped, and when, is up to the machine.
    async fn gone(script: &Script, name: &str) {
        let id = std::fs::read_to_string(script.path(name)).expect("an id");
        let stat = format!("/proc/{}/stat", id.trim());
        let ended = async {
            while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(20), ended)
            .await
            .expect("it has ended");
    }

    #[tokio::test]
    async fn the_token_is_stdout_trimmed() {
        let token = Script::new("echo noise >&2; printf '\\n  token \\r\\n\\n'")
            .helper()
            .run()
            .await;
        assert_eq!(token.expect("a token").expose(), "token");
    }

    #[tokio::test]
    async fn what_is_no_token_is_told_unseen() {
        for (then, found) in [
            (":", "nothing"),
            ("echo s3cret s3cret", "more than one word"),
            ("printf 's3cret\\ns3cret\\n'", "more than one word"),
            ("printf 's3cret\\377'", "no text"),
            ("printf 's3cret\\001x'", "characters"),
            ("head -c 70000 /dev/zero | tr '\\0' s", "more than 64 KiB"),
            ("tr '\\0' s < /dev/zero", "more than 64 KiB"),
            ("echo s3cret; kill -9 $$", "signal: 9"),
        ] {
            let message = failure(&Script::new(then)).await.to_string();
            assert!(message.contains(found), "{then}: {message}");
            assert!(!message.contains("s3cret"), "{message}");
        }
    }

    #[tokio::test]
    async fn of_a_flood_on_stderr_the_end_is_kept() {
        let script =
            Script::new("yes noise | head -n 50000 >&2; printf 'the \\033[1mend' >&2; exit 1");
        let HelperFailure::Status { stderr, .. } = failure(&script).await else {
            panic!("a status")
        };
        assert!(
            stderr.ends_with("noise\nthe [1mend") && stderr.len() <= MAX_STDERR,
            "{stderr}"
        );
    }

    #[tokio::test]
    async fn a_helper_that_hangs_is_killed_with_all_that_it_started() {
        let script = Script::new(
            "echo asking >&2; sleep 1000 & echo $! > $d/child; echo $$ > $d/self; trap '' TERM; wait",
        );
        let helper = Helper {
            time_limit: Duration::from_millis(500),
            ..script.helper()
        };
        let message = helper.run().await.expect_err("a failure").to_string();
        assert_eq!(
            message,
            "gave no answer within 0.5 s and was killed; its stderr: asking"
        );
        gone(&script, "child").await;
        gone(&script, "self").await;
    }

    #[tokio::test]
    async fn what_a_helper_leaves_running_neither_holds_it_up_nor_survives_it() {
        let script = Script::new("sleep 1000 & echo $! > $d/child; echo token");
        let token = script.helper().run().await.expect("a token");
        assert_eq!(token.expose(), "token");
        gone(&script, "child").await;
    }

    #[tokio::test]
    async fn a_run_that_is_given_up_leaves_no_process() {
        let script =
            Script::gated("sleep 1000 & echo $! > $d/child; mkfifo $d/never; read -r _ < $d/never");
        let helper = script.helper();
        let run = tokio::spawn(async move { helper.run().await });
        script.let_through().await;
        while !script.path("never").exists() {
            tokio::task::yield_now().await;
        }
        run.abort();
        assert!(run.await.expect_err("aborted").is_cancelled());
        gone(&script, "child").await;
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_told_with_the_path_that_was_searched() {
        let environment: Environment = [("PATH", "/nowhere")].into_iter().collect();
        let helper = Helper::new(&["no-such-helper".to_owned()], &environment);
        let message = helper.run().await.expect_err("a failure").to_string();
        assert!(
            message.starts_with("cannot be started: No such file"),
            "{message}"
        );
        assert!(message.ends_with("(PATH is /nowhere)"), "{message}");
    }

    #[tokio::test]
    async fn a_helper_sees_a_clean_environment() {
        let environment: Environment = [
            ("PATH", std::env::var("PATH").expect("a path").as_str()),
            ("TOKEN", "s3cret"),
            ("LC_ALL", "C"),
        ]
        .into_iter()
        .collect();
        let argv = ["sh", "-c", "echo ${TOKEN-unset}/$LC_ALL"].map(str::to_owned);
        let token = Helper::new(&argv, &environment)
            .run()
            .await
            .expect("a token");
        assert_eq!(token.expose(), "unset/C");
    }
}
