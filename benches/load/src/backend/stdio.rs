//! The benchmark's backend over stdin and stdout: one message a line
//! (`basic/transports/stdio` in the specification). A call with the text
//! [`CHANGE`] changes the list of tools.

use std::io::{self, BufRead, BufReader, Write};

use super::answer::{Answer, Answers, Listing};

/// The text of a call after which the list of tools is another one.
pub const CHANGE: &str = "change the list of tools";

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
            Answer::Course(messages) => {
                for message in messages {
                    pending.extend_from_slice(&message);
                    pending.push(b'\n');
                }
            }
        }
        if find(&line, CHANGE) {
            pending.extend_from_slice(answers.change());
            pending.push(b'\n');
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

fn find(line: &[u8], text: &str) -> bool {
    // Short lines only: what is measured elsewhere must not pay for this.
    line.len() < 512 && line.windows(text.len()).any(|part| part == text.as_bytes())
}
