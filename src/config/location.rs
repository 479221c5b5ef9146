//! Where a configuration is: the order of the search, the drop-ins beside it,
//! and the reading of the files, each within bounds.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{
    environment::Environment,
    error::{ConfigError, Problem},
    resolve::Resolver,
    settings::Config,
};

/// The largest file that is read; a document of 1000 backends has a tenth of it.
const MAX_FILE: u64 = 1024 * 1024;

/// Where to look. Both are passed in, so that a test has its own.
pub(super) struct Search {
    /// The directory of `mcpmux.yaml`; empty for the current one.
    pub(super) here: PathBuf,
    /// `$XDG_CONFIG_HOME`, or what stands for it; `None` without a home.
    pub(super) config_home: Option<PathBuf>,
}

impl Config {
    /// The directory of the drop-ins that belong to its file, if it may have any.
    pub fn drop_ins(&self) -> Option<PathBuf> {
        Search::of_process().drop_ins_of(self.path.as_ref()?)
    }
}

impl Search {
    /// The search of a process: its working directory and its user's
    /// configuration directory (XDG Base Directory Specification).
    pub(super) fn of_process() -> Self {
        let config_home =
            directories::BaseDirs::new().map(|directories| directories.config_dir().to_owned());
        Self {
            here: PathBuf::new(),
            config_home,
        }
    }

    /// The configuration at `named`, or else the first that there is.
    pub(super) fn load(
        &self,
        named: Option<&Path>,
        environment: &Environment,
    ) -> Result<Config, ConfigError> {
        let candidates = self.candidates();
        let path = match named {
            Some(path) => path.to_owned(),
            // A link that leads nowhere was put there to be used: reading it
            // says what is wrong, where passing over it would not.
            None => match candidates
                .iter()
                .find(|path| path.symlink_metadata().is_ok())
            {
                Some(path) => path.clone(),
                None => return Err(ConfigError::NotFound { looked: candidates }),
            },
        };
        let mut resolver = Resolver::new(environment);
        let origin = path.display().to_string();
        match read(&path) {
            Ok(text) => resolver.document(&origin, &text),
            Err(problem) => resolver.problem(Problem::of_file(&origin, problem)),
        }
        if let Some(directory) = self.drop_ins_of(&path) {
            add_drop_ins(&directory, &mut resolver);
        }
        resolver.finish(Some(path))
    }

    fn candidates(&self) -> Vec<PathBuf> {
        let mut candidates = vec![self.here.join("mcpmux.yaml")];
        if let Some(home) = &self.config_home {
            candidates.push(home.join("mcpmux").join("config.yaml"));
            candidates.push(home.join("mcpmux.yaml"));
        }
        candidates
    }

    /// Only `$XDG_CONFIG_HOME/mcpmux/config.yaml` has drop-ins, found or named.
    fn drop_ins_of(&self, path: &Path) -> Option<PathBuf> {
        let directory = self.config_home.as_ref()?.join("mcpmux");
        (path == directory.join("config.yaml")).then(|| directory.join("conf.d"))
    }
}

/// Adds the `*.yaml` of `directory` in the order of their names. An empty file
/// (or a link to `/dev/null`) masks the backend that it is named after, once
/// all are added.
fn add_drop_ins(directory: &Path, resolver: &mut Resolver<'_>) {
    let paths = match drop_ins(directory) {
        Ok(paths) => paths,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => {
            let origin = directory.display().to_string();
            return resolver.problem(Problem::of_file(
                &origin,
                format!("cannot be read: {error}"),
            ));
        }
    };
    let mut masks = Vec::new();
    for path in paths {
        let origin = path.display().to_string();
        match read(&path) {
            Ok(text) if text.is_empty() => {
                masks.extend(
                    path.file_stem()
                        .and_then(|name| Some((origin, name.to_str()?.to_owned()))),
                );
            }
            Ok(text) => resolver.drop_in(&origin, &text),
            Err(problem) => resolver.problem(Problem::of_file(&origin, problem)),
        }
    }
    for (origin, name) in masks {
        resolver.mask(&origin, &name);
    }
}

