//! The benchmark's backend over stdin and stdout: one message a line
//! (`basic/transports/stdio` in the specification).

use std::io::{self, BufRead, BufReader, Write};

use super::answer::{Answer, Answers, Listing};

/// Answers what comes in on stdin until it ends. Responses are written out
/// when nothing more has arrived, so that a burst costs one write.
pub fn serve(answers: &Answers) -> io::Result<()> {
    let mut input = BufReader::with_capacity(256 * 1024, io::stdin().lock());
    let mut output = io::stdout().lock();
    let mut line = Vec::new();
    let mut pending = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        match answers.answer(&line, Listing::Full) {
            Answer::Nothing => {}
            Answer::Welcome(body) | Answer::Response(body) | Answer::Refusal(_, body) => {
                pending.extend_from_slice(&body);
                pending.push(b'\n');
            }
        }
        line.clear();
        if !input.buffer().contains(&b'\n') {
            output.write_all(&pending)?;
            output.flush()?;
            pending.clear();
        }
    }
    Ok(())
}
