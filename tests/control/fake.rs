//! A running mcpmux as the commands see it: it answers each request as the test
//! says.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};

/// One connection, after its request was read.
pub(crate) struct Asker(UnixStream);

impl Asker {
    /// Sends one answer; whoever asked may be gone.
    pub(crate) fn tell(&mut self, answer: &Value) {
        let _ = writeln!(self.0, "{answer}");
    }

    /// Waits until whoever asked has gone.
    pub(crate) fn gone(self) {
        let _ = std::io::copy(&mut &self.0, &mut std::io::sink());
    }
}

/// A directory with a configuration and a control socket that the test serves.
pub(crate) struct Fake {
    pub(crate) dir: tempfile::TempDir,
    asked: Arc<Mutex<Vec<Value>>>,
}

pub(crate) fn hello() -> Value {
    json!({ "answer": "hello", "protocol": 1, "version": "9.9.9", "config": "/c.yaml" })
}

/// The status of one backend.
pub(crate) fn backend(name: &str, kind: &str, login: &str) -> Value {
    let login = (kind == "oauth").then_some(login);
    json!({
        "backend": name, "kind": kind, "login": login, "account": null, "issuer": null,
        "scopes": [], "expires": null, "refreshes": null, "stored": null, "trouble": null,
    })
}

impl Fake {
    /// Serves nothing: only a directory.
    pub(crate) fn silent() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("mcpmux.yaml"), "backends: []\n").unwrap();
        Self {
            dir,
            asked: Arc::default(),
        }
    }

    /// Serves these backends; `answer` does so for every request but for that of
    /// their status.
    pub(crate) fn new(
        backends: &[Value],
        answer: impl Fn(&Value, Asker) + Send + Sync + 'static,
    ) -> Self {
        let fake = Self::silent();
        fake.serve(hello(), backends, answer);
        fake
    }

    pub(crate) fn serve(
        &self,
        hello: Value,
        backends: &[Value],
        answer: impl Fn(&Value, Asker) + Send + Sync + 'static,
    ) {
        serve(
            &UnixListener::bind(self.path()).unwrap(),
            &self.asked,
            hello,
            backends,
            answer,
        );
    }

    /// The requests so far.
    pub(crate) fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("control.sock")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcpmux"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .env("MCPMUX_CONTROL", self.path())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts a command whose stdin, stdout and stderr are the test's.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

fn serve(
    listener: &UnixListener,
    requests: &Arc<Mutex<Vec<Value>>>,
    hello: Value,
    backends: &[Value],
    answer: impl Fn(&Value, Asker) + Send + Sync + 'static,
) {
    let (listener, requests) = (listener.try_clone().unwrap(), Arc::clone(requests));
    let logins = json!({ "answer": "logins", "backends": backends });
    let answer = Arc::new(answer);
    // It ends with the test's process.
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (requests, answer) = (Arc::clone(&requests), Arc::clone(&answer));
            let (hello, logins) = (hello.clone(), logins.clone());
            thread::spawn(move || {
                let mut line = String::new();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                reader.read_line(&mut line).unwrap();
                let request: Value = serde_json::from_str(&line).unwrap();
                requests.lock().unwrap().push(request.clone());
                let mut asker = Asker(stream);
                asker.tell(&hello);
                if request["request"] == "auth.status" {
                    asker.tell(&logins);
                } else {
                    answer(&request, asker);
                }
            });
        }
    });
}
