//! The harnesses of `fuzz/`, each with its seeds and what comes of changing
//! them: a bounded number of inputs, always the same. With `MCPMUX_FUZZ=SECONDS`
//! other ones, for so long.

#![allow(clippy::expect_used)]

use std::{
    env, fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;

#[path = "../fuzz/harness/mod.rs"]
#[allow(unreachable_pub)]
mod harness;

/// The longest input, in bytes.
const LONGEST: usize = 4096;

/// Where a change of a seed most often leads somewhere else.
const WORDS: [&[u8]; 24] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\u",
    b":",
    b",",
    b"\n",
    b"\r\n",
    b"\0",
    b"\xff",
    b"null",
    b"-0",
    b"1e999",
    b"\"id\":",
    b"\"method\":",
    b"\"_meta\":",
    b"data: ",
    b"${TOKEN}",
    b"- ",
    b": ",
    b"&x ",
    b"*x",
];

/// Runs a harness with its seeds and so many changed ones.
fn fuzz(name: &str, count: u64) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(name);
    let mut paths: Vec<_> = fs::read_dir(dir)
        .expect("there are seeds")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let seeds: Vec<Vec<u8>> = paths
        .iter()
        .map(|path| fs::read(path).expect("a seed"))
        .collect();
    for seed in &seeds {
        run(name, seed);
    }
    let longer = env::var("MCPMUX_FUZZ")
        .ok()
        .and_then(|text| text.parse().ok());
    let (mut rng, end) = match longer {
        None => (Rng::with_seed(7), None),
        Some(seconds) => (
            Rng::new(),
            Some(Instant::now() + Duration::from_secs(seconds)),
        ),
    };
    let mut made = 0;
    while end.map_or(made < count, |end| Instant::now() < end) {
        made += 1;
        let mut input = rng.choice(&seeds).expect("there are seeds").clone();
        for _ in 0..rng.usize(1..6) {
            change(&mut input, &seeds, &mut rng);
        }
        input.truncate(LONGEST);
        run(name, &input);
    }
}

fn change(input: &mut Vec<u8>, seeds: &[Vec<u8>], rng: &mut Rng) {
    let at = rng.usize(0..=input.len());
    let to = rng.usize(at..=input.len().min(at + 16));
    match rng.u8(0..6) {
        0 if at < input.len() => input[at] = rng.u8(..),
        1 => _ = input.drain(at..to),
        2 => {
            let word = rng.choice(WORDS).expect("there are words");
            input.splice(at..at, word.iter().copied());
        }
        3 => {
            let part = input[at..to].to_vec();
            input.splice(at..at, part);
        }
        4 => {
            let other = rng.choice(seeds).expect("there are seeds");
            let from = rng.usize(0..=other.len());
            let part = &other[from..other.len().min(from + 64)];
            input.splice(at..at, part.iter().copied());
        }
        _ => input.truncate(at),
    }
}

/// Runs a harness; an input that it fails with is told.
fn run(name: &str, input: &[u8]) {
    struct Told<'a>(&'a [u8]);
    impl Drop for Told<'_> {
        fn drop(&mut self) {
            if thread::panicking() {
                eprintln!("the input: b\"{}\"", self.0.escape_ascii());
            }
        }
    }
    let _told = Told(input);
    harness::run(name, input);
}

#[test]
fn whatever_a_message_is_its_bytes_are_kept() {
    fuzz("envelope", 20_000);
}

#[test]
fn whatever_a_token_is_only_the_issuers_lets_in() {
    fuzz("token", 5_000);
}

#[test]
fn whatever_a_configuration_is_it_is_read_and_tells_no_secret() {
    fuzz("config", 500);
}

/// In a process of its own, since mcpmux runs in it and looks for its folders in
/// the environment.
#[test]
fn whatever_is_sent_mcpmux_answers_in_http_and_goes_on() {
    const HERE: &str = "MCPMUX_FUZZ_HERE";
    if env::var_os(HERE).is_some() {
        return fuzz("http", 1_000);
    }
    let home = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(env::current_exe().expect("this program"));
    command
        .args([
            "--exact",
            "whatever_is_sent_mcpmux_answers_in_http_and_goes_on",
        ])
        .arg("--nocapture")
        .env(HERE, "1");
    for variable in [
        "HOME",
        "XDG_CONFIG_HOME",
        "XDG_STATE_HOME",
        "XDG_CACHE_HOME",
        "XDG_RUNTIME_DIR",
    ] {
        command.env(variable, home.path());
    }
    let output = command.output().expect("it runs");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
