//! How a command that systemd starts gets its arguments and its environment:
//! not from the unit, whose properties anybody may see, but over its stdin.
//!
//! systemd starts `mcpmux exec-backend`, which reads one frame and then becomes
//! the command: the same process with the same stdin, of which it has read
//! nothing beyond the frame.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        process::CommandExt,
    },
    process::Command,
};

use zeroize::Zeroizing;

/// The verb.
pub(super) const VERB: &str = "exec-backend";

/// The status of a command that cannot be executed (systemd.exec(5)).
pub const CANNOT_EXECUTE: u8 = 203;

/// What begins a frame; another version of mcpmux may have another.
const MAGIC: &[u8; 8] = b"mcpmux 1";

/// The largest frame; Linux itself takes no more than 6 MiB (execve(2)).
const LARGEST: usize = 6 << 20;

/// The frame that has these arguments, program first, and this environment.
pub(super) fn frame(argv: &[&OsStr], env: &[(&OsStr, &OsStr)]) -> Zeroizing<Vec<u8>> {
    let arguments = argv.iter().map(|argument| argument.len() + 1);
    let variables = env.iter().map(|(name, value)| name.len() + value.len() + 2);
    let length: usize = 4 + arguments.chain(variables).sum::<usize>();
    // All the room at once: a buffer that was too small would not be wiped.
    let mut frame = Zeroizing::new(Vec::with_capacity(MAGIC.len() + 4 + length));
    frame.extend_from_slice(MAGIC);
    frame.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    frame.extend_from_slice(&u32::try_from(argv.len()).unwrap_or(u32::MAX).to_le_bytes());
    for argument in argv {
        frame.extend_from_slice(argument.as_bytes());
        frame.push(0);
    }
    for (name, value) in env {
        frame.extend_from_slice(name.as_bytes());
        frame.push(b'=');
        frame.extend_from_slice(value.as_bytes());
        frame.push(0);
    }
    frame
}

/// A command as a frame has it.
struct Framed {
    argv: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
}

/// The whole of `mcpmux exec-backend`. Returns only if the command cannot be
/// executed, and says why.
pub fn run() -> String {
    let framed = match read(|buffer| Ok(rustix::io::read(rustix::stdio::stdin(), buffer)?)) {
        Ok(framed) => framed,
        Err(error) => return format!("cannot read what to execute: {error}"),
    };
    let Some((program, arguments)) = framed.argv.split_first() else {
        return "there is nothing to execute".to_owned();
    };
    let error = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(framed.env)
        .exec();
    format!("cannot execute {}: {error}", program.display())
}

/// Reads one frame and nothing beyond it. `source` is read(2).
fn read(mut source: impl FnMut(&mut [u8]) -> io::Result<usize>) -> io::Result<Framed> {
    let mut fill = |buffer: &mut [u8]| -> io::Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            match source(&mut buffer[filled..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    };
    let mut head = [0; 12];
    fill(&mut head)?;
    let (magic, length) = head.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(io::Error::other("it comes from another version of mcpmux"));
    }
    let length = number(length)?;
    if length > LARGEST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut body = Zeroizing::new(vec![0; length]);
    fill(&mut body)?;
    let (count, rest) = body.split_at_checked(4).ok_or(io::ErrorKind::InvalidData)?;
    let count = number(count)?;
    let mut strings = rest.split(|byte| *byte == 0);
    let argv = strings.by_ref().take(count).map(owned).collect();
    let variables = strings.filter_map(|variable| {
        // A name may begin with "=", as POSIX has it, and then has another.
        let at = variable.iter().skip(1).position(|byte| *byte == b'=')? + 1;
        Some((owned(&variable[..at]), owned(&variable[at + 1..])))
    });
    let env = variables.collect();
    Ok(Framed { argv, env })
}

fn number(bytes: &[u8]) -> io::Result<usize> {
    let bytes: [u8; 4] = bytes.try_into().map_err(|_| io::ErrorKind::InvalidData)?;
    usize::try_from(u32::from_le_bytes(bytes)).map_err(|_| io::ErrorKind::InvalidData.into())
}

fn owned(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> &OsStr {
        OsStr::new(text)
    }

    /// Reads a frame from `bytes`, few at a time; gives what is left as well.
    fn read_from(mut bytes: &[u8]) -> (io::Result<Framed>, Vec<u8>) {
        let framed = read(|buffer| {
            let count = buffer.len().min(bytes.len()).min(3);
            buffer[..count].copy_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            Ok(count)
        });
        (framed, bytes.to_vec())
    }

    #[test]
    fn what_is_framed_is_read_and_nothing_beyond_it() {
        let argv = [text("sh"), text("-c"), text("")];
        let env = [(text("A"), text("b=c")), (text("EMPTY"), text(""))];
        let mut bytes = frame(&argv, &env).to_vec();
        bytes.extend_from_slice(b"{\"jsonrpc\"");
        let (framed, rest) = read_from(&bytes);
        let framed = framed.unwrap();
        assert_eq!(framed.argv, argv);
        let read: Vec<_> = framed.env.iter().map(|(n, v)| (&**n, &**v)).collect();
        assert_eq!(read, env);
        assert_eq!(rest, b"{\"jsonrpc\"");
    }

    #[test]
    fn the_buffer_of_a_frame_never_grows() {
        let bytes = frame(&[text("sh")], &[(text("TOKEN"), text("secret"))]);
        assert_eq!(bytes.len(), bytes.capacity());
    }

    #[test]
    fn a_frame_that_is_cut_off_or_strange_is_an_error() {
        let bytes = frame(&[text("sh")], &[]);
        for wrong in [&bytes[..bytes.len() - 1], b"", b"{\"jsonrpc\":\"2.0\"}"] {
            assert!(read_from(wrong).0.is_err());
        }
        let mut huge = MAGIC.to_vec();
        huge.extend_from_slice(&u32::MAX.to_le_bytes());
        assert!(read_from(&huge).0.is_err());
    }
}
