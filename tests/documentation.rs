//! The example, the README and SECURITY.md say what is so.

// A test that cannot go on ends with what it expected.
#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

use mcpmux::config::{Config, Environment, Transport};

const EXAMPLE: &str = include_str!("../mcpmux.example.yaml");

fn parse(text: &str) -> Config {
    let environment: Environment = [("HOME", "/home/me")].into_iter().collect();
    match Config::parse(text, "mcpmux.example.yaml", &environment) {
        Ok(config) => config,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn the_example_works_as_it_is() {
    let config = parse(EXAMPLE);
    assert_eq!(config.warnings, [""; 0]);
    let Ok(Transport::Command(demo)) = &config.backends[0].transport else {
        panic!("no command")
    };
    assert_eq!(
        (config.backends.len(), demo.argv.as_slice()),
        (1, &["mcpmux", "demo-server"].map(str::to_owned)[..])
    );
}

#[test]
fn every_example_works_when_uncommented_and_every_key_stands_in_one() {
    let all = EXAMPLE.replace("#:", "");
    let config = parse(&all);
    let names: Vec<_> = config
        .backends
        .iter()
        .map(|backend| backend.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "demo",
            "files",
            "time",
            "docs",
            "archive",
            "github",
            "search",
            "internal",
            "linear",
            "slack",
            "wiki",
            "reports",
            "metrics",
            "payroll",
            "everything"
        ]
    );
    let mentions = |key: &str| {
        let key = format!("{key}:");
        all.split(|c: char| !(c.is_alphanumeric() || "_:".contains(c)))
            .any(|word| word == key)
    };
    let reference = mcpmux::config::reference::markdown();
    for path in reference
        .lines()
        .skip(2)
        .filter_map(|row| row.split('`').nth(1))
    {
        let key = path.rsplit('.').next().unwrap_or(path);
        assert!(mentions(key), "the example does not show `{path}`");
    }
}

#[test]
fn each_example_works_when_it_alone_is_uncommented() {
    let lines: Vec<_> = EXAMPLE.lines().collect();
    let commented = |line: &str| line.trim_start().starts_with("#:");
    let blocks = lines.chunk_by(|a, b| commented(a) == commented(b));
    let mut at = 0;
    let mut tried = 0;
    for block in blocks {
        if commented(block[0]) {
            let mut alone = lines.clone();
            let plain: Vec<_> = block.iter().map(|line| line.replace("#:", "")).collect();
            alone.splice(at..at + block.len(), plain.iter().map(String::as_str));
            parse(&alone.join("\n"));
            tried += 1;
        }
        at += block.len();
    }
    assert!(tried >= 20, "{tried} examples");
}

/// `MCPMUX_UPDATE=1 cargo test --test documentation` writes the table anew.
#[test]
fn the_readme_has_the_reference_of_every_key() {
    const BEGIN: &str = "<!-- config-reference:begin -->\n";
    const END: &str = "<!-- config-reference:end -->";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).expect("the README");
    let (before, rest) = readme
        .split_once(BEGIN)
        .expect("where the reference begins");
    let (present, after) = rest.split_once(END).expect("where the reference ends");
    let reference = mcpmux::config::reference::markdown();
    if std::env::var_os("MCPMUX_UPDATE").is_some() {
        std::fs::write(path, [before, BEGIN, &reference, END, after].concat()).expect("written");
    } else {
        assert!(
            present == reference,
            "out of date: MCPMUX_UPDATE=1 cargo test --test documentation"
        );
    }
}

#[test]
fn every_configuration_in_a_page_is_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs")).unwrap();
    let mut pages: Vec<_> = docs.map(|entry| entry.unwrap().path()).collect();
    pages.push(root.join("README.md"));
    let mut tried = 0;
    for page in pages {
        let text = fs::read_to_string(page).unwrap();
        for block in text.split("```yaml\n").skip(1) {
            parse(block.split("```").next().unwrap_or_default());
            tried += 1;
        }
    }
    assert!(tried >= 4, "{tried} configurations");
}

/// The headings of a page, as a link has them after its `#`.
fn anchors(page: &str) -> Vec<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|heading| {
            let text = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = text
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn every_link_from_page_to_page_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs")).unwrap();
    let mut pages: Vec<_> = docs.map(|entry| entry.unwrap().path()).collect();
    for page in ["README", "ARCHITECTURE", "SECURITY", "CHANGELOG"] {
        pages.push(root.join(page).with_extension("md"));
    }
    let mut followed = 0;
    for page in &pages {
        let text = fs::read_to_string(page).unwrap();
        let links = text.split("](").skip(1);
        for link in links.filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => page.clone(),
                path => page.parent().unwrap().join(path),
            };
            assert!(target.exists(), "{}: {link}", page.display());
            if !anchor.is_empty() {
                let there = anchors(&fs::read_to_string(&target).unwrap());
                let found = there.iter().any(|own| own == anchor);
                assert!(found, "{}: {link} is none of {there:?}", page.display());
            }
            followed += 1;
        }
    }
    assert!(followed > 80, "{followed} links");
}

/// Each test that `SECURITY.md` names is one: in `tests` or beside the code.
#[test]
fn what_security_names_is_tested() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    let mut directories = vec![root.join("src"), root.join("tests")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap_or_default();
            if path.is_dir() && name != "node_modules" && name != "venv" {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources += &fs::read_to_string(path).unwrap();
            }
        }
    }
    let security = fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let names = security.lines().filter_map(|line| line.strip_prefix("- `"));
    let names: Vec<_> = names.filter_map(|line| line.split('`').next()).collect();
    assert!(names.len() > 40, "{names:?}");
    for name in names {
        let there =
            sources.contains(&format!("fn {name}(")) || sources.contains(&format!("\"{name}\""));
        assert!(there, "no test is called {name}");
    }
}
