//! That limits of a command backend hold. The kernel keeps them, by controllers that
//! the user manager must have been given; where it has not, what is not shown is said.

use std::{collections::HashSet, fs, time::Duration};

use serde_json::{Value, json};

use crate::{
    Test,
    client::Client,
    installation::{Setup, demo, shell},
    session::{Session, eventually},
};

pub(crate) const TESTS: &[Test] = &[
    (
        "limits_become_properties_of_the_unit",
        limits_become_properties,
    ),
    (
        "a_backend_that_eats_memory_is_killed_alone_and_comes_back",
        memory_holds,
    ),
    ("a_fork_bomb_in_a_backend_goes_no_further", tasks_hold),
    ("a_busy_backend_gets_its_share_of_a_processor", cpu_holds),
    (
        "the_status_tells_how_much_memory_a_backend_uses",
        memory_is_told,
    ),
];

const LIMITS: &str = "    limits: { memory: 64MiB, tasks: 20, cpu: 50% }\n";
const DEMO: &str = "mcpmux-backend-demo.service";
const GLUTTON: &str = "mcpmux-backend-glutton.service";

/// How long a backend may take to come back.
const RETURN: Duration = Duration::from_secs(60);

/// The backend `glutton`, whose tools take what they can get: memory, processes, or
/// a processor for two seconds. `limits` is YAML.
fn glutton(limits: &str) -> String {
    let script = r#"
import json, os, sys, time
def eat(): return len(b"x" * (1 << 30))
def fork():
    count = 0
    try:
        while count < 200:
            if os.fork() == 0: time.sleep(1000)
            count += 1
    except OSError: pass
    return count
def spin():
    until = time.monotonic() + 2
    while time.monotonic() < until: pass
    return 0
tools = {"eat": eat, "fork": fork, "spin": spin, "pid": os.getpid}
results = {
    "initialize": {"protocolVersion": "2025-11-25", "serverInfo": {"name": "glutton", "version": "1"},
                   "capabilities": {"tools": {}}},
    "tools/list": {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in tools]},
}
for line in sys.stdin:
    message = json.loads(line)
    method, id = message.get("method"), message.get("id")
    if id is None: continue
    answer = {"jsonrpc": "2.0", "id": id}
    if method == "tools/call":
        text = str(tools[message["params"]["name"]]())
        answer["result"] = {"content": [{"type": "text", "text": text}]}
    elif method in results: answer["result"] = results[method]
    else: answer["error"] = {"code": -32601, "message": "Method not found"}
    print(json.dumps(answer), flush=True)
"#;
    let file = "\"$HOME/scratch/glutton.py\"";
    let write = format!("cat > {file} <<'END'{script}END\n");
    shell("glutton", &format!("{write}exec python3 {file}")) + limits
}

/// What a tool of the glutton says; none if it fails.
fn ask(tool: &str) -> Option<u64> {
    let answer = Client::shipped().call(&format!("glutton__{tool}"), &json!({}));
    let message = answer.unwrap().message;
    let text = message["result"]["content"][0]["text"].as_str()?;
    (message["result"]["isError"] != true).then(|| text.parse().unwrap())
}

/// A file of a unit's control group.
fn group_file(session: &Session, unit: &str, file: &str) -> String {
    let group = session.property(unit, "ControlGroup");
    fs::read_to_string(format!("/sys/fs/cgroup{group}/{file}")).unwrap()
}

/// Whether the kernel controls `what` for a unit; says so if it does not.
fn is_controlled(session: &Session, unit: &str, what: &str) -> bool {
    let controllers = group_file(session, unit, "cgroup.controllers");
    let there = controllers.split_whitespace().any(|one| one == what);
    if !there {
        println!("NOT SHOWN here: the user manager has no controller \"{what}\" (make vm has)");
    }
    there
}

/// The glutton with `limits`, and another backend; running.
fn with_glutton<'s>(session: &'s Session, limits: &str) -> Setup<'s> {
    let setup = Setup::new(session, &(glutton(limits) + &demo("demo", "")));
    setup.write("scratch/there", "");
    setup.listen();
    Client::shipped().assert_echo("demo");
    assert!(ask("pid").is_some(), "{}", session.log());
    setup
}