fn drop_ins(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
            && !hidden
        {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The text of a file, or why there is none.
fn read(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err("is larger than 1 MiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = 1 + memchr::memchr_iter(b'\n', &error.as_bytes()[..valid]).count();
        format!("is not valid UTF-8 (line {line})")
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{Config, ConfigError, Environment, Search};

    struct Home(tempfile::TempDir);

    impl Home {
        fn with(files: &[(&str, &str)]) -> Self {
            let home = tempfile::tempdir().expect("a directory");
            for (name, text) in files {
                let path = home.path().join(name);
                fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
                fs::write(path, text).expect("a file");
            }
            Self(home)
        }

        fn path(&self, name: &str) -> std::path::PathBuf {
            self.0.path().join(name)
        }

        fn load(&self, named: Option<&Path>) -> Result<Config, ConfigError> {
            Search {
                here: self.path("here"),
                config_home: Some(self.path("config")),
            }
            .load(named, &Environment::default())
        }

        fn names(&self) -> Vec<String> {
            let config = self.load(None).expect("a configuration");
            config
                .backends
                .iter()
                .filter(|b| b.enabled)
                .map(|b| b.name.to_string())
                .collect()
        }
    }

    fn backend(name: &str) -> String {
        format!("backends: [{{ name: {name}, transport: command, command: [x] }}]\n")
    }

    #[test]
    fn the_first_file_in_the_order_is_taken() {
        let files = [
            "here/mcpmux.yaml",
            "config/mcpmux/config.yaml",
            "config/mcpmux.yaml",
        ];
        let texts: Vec<_> = (0..3).map(|index| backend(&format!("b{index}"))).collect();
        for first in 0..3 {
            let present: Vec<_> = (first..3)
                .map(|index| (files[index], texts[index].as_str()))
                .collect();
            let home = Home::with(&present);
            assert_eq!(home.names(), [format!("b{first}")]);
        }
    }

    #[test]
    fn a_named_file_comes_before_all() {
        let home = Home::with(&[("here/mcpmux.yaml", "{}"), ("x.yaml", &backend("x"))]);
        let path = home.path("x.yaml");
        let config = home.load(Some(&path)).expect("a configuration");
        assert_eq!(config.backends.len(), 1);
        assert_eq!(config.path, Some(path));
    }

    #[test]
    fn without_a_file_the_error_says_where_it_looked_and_how_to_start() {
        let message = Home::with(&[])
            .load(None)
            .expect_err("nothing there")
            .to_string();
        for part in [
            "here/mcpmux.yaml",
            "mcpmux/config.yaml",
            "config/mcpmux.yaml",
            "cp mcpmux.example.yaml",
        ] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn drop_ins_add_backends_in_the_order_of_their_names() {
        let home = Home::with(&[
            ("config/mcpmux/config.yaml", &backend("main")),
            ("config/mcpmux/conf.d/20-b.yaml", &backend("b")),
            ("config/mcpmux/conf.d/10-a.yaml", &backend("a")),
            ("config/mcpmux/conf.d/.hidden.yaml", "?"),
            ("config/mcpmux/conf.d/notes.txt", "?"),
        ]);
        assert_eq!(home.names(), ["main", "a", "b"]);
    }

    #[test]
    fn an_empty_drop_in_masks_the_backend_of_its_name() {
        let home = Home::with(&[
            ("config/mcpmux/config.yaml", &backend("main")),
            ("config/mcpmux/conf.d/a.yaml", &backend("other")),
            ("config/mcpmux/conf.d/main.yaml", ""),
        ]);
        std::os::unix::fs::symlink("/dev/null", home.path("config/mcpmux/conf.d/nobody.yaml"))
            .expect("a link");
        assert_eq!(home.names(), ["other"]);
        let config = home.load(None).expect("a configuration");
        assert_eq!(config.backends.len(), 2);
        assert!(
            config
                .warnings
                .iter()
                .any(|warning| warning.contains("\"nobody\""))
        );
    }

    #[test]
    fn what_is_wrong_in_several_files_stands_in_one_report() {
        let home = Home::with(&[
            (
                "config/mcpmux/config.yaml",
                &format!("lisen: {{}}\n{}", backend("a")),
            ),
            ("config/mcpmux/conf.d/1.yaml", &backend("a")),
            ("config/mcpmux/conf.d/2.yaml", "listen: {}\n"),
        ]);
        fs::write(home.path("config/mcpmux/conf.d/3.yaml"), b"a\n\xff").expect("a file");
        fs::create_dir(home.path("config/mcpmux/conf.d/4.yaml")).expect("a directory");
        let message = home.load(None).expect_err("an error").to_string();
        let lines: Vec<_> = message.lines().collect();
        assert_eq!(lines.len(), 5, "{message}");
        assert!(
            lines[0]
                .ends_with("config.yaml:1:1: lisen: is not a known key; did you mean \"listen\"?")
        );
        assert!(lines[1].contains("1.yaml:1:20: backends[0].name: is the name of another"));
        assert!(lines[1].contains("config.yaml:2)"));
        assert!(lines[2].contains("2.yaml:1:1: listen: is for the main file"));
        assert!(lines[3].ends_with("3.yaml: is not valid UTF-8 (line 2)"));
        assert!(lines[4].contains("4.yaml: cannot be read: "));
    }

    #[test]
    fn a_file_that_is_too_large_is_refused() {
        let home = Home::with(&[("here/mcpmux.yaml", &"# x\n".repeat(300_000))]);
        let message = home.load(None).expect_err("an error").to_string();
        assert!(
            message.ends_with("mcpmux.yaml: is larger than 1 MiB"),
            "{message}"
        );
    }
}
