//! The peer as a process that speaks lines on stdin and stdout.

use std::{
    io::{self, BufRead, Write},
    sync::Arc,
    thread,
};

use crate::{
    exchange::{Carrier, Cue, perform},
    script::{Event, Step},
    stage::Stage,
};

/// Serves until stdin ends.
pub fn serve(stage: &Arc<Stage>) {
    stage.obey(line);
    perform(stage, "start", &Cue::default(), stage.opening(), &mut Pipe);
    for message in io::stdin().lock().lines().map_while(Result::ok) {
        stage.tell(&Event::Message(message.clone()));
        let Some(cue) = Cue::of(&message) else {
            continue;
        };
        match stage.steps(&cue.keys) {
            Some((key, steps)) => {
                let stage = Arc::clone(stage);
                thread::spawn(move || perform(&stage, &key, &cue, steps, &mut Pipe));
            }
            None if cue.request => line(&format!(
                r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":-32601,"message":"Method not found"}}}}"#,
                cue.id
            )),
            None => {}
        }
    }
    stage.tell(&Event::EndOfInput);
    if let Some((key, steps)) = stage.steps(&["end".to_owned()]) {
        perform(stage, &key, &Cue::default(), steps, &mut Pipe);
    }
}

fn line(message: &str) {
    let mut stdout = io::stdout().lock();
    // Whoever does not read any more has closed stdin as well.
    _ = writeln!(stdout, "{message}").and_then(|()| stdout.flush());
}

/// The process's stdout; its other side is never gone before stdin ends.
struct Pipe;

impl Carrier for Pipe {
    fn send(&mut self, message: &str) {
        line(message);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let mut stdout = io::stdout().lock();
        _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
    }

    fn gone(&self) -> bool {
        false
    }

    fn special(&mut self, step: Step) {
        panic!("{step:?} means nothing on a pipe");
    }
}
