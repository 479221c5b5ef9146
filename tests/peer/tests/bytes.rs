//! The peer sends what its script holds and reports what reaches it.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

struct Scene {
    child: Child,
    events: BufReader<UnixStream>,
    dir: PathBuf,
}

impl Scene {
    fn start(name: &str, script: &str, options: &[&str]) -> Self {
        let dir = std::env::temp_dir().join(format!("mcpmux-peer-{name}-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("script.json"), script).unwrap();
        let listener = UnixListener::bind(dir.join("harness")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_mcpmux-test-peer"))
            .args(options)
            .arg(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut harness = listener.accept().unwrap().0;
        harness.write_all(b"\n").unwrap();
        let events = BufReader::new(harness);
        let mut scene = Self { child, events, dir };
        assert!(scene.event().starts_with(r#"{"start":"#));
        scene
    }

    fn event(&mut self) -> String {
        let mut line = String::new();
        self.events.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn order(&mut self, order: &str) {
        writeln!(self.events.get_mut(), "{order}").unwrap();
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        fs::remove_dir_all(&self.dir).ok();
    }
}

#[test]
fn a_line_is_answered_with_the_scripts_bytes_and_reported_with_its_own() {
    let script = r#"{"start":[],"on":{"tools/call odd":[[{"send":"{\"id\" : $ID, \"t\":$TOKEN, \"n\":1e400, \"s\":\"\\ud800\"}"}]]}}"#;
    let mut scene = Scene::start("stdio", script, &[]);
    let line = r#"{"id":"\u0061","method":"tools/call","params":{"name":"odd","_meta":{"progressToken":0},"x":1e400}}"#;
    let mut stdin = scene.child.stdin.take().unwrap();
    writeln!(stdin, "{line}").unwrap();
    let mut stdout = BufReader::new(scene.child.stdout.take().unwrap());
    let mut answer = String::new();
    stdout.read_line(&mut answer).unwrap();
    assert_eq!(
        answer,
        "{\"id\" : \"\\u0061\", \"t\":0, \"n\":1e400, \"s\":\"\\ud800\"}\n"
    );
    assert_eq!(
        scene.event(),
        format!(r#"{{"message":{}}}"#, serde_json::to_string(line).unwrap())
    );
    drop(stdin);
    assert_eq!(scene.event(), r#""end_of_input""#);
    assert!(scene.child.wait().unwrap().success());
}

#[test]
fn an_http_request_waits_at_its_gate_and_is_answered_by_a_stream() {
    let script = r#"{"start":[],"on":{"ping":[[{"sse":[["X-Odd","1"]]},{"await":"g"},{"send":"{\n\"id\":$ID}"}]]}}"#;
    let mut scene = Scene::start("http", script, &["--http", "127.0.0.1:0"]);
    let listening = scene.event();
    let address = listening.split('"').nth(3).unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let body = r#"{"id":7,"method":"ping"}"#;
    write!(
        stream,
        "POST /mcp HTTP/1.1\r\nX-Two: b\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    assert_eq!(scene.event(), r#"{"connected":1}"#);
    assert!(
        scene
            .event()
            .contains(r#""headers":[["x-two","b"],["content-length","24"]]"#)
    );
    scene.order(r#"{"open":"g"}"#);
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"0\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        answer.extend(byte);
    }
    assert_eq!(
        String::from_utf8_lossy(&answer),
        "HTTP/1.1 200 Scripted\r\nX-Odd: 1\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n\
         26\r\nevent: message\ndata: {\ndata: \"id\":7}\n\n\r\n0\r\n\r\n"
    );
}
