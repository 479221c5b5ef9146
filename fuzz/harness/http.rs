//! The clients' side over HTTP: whatever is sent, what comes back is HTTP, the
//! answer to a request is JSON, and mcpmux goes on serving.
//!
//! An input's first byte says how the rest is sent: as it is, or as the body of
//! a request that is right so far, in one era or the other, to which the second
//! byte adds what may be wrong with it. mcpmux runs in this process and keeps
//! its files where `XDG_STATE_HOME` and `XDG_RUNTIME_DIR` say.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    panic,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

use mcpmux::{
    Config,
    access::Access,
    config::Environment,
    daemon,
    systemd::{Handed, Listener, Notifier, Taken},
};
use mcpmux_load::backend::{answer::Answers, http};

/// What is put before a body, by the first byte of an input.
const HEADS: [&str; 8] = [
    // Sent as it is.
    "",
    "POST /mcp HTTP/1.1\r\nMCP-Protocol-Version: 2025-11-25\r\nMcp-Session-Id: SESSION\r\n",
    "POST /mcp HTTP/1.1\r\nMCP-Protocol-Version: 2025-03-26\r\nMcp-Session-Id: SESSION\r\n",
    "POST /mcp HTTP/1.1\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: b__echo\r\n",
    "POST /mcp HTTP/1.1\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/list\r\n",
    "POST /mcp HTTP/1.1\r\n",
    "POST /mcp HTTP/1.1\r\nMcp-Session-Id: unknown\r\n",
    "DELETE /mcp HTTP/1.1\r\nMcp-Session-Id: unknown\r\n",
];

/// Further headers, by the second byte.
const MORE: [&str; 4] = [
    "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n",
    "Content-Type: application/json\r\nAccept: text/event-stream, application/json\r\n",
    "Content-Type: application/json\r\nAccept: */*\r\n",
    "Content-Type: text/plain\r\nAccept: application/json\r\nOrigin: http://evil.example\r\n",
];

/// How long mcpmux may take to say something.
const PATIENCE: Duration = Duration::from_secs(20);

/// The longest part of an answer that is read.
const READ: u64 = 1 << 20;

/// Whether any thread has panicked: the runtime lives on where a task has.
static PANICKED: AtomicBool = AtomicBool::new(false);

pub fn check(input: &[u8]) {
    let house = house();
    let [how, more, body @ ..] = input else {
        return;
    };
    let head = HEADS[usize::from(*how) % HEADS.len()];
    let request = if head.is_empty() {
        body.to_vec()
    } else {
        let head = head.replace("SESSION", &house.session);
        let more = MORE[usize::from(*more) % MORE.len()];
        let length = body.len();
        let mut request = format!(
            "{head}Host: localhost\r\nConnection: close\r\n{more}Content-Length: {length}\r\n\r\n"
        )
        .into_bytes();
        request.extend_from_slice(body);
        request
    };
    let answer = send(house.address, &request, head.is_empty());
    // A client of HTTP/1.0 is answered in that.
    let status = [b"HTTP/1.1 ", b"HTTP/1.0 "].map(|version| answer.strip_prefix(version));
    let status = status.into_iter().flatten().next();
    assert!(
        answer.is_empty() || status.is_some_and(|status| !status.starts_with(b"500")),
        "no HTTP, or a failure of mcpmux: {}",
        String::from_utf8_lossy(&answer)
    );
    let health = send(
        house.address,
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        false,
    );
    assert!(health.ends_with(b"ok\n"), "it serves no more");
    assert!(!PANICKED.load(Relaxed), "a task has panicked");
}

/// A mcpmux with one backend, in this process, and a session of it.
struct House {
    address: SocketAddr,
    session: String,
}

fn house() -> &'static House {
    static HOUSE: OnceLock<House> = OnceLock::new();
    HOUSE.get_or_init(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            PANICKED.store(true, Relaxed);
            before(panic);
        }));
        let (told, address) = mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let backend = tokio::net::TcpListener::bind("127.0.0.1:0");
                let backend = backend.await.expect("a port");
                let upstream = backend.local_addr().expect("an address");
                tokio::spawn(http::serve(backend, Arc::new(Answers::new(3)), true, Arc::default()));
                let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
                listener.set_nonblocking(true).expect("a socket option");
                let address = listener.local_addr().expect("an address");
                let text = format!(
                    "token_store: {{ kind: memory }}\nbackends:\n  \
                     - {{ name: b, transport: http, endpoint: \"http://{upstream}/mcp\", timeout: 1s }}\n"
                );
                let read = move || {
                    let environment: Environment = std::iter::empty::<(&str, &str)>().collect();
                    Config::parse(&text, "fuzz", &environment)
                };
                let config = read().expect("a configuration");
                let access = Access::open(&config, &[address], Arc::default()).expect("a loopback address");
                told.send(address).expect("somebody waits");
                let mut taken = Taken::default();
                let (name, listener) = (String::new(), Listener::Tcp(listener));
                taken.sockets.push(Handed { name, listener });
                let (read, notifier) = (Arc::new(read), Arc::new(Notifier::default()));
                let served = daemon::run(&config, access, read, taken, notifier).await;
                panic!("mcpmux has ended: {served:?}");
            });
        });
        let address = address.recv().expect("mcpmux starts");
        let session = (0..200).find_map(|_| {
            thread::sleep(Duration::from_millis(50));
            begin(address)
        });
        let session = session.expect("mcpmux serves");
        House { address, session }
    })
}

fn begin(address: SocketAddr) -> Option<String> {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"fuzz","version":"0"}}}"#;
    let head = HEADS[5];
    let more = MORE[0];
    let length = body.len();
    let request = format!(
        "{head}Host: localhost\r\nConnection: close\r\n{more}Content-Length: {length}\r\n\r\n{body}"
    );
    let answer = String::from_utf8(send(address, request.as_bytes(), false)).ok()?;
    let line = answer
        .lines()
        .find_map(|line| line.strip_prefix("mcp-session-id: "))?;
    Some(line.to_owned())
}

/// Sends all, says that this is all where it may not be enough (who has said so
/// need not be answered), and reads what comes back. A stream of notifications
/// does not end: what has come of it by then is enough.
fn send(address: SocketAddr, request: &[u8], all: bool) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("mcpmux accepts connections");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a socket option");
    // It may have closed before it has read all of it.
    let _ = stream.write_all(request);
    if all {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut answer = Vec::new();
    let _ = stream.take(READ).read_to_end(&mut answer);
    answer
}
