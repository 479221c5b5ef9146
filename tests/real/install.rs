//! Where the real servers and clients are, once `tests/real/install` has run.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

/// The folder of the install script, which everything is installed beside.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real")
}

/// A file that the install script has put there; its absence fails the test
/// with the command that helps.
fn installed(path: &str) -> PathBuf {
    let path = folder().join(path);
    assert!(
        path.exists(),
        "{} is not there: run `make test`, or `tests/real/install` by itself, which installs it",
        path.display()
    );
    path
}

/// The pinned Node.js, whatever the machine's own is.
pub(crate) fn node() -> PathBuf {
    installed(&format!(
        "node_modules/node-linux-{}/bin/node",
        npm_architecture()
    ))
}

/// The entry file of an npm package, as in `@scope/name/dist/index.js`.
pub(crate) fn npm(entry: &str) -> PathBuf {
    installed(&format!("node_modules/{entry}"))
}

/// The folder in which npx finds the npm packages without fetching them.
pub(crate) fn npx_folder() -> PathBuf {
    installed("node_modules").with_file_name("")
}

/// The Claude Code CLI.
pub(crate) fn claude() -> PathBuf {
    installed(&format!(
        "node_modules/@anthropic-ai/claude-code-linux-{}/claude",
        npm_architecture()
    ))
}

/// A program beside the Python SDK of the given major version.
pub(crate) fn python(sdk: u8, program: &str) -> PathBuf {
    installed(&format!("venv/mcp-{sdk}/bin/{program}"))
}

/// The client and server on rmcp, which cargo builds here: `tests/real/rmcp`.
pub(crate) fn rmcp() -> PathBuf {
    static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
        // <target>/<profile>/deps/<test>
        let own = env::current_exe().unwrap();
        let profile = own.ancestors().nth(2).unwrap();
        let name = profile.file_name().unwrap().to_str().unwrap();
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "mcpmux-test-rmcp"])
            .args(["--profile", if name == "debug" { "dev" } else { name }])
            .arg("--target-dir")
            .arg(profile.parent().unwrap())
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .unwrap();
        assert!(status.success(), "the peers on rmcp were not built");
        profile.join("mcpmux-test-rmcp")
    });
    PROGRAM.clone()
}

fn npm_architecture() -> &'static str {
    match env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => panic!("no Node.js is pinned for {other}: see tests/real/package.json"),
    }
}
