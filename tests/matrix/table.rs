//! The table of what was run, and where it is kept.

use std::{env, fmt::Write, fs, iter};

use crate::{
    cell::{Expected, Pair},
    features::{ALL, Bridge, Feature},
    house::Transport,
    name, not_yet,
    revision::Revision,
};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/matrix.md");

const HEAD: &str = "\
# What a client sees of a backend of another revision

Every feature is tried with a client of each revision, a backend of each
revision, and both transports to the backend (stdio and HTTP): what the client
sees through mcpmux is held against what it sees of a server directly. This page
is written by that test (`MCPMUX_UPDATE=1 cargo test --test matrix`), which fails
where the page says something else than what was run.

";

const SIGNS: &str = "
A row is a feature, a column the client's revision. The five signs of a cell are
the backends of 2024-11-05, 2025-03-26, 2025-06-18, 2025-11-25 and 2026-07-28,
over either transport:

- `=` to the byte what the backend says to a client of its own revision (changes
  and updates, which mcpmux tells itself, member for member)
- `~` bridged: what a server of the client's own revision would say, or what the
  second table says
- `x` the client is not asked, since its revision has no form for it; a legacy
  backend is refused with -32601, a modern one was told in the call
- `!` not yet as it should be, over one transport at least
- `.` there is no such thing in the backend's revision, or the client's

";

/// Holds the page that is kept against what was run, or writes it anew. Error:
/// what is to be done.
pub(crate) fn keep() -> Result<(), String> {
    let page = page();
    println!("{page}");
    if env::var_os("MCPMUX_UPDATE").is_some() {
        return fs::write(PATH, page).map_err(|error| format!("{PATH}: {error}"));
    }
    match fs::read_to_string(PATH) {
        Ok(kept) if kept == page => Ok(()),
        _ => Err(format!(
            "{PATH} is out of date: MCPMUX_UPDATE=1 cargo test --test matrix"
        )),
    }
}

fn page() -> String {
    let mut page = [HEAD, SIGNS.trim_start()].concat();
    row(
        &mut page,
        "feature",
        Revision::all().map(|client| client.date().to_owned()),
    );
    row(&mut page, "---", Revision::all().map(|_| "---".to_owned()));
    for feature in ALL {
        let signs = |client| {
            let cells = Revision::all().map(|backend| Pair { client, backend });
            let signs: String = cells.map(|pair| sign(feature, pair)).collect();
            format!("`{signs}`")
        };
        row(&mut page, feature.name, Revision::all().map(signs));
    }
    page += "\n## Between the eras\n\n";
    let columns = [
        "legacy client, modern backend",
        "modern client, legacy backend",
    ];
    row(&mut page, "feature", columns.map(str::to_owned));
    row(&mut page, "---", ["---", "---"].map(str::to_owned));
    for feature in ALL {
        let Feature { down, up, .. } = feature;
        row(
            &mut page,
            feature.name,
            [down, up].map(|bridge| how(*bridge).to_owned()),
        );
    }
    page
}

fn sign(feature: &Feature, pair: Pair) -> char {
    let expected = Expected::of(feature, pair);
    let tried = !matches!(expected, Expected::Absent);
    let mut transports = Transport::ALL.into_iter();
    if tried && transports.any(|transport| not_yet(&name(feature, pair, transport))) {
        return '!';
    }
    expected.sign()
}

fn row(page: &mut String, first: &str, others: impl IntoIterator<Item = String>) {
    let cells = iter::once(first.to_owned()).chain(others);
    let cells: Vec<_> = cells.collect();
    writeln!(page, "| {} |", cells.join(" | ")).expect("a string takes all");
}

fn how(bridge: Bridge) -> &'static str {
    match bridge {
        Bridge::Alike(how) | Bridge::Instead(how, _) => how,
        Bridge::Absent => "—",
    }
}