fn limits_become_properties(session: &Session) {
    let setup = Setup::new(session, &(demo("demo", "") + LIMITS));
    setup.listen();
    Client::shipped().assert_echo("demo");
    assert_eq!(session.property(DEMO, "MemoryMax"), (64 << 20).to_string());
    assert_eq!(session.property(DEMO, "TasksMax"), "20");
    assert_eq!(session.property(DEMO, "CPUQuotaPerSecUSec"), "500ms");
    for (controller, file, value) in [
        ("memory", "memory.max", "67108864\n"),
        ("pids", "pids.max", "20\n"),
        ("cpu", "cpu.max", "50000 100000\n"),
    ] {
        if is_controlled(session, DEMO, controller) {
            assert_eq!(group_file(session, DEMO, file), value, "{file}");
            continue;
        }
        let said = || {
            let wanted = &["--grep=no effect of limits", "MCPMUX_BACKEND=demo"];
            !session.journal(wanted).is_empty()
        };
        let said = eventually(Duration::from_secs(5), said);
        assert!(said, "{}", session.log());
    }
}

fn memory_holds(session: &Session) {
    let _setup = with_glutton(session, "    limits: { memory: 64MiB }\n");
    if !is_controlled(session, GLUTTON, "memory") {
        return;
    }
    let (mcpmux, demo) = (session.main_pid(), session.processes_of(DEMO));
    let mut before = HashSet::new();
    // It is no matter of the first time alone.
    for _ in 0..2 {
        let pid = ask("pid").unwrap();
        assert!(before.insert(pid), "it was not killed: {before:?}");
        assert_eq!(ask("eat"), None, "more than there is");
        Client::shipped().assert_echo("demo");
        // By itself, after a pause.
        let back = eventually(RETURN, || ask("pid").is_some_and(|now| now != pid));
        assert!(back, "{}", session.log());
    }
    let told = || {
        let lines = session.journal(&["--grep=no memory left", "MCPMUX_BACKEND=glutton"]);
        lines
            .iter()
            .any(|line| line.to_string().contains("limits.memory"))
    };
    let told = eventually(Duration::from_secs(20), told);
    assert!(told, "{}", session.log());
    assert_eq!(session.main_pid(), mcpmux);
    assert_eq!(session.processes_of(DEMO), demo);
    let restarts = session.property("mcpmux.service", "NRestarts");
    assert_eq!(restarts, "0");
}

fn tasks_hold(session: &Session) {
    let _setup = with_glutton(session, "    limits: { tasks: 20 }\n");
    if !is_controlled(session, GLUTTON, "pids") {
        return;
    }
    let forked = ask("fork").unwrap();
    assert!((1..20).contains(&forked), "{forked}");
    let now = group_file(session, GLUTTON, "pids.current");
    assert!(now.trim_end().parse::<u64>().unwrap() <= 20, "{now}");
    Client::shipped().assert_echo("demo");
    assert_eq!(ask("fork"), Some(0));
}

fn cpu_holds(session: &Session) {
    let _setup = with_glutton(session, "    limits: { cpu: 20% }\n");
    if !is_controlled(session, GLUTTON, "cpu") {
        return;
    }
    assert_eq!(group_file(session, GLUTTON, "cpu.max"), "20000 100000\n");
    let stat = || -> Value {
        let text = group_file(session, GLUTTON, "cpu.stat");
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        lines
            .map(|(name, value)| (name.to_owned(), json!(value.parse::<u64>().unwrap())))
            .collect()
    };
    let before = stat()["nr_throttled"].as_u64().unwrap();
    assert_eq!(ask("spin"), Some(0));
    let after = stat()["nr_throttled"].as_u64().unwrap();
    assert!(after > before, "{before} and {after}");
}

fn memory_is_told(session: &Session) {
    let setup = with_glutton(session, LIMITS);
    if !is_controlled(session, GLUTTON, "memory") {
        return;
    }
    let output = session
        .command(setup.path(".local/bin/mcpmux").to_str().unwrap())
        .args(["status", "--json"])
        .output()
        .unwrap();
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    let backends = status["backends"].as_array().unwrap();
    for (name, most) in [("glutton", 64 << 20), ("demo", u64::MAX)] {
        let backend = backends.iter().find(|backend| backend["name"] == name);
        let memory = backend.unwrap()["memory"].as_u64();
        assert!(
            memory.is_some_and(|memory| (1 << 18..=most).contains(&memory)),
            "{name}: {memory:?} in {status}"
        );
    }
}
