//! A service manager over D-Bus (`org.freedesktop.systemd1(5)`): the few calls
//! that are made, each bounded in time.
//!
//! By way of the message bus that the manager is on. Its private socket would do
//! without one, but calls itself by a name there that zbus takes from nobody.

use std::{collections::HashMap, time::Duration};

use rustix::process::Signal;
use serde::Serialize;
use tokio::time::timeout;
use zbus::{
    Connection, Message, MessageStream,
    zvariant::{DynamicType, OwnedObjectPath, OwnedValue, Value},
};

use super::{service::Property, standing};
use crate::config::Environment;

/// How long a manager may take to answer, and to let mcpmux in.
const PATIENCE: Duration = Duration::from_secs(10);

/// The manager on its bus.
const NAME: &str = "org.freedesktop.systemd1";

/// Its own object.
const OBJECT: &str = "/org/freedesktop/systemd1";

/// Its interface.
const MANAGER: &str = "org.freedesktop.systemd1.Manager";

/// What a manager says when the name of a unit is taken.
const UNIT_EXISTS: &str = "org.freedesktop.systemd1.UnitExists";

/// Signals that may wait to be read.
const SIGNALS: usize = 256;

/// Something that a manager was asked for and did not do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum UnitError {
    /// It cannot be reached, or does not answer.
    #[error("systemd cannot be reached: {0}")]
    Unreachable(String),
    /// The name of the unit is taken.
    #[error("systemd has a unit of that name already: {0}")]
    Exists(String),
    /// It refused.
    #[error("systemd refused: {0}")]
    Refused(String),
    /// It began and failed.
    #[error("{0}")]
    Failed(String),
}

/// One row of `ListUnitsByPatterns`.
type Row = (
    String,
    String,
    String,
    String,
    String,
    String,
    OwnedObjectPath,
    u32,
    String,
    OwnedObjectPath,
);

/// A connection to a manager.
#[derive(Debug, Clone)]
pub(super) struct Bus(Connection);

/// The buses of the managers that may be asked: the user's
/// own, and the system's where mcpmux is root.
pub(super) fn addresses(environment: &Environment, is_root: bool) -> Vec<String> {
    let own = environment
        .directory("XDG_RUNTIME_DIR")
        .map(|runtime| runtime.join("bus"));
    let own = own.and_then(|socket| Some(format!("unix:path={}", socket.to_str()?)));
    let session = environment.variable("DBUS_SESSION_BUS_ADDRESS").ok();
    let system = is_root.then_some("unix:path=/run/dbus/system_bus_socket");
    let mut addresses: Vec<String> = own.into_iter().collect();
    for address in session.into_iter().chain(system) {
        if !addresses.iter().any(|known| known == address) {
            addresses.push(address.to_owned());
        }
    }
    addresses
}

impl Bus {
    /// Connects to the manager on the bus at `address`; gives its signals as
    /// well, which must be read.
    pub(super) async fn connect(address: &str) -> Result<(Self, MessageStream), UnitError> {
        let connecting = async {
            let connection = zbus::connection::Builder::address(address)?
                .max_queued(SIGNALS)
                .method_timeout(PATIENCE)
                .build()
                .await?;
            let rule = zbus::MatchRule::builder()
                .msg_type(zbus::message::Type::Signal)
                .sender(NAME)?
                .path_namespace(OBJECT)?
                .build();
            let signals = MessageStream::for_match_rule(rule, &connection, Some(SIGNALS)).await?;
            let bus = Self(connection);
            // Or it says nothing of what becomes of its units.
            bus.ask("Subscribe", &()).await?;
            Ok((bus, signals))
        };
        let late = |_| UnitError::Unreachable("it does not answer".to_owned());
        timeout(PATIENCE, connecting).await.map_err(late)?
    }

