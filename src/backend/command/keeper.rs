//! Who keeps a command's processes together and ends them: systemd, or mcpmux.

use std::{
    env, fmt,
    sync::{Arc, OnceLock},
};

use tokio::sync::OnceCell;
use tracing::{info, warn};

use super::group::Group;
use crate::{
    backend::BackendError,
    config::{CommandSettings, Environment, ProcessSetting},
    systemd::Units,
};

/// Who keeps the processes of a running command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kept {
    /// systemd, as the unit of this name.
    Unit(Arc<str>),
    /// mcpmux, as this process group.
    Group(Group),
}

impl Kept {
    /// The unit, if it is one.
    pub(crate) fn unit(&self) -> Option<&str> {
        match self {
            Self::Unit(name) => Some(name),
            Self::Group(_) => None,
        }
    }

    /// The number of the process group, if it is one.
    pub(crate) fn group(&self) -> Option<i32> {
        match self {
            Self::Unit(_) => None,
            Self::Group(group) => Some(group.number()),
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit(name) => f.write_str(name),
            Self::Group(_) => f.write_str("a process group"),
        }
    }
}

/// Who is to keep them.
#[derive(Debug)]
pub(super) enum Keeper {
    Units(Arc<Units>),
    Group,
}

/// Chooses for the command of `backend`. Error: it asks for what cannot be had.
pub(super) async fn choose(
    backend: &str,
    settings: &CommandSettings,
) -> Result<Keeper, BackendError> {
    let confined = settings.sandbox.as_ref().is_some_and(|own| !own.is_off());
    let limited = !settings.limits.is_empty();
    let why = match settings.process {
        ProcessSetting::Group => "`process: group` is set".to_owned(),
        // Not a service of anybody's, and no need of one: nobody is asked.
        ProcessSetting::Auto if !confined && !limited && !is_service() => NO_SERVICE.to_owned(),
        process => match units().await {
            Ok(units) if process == ProcessSetting::Unit || confined || limited => {
                return Ok(Keeper::Units(units));
            }
            Ok(units) if units.own().is_some() => return Ok(Keeper::Units(units)),
            Ok(_) => NO_SERVICE.to_owned(),
            Err(why) if process == ProcessSetting::Unit => {
                return Err(BackendError::Launch(format!(
                    "cannot be started as a unit, as `process: unit` says: {why}"
                )));
            }
            Err(why) => why,
        },
    };
    if confined {
        return Err(BackendError::Launch(format!(
            "its `sandbox` takes systemd, and {why}; `sandbox: off` starts it without one"
        )));
    }
    if limited && super::service::first_time(backend) {
        warn!(
            backend,
            "no effect of limits.memory, tasks and cpu: they take systemd, and {why}"
        );
    }
    say(|| info!("command backends are process groups of mcpmux's: {why}"));
    Ok(Keeper::Group)
}

/// Why mcpmux itself keeps them, where nobody has said so.
const NO_SERVICE: &str = "mcpmux is not a service of systemd's";

/// Whether this process may be a service of systemd's (systemd.exec(5)).
fn is_service() -> bool {
    env::var_os("INVOCATION_ID").is_some()
}

/// The one connection of this process, made when first asked for.
pub(super) async fn units() -> Result<Arc<Units>, String> {
    static UNITS: OnceCell<Arc<Units>> = OnceCell::const_new();
    let units = UNITS
        .get_or_try_init(|| async { Units::find(&Environment::process()).await })
        .await
        .map_err(|error| error.to_string())?;
    if units.own().is_some() {
        say(|| {
            info!(
                "command backends are units of systemd's: {}",
                units.pattern()
            );
        });
    }
    Ok(Arc::clone(units))
}

/// Says what is so for the whole run, once.
fn say(what: impl FnOnce()) {
    static SAID: OnceLock<()> = OnceLock::new();
    SAID.get_or_init(what);
}
