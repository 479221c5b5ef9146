//! `mcpmux man`: the manual pages, made from the same command line as the help texts.

use std::{fs, io, path::Path, process::ExitCode};

use clap::Command;
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

/// What every page says at its foot.
const MANUAL: &str = "MCP multiplexer";

/// What there is beside the options, on the page of mcpmux itself.
const FILES: &str = "
Files:
  ./mcpmux.yaml
  $XDG_CONFIG_HOME/mcpmux/config.yaml, with conf.d/*.yaml beside it
  $XDG_CONFIG_HOME/mcpmux.yaml
                     the configuration: the first that is there
  $XDG_STATE_HOME/mcpmux
                     what outlives a restart: inventories, pins, keys, the vault
  $XDG_RUNTIME_DIR/mcpmux
                     the sockets of the mcpmux that runs

Environment:
  MCPMUX_LOG         what is logged, as --log-level has it
  MCPMUX_KEY         the key or token that stdio and list --endpoint show
  MCPMUX_CONTROL     the control socket; empty for none
  NO_COLOR           if not empty, no colours

Exit status: 0 success, 1 failure of what was asked for, 64 wrong usage, 69 nothing to
talk to, 77 not permitted, 78 wrong configuration.
";

/// Writes a page for `command` and each of its subcommands, `NAME.1`, into `directory`,
/// which is made if it is not there.
pub(super) fn run(command: Command, directory: &Path) -> ExitCode {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    match fs::create_dir_all(directory).and_then(|()| write(&command, directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mcpmux: cannot write to {}: {error}", directory.display());
            ExitCode::FAILURE
        }
    }
}

fn write(command: &Command, directory: &Path) -> io::Result<()> {
    let mut shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    shown.try_for_each(|sub| write(sub, directory))?;
    let page = Man::new(command.clone())
        .manual(MANUAL)
        .source(concat!("mcpmux ", env!("CARGO_PKG_VERSION")));
    fs::write(directory.join(page.get_filename()), text(command, &page)?)
}

/// The page; what stands behind the options in a help text has sections of its own.
fn text(command: &Command, page: &Man) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    page.render_title(&mut out)?;
    page.render_name_section(&mut out)?;
    page.render_synopsis_section(&mut out)?;
    page.render_description_section(&mut out)?;
    page.render_options_section(&mut out)?;
    let mut more = command
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    if command.get_subcommands().any(|sub| !sub.is_hide_set()) {
        page.render_subcommands_section(&mut out)?;
    }
    if command.get_name() == env!("CARGO_PKG_NAME") {
        more += "\n";
        more += FILES;
    }
    let mut roff = Roff::new();
    for (heading, lines) in sections(&more) {
        roff.control("SH", [heading.as_str()]);
        for paragraph in lines.chunk_by(|a, b| a.starts_with(' ') == b.starts_with(' ')) {
            if paragraph[0].starts_with(' ') {
                roff.control("nf", []);
                for line in paragraph {
                    roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
                }
                roff.control("fi", []);
            } else {
                roff.text([roman(paragraph.join(" "))]);
            }
        }
    }
    roff.to_writer(&mut out)?;
    Ok(out)
}

/// The parts of what stands behind the options, by the heading that each begins with,
/// those without one as notes.
fn sections(more: &str) -> Vec<(String, Vec<&str>)> {
    let mut sections: Vec<(String, Vec<&str>)> = Vec::new();
    let mut begun = false;
    for line in more.lines() {
        if line.trim().is_empty() {
            begun = false;
            continue;
        }
        if !begun && !line.starts_with(' ') {
            let headed = line
                .split_once(": ")
                .or_else(|| Some((line.strip_suffix(':')?, "")));
            let (heading, rest) = headed
                .filter(|(head, _)| head.len() < 60)
                .unwrap_or(("Notes", line));
            let heading = heading.split(',').next().unwrap_or(heading).to_uppercase();
            let at = sections.iter().position(|(own, _)| *own == heading);
            let at = at.unwrap_or_else(|| {
                sections.push((heading, Vec::new()));
                sections.len() - 1
            });
            // What is added to goes on at the end.
            let section = sections.remove(at);
            sections.push(section);
            if let Some((_, lines)) = sections.last_mut().filter(|_| !rest.is_empty()) {
                lines.push(rest);
            }
        } else if let Some((_, lines)) = sections.last_mut() {
            lines.push(line);
        }
        begun = true;
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::sections;

    #[test]
    fn each_part_has_the_heading_that_it_begins_with() {
        let more = "Exit status: 0 if so,\n1 if not.\n\nSee also this.\nAnd that.\n\nExamples:\n  one\n\n  two\n\nExample, in a file:\n  a: b";
        let parts: Vec<_> = sections(more)
            .into_iter()
            .map(|(heading, lines)| (heading, lines.join("|")))
            .collect();
        let expected = [
            ("EXIT STATUS", "0 if so,|1 if not."),
            ("NOTES", "See also this.|And that."),
            ("EXAMPLES", "  one|  two"),
            ("EXAMPLE", "  a: b"),
        ];
        assert_eq!(parts, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }
}
