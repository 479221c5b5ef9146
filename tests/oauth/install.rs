//! Where the peers are, once `tests/oauth/install` has run. They are run by the
//! Node.js of `tests/real/install`.

use std::path::{Path, PathBuf};

pub(crate) use crate::real::node;

/// A file below this folder.
pub(crate) fn file(path: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oauth");
    let installed = folder.join("node_modules/.installed");
    assert!(
        installed.exists(),
        "{} is not there: run `tests/prepare`, which installs it",
        installed.display()
    );
    folder.join(path)
}