    /// The service whose main process this is, if it is one of this manager's.
    pub(super) async fn own_service(&self) -> Option<String> {
        let own = std::process::id();
        let unit = self.ask("GetUnitByPID", &own).await.ok()?;
        let object: OwnedObjectPath = unit.body().deserialize().ok()?;
        let service = self
            .properties(object.as_str(), standing::SERVICE)
            .await
            .ok()?;
        let main = service
            .get("MainPID")
            .and_then(|pid| u32::try_from(pid).ok());
        if main != Some(own) {
            return None;
        }
        let unit = self
            .properties(object.as_str(), standing::UNIT)
            .await
            .ok()?;
        let id = <&str>::try_from(unit.get("Id")?).ok()?;
        Some(id.to_owned())
    }

    /// Starts a transient unit; gives the job.
    pub(super) async fn start(
        &self,
        name: &str,
        properties: &[Property<'_>],
    ) -> Result<String, UnitError> {
        let no_others: [(&str, Vec<Property<'_>>); 0] = [];
        // Nothing is waited for: while mcpmux is being stopped, a start would
        // wait for that, and mcpmux for the calls that wait for the start.
        let call = (name, "ignore-dependencies", properties, &no_others[..]);
        let job = self.ask("StartTransientUnit", &call).await?;
        let job: OwnedObjectPath = job.body().deserialize()?;
        Ok(job.to_string())
    }

    /// Starts a unit that there is; does not wait for it.
    pub(super) async fn start_known(&self, name: &str) -> Result<(), UnitError> {
        self.ask("StartUnit", &(name, "fail")).await.map(drop)
    }

    /// Calls a job off.
    pub(super) async fn cancel(&self, job: &str) -> Result<(), UnitError> {
        const JOB: &str = "org.freedesktop.systemd1.Job";
        let call = self
            .0
            .call_method(Some(NAME), job, Some(JOB), "Cancel", &());
        call.await?;
        Ok(())
    }

    /// Has a unit stopped; does not wait for it.
    pub(super) async fn stop(&self, name: &str) -> Result<(), UnitError> {
        self.ask("StopUnit", &(name, "replace")).await.map(drop)
    }

    /// Sends a signal to every process of a unit.
    pub(super) async fn kill(&self, name: &str, signal: Signal) -> Result<(), UnitError> {
        let call = (name, "all", signal.as_raw());
        self.ask("KillUnit", &call).await.map(drop)
    }

    /// The units whose names match `pattern`.
    pub(super) async fn matching(&self, pattern: &str) -> Result<Vec<String>, UnitError> {
        let any_state: [&str; 0] = [];
        let call = (&any_state[..], &[pattern][..]);
        let rows = self.ask("ListUnitsByPatterns", &call).await?;
        let rows: Vec<Row> = rows.body().deserialize()?;
        Ok(rows.into_iter().map(|row| row.0).collect())
    }

    /// The properties of an object in one of its interfaces.
    pub(super) async fn properties(
        &self,
        object: &str,
        interface: &str,
    ) -> Result<HashMap<String, OwnedValue>, UnitError> {
        const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
        let all = self
            .0
            .call_method(Some(NAME), object, Some(PROPERTIES), "GetAll", &interface)
            .await?;
        Ok(all.body().deserialize()?)
    }

    async fn ask<B: Serialize + DynamicType>(
        &self,
        method: &str,
        body: &B,
    ) -> Result<Message, UnitError> {
        let answer = self
            .0
            .call_method(Some(NAME), OBJECT, Some(MANAGER), method, body);
        Ok(answer.await?)
    }
}

impl From<zbus::Error> for UnitError {
    fn from(error: zbus::Error) -> Self {
        match error {
            zbus::Error::MethodError(name, detail, _) => {
                let detail = detail.unwrap_or_else(|| name.to_string());
                if name.as_str() == UNIT_EXISTS {
                    Self::Exists(detail)
                } else {
                    Self::Refused(detail)
                }
            }
            other => Self::Unreachable(other.to_string()),
        }
    }
}

/// A property's value, if it is there.
pub(super) fn value<'v>(
    properties: &'v HashMap<String, OwnedValue>,
    name: &str,
) -> Option<&'v Value<'v>> {
    properties.get(name).map(|value| &**value)
}
