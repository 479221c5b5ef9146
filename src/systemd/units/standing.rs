//! How units are, as the manager's signals tell.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;
use zbus::{Message, zvariant::Value};

use super::name;

/// What the manager calls its interface of services.
pub(super) const SERVICE: &str = "org.freedesktop.systemd1.Service";

/// What it calls that of units.
pub(super) const UNIT: &str = "org.freedesktop.systemd1.Unit";

/// The jobs of one unit that are remembered.
const JOBS: usize = 4;

/// How one unit is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) phase: Phase,
    /// How its last jobs ended, in systemd's word (`done`, `failed`, …), after
    /// their objects.
    jobs: VecDeque<(String, String)>,
    /// Why it ended, in systemd's word (`success`, `exit-code`, `oom-kill`, …).
    pub(super) result: String,
    /// How its main process ended (`CLD_EXITED`, … of waitid(2)), and with what.
    pub(super) code: i32,
    pub(super) status: i32,
}

/// Where in its life a unit is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// It is there, or will be.
    #[default]
    Alive,
    /// Its main process has ended; the rest is being ended.
    Ending,
    /// No process of it is left.
    Ended,
    /// The manager knows of it no more: its name is free.
    Gone,
}

/// The units that somebody keeps, by object.
#[derive(Debug, Default)]
pub(super) struct Table(Mutex<HashMap<String, watch::Sender<Standing>>>);

impl Table {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<Standing>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the unit `name` from now on.
    pub(super) fn enter(&self, name: &str) -> watch::Receiver<Standing> {
        let (sender, standing) = watch::channel(Standing::default());
        self.lock().insert(name::object(name), sender);
        standing
    }

    /// Follows the unit `name` no more for who got `standing`.
    pub(super) fn leave(&self, name: &str, standing: &watch::Receiver<Standing>) {
        let object = name::object(name);
        let mut units = self.lock();
        let own = units.get(&object);
        if own.is_some_and(|own| own.subscribe().same_channel(standing)) {
            units.remove(&object);
        }
    }

    /// Follows it as who keeps it does, if somebody does.
    pub(super) fn find(&self, name: &str) -> Option<watch::Receiver<Standing>> {
        self.lock()
            .get(&name::object(name))
            .map(watch::Sender::subscribe)
    }

    /// The objects of all of them.
    pub(super) fn objects(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// Changes what is known of `object`.
    pub(super) fn tell(&self, object: &str, change: impl FnOnce(&mut Standing)) {
        if let Some(sender) = self.lock().get(object) {
            sender.send_modify(change);
        }
    }

    /// Takes what a signal says, if it says anything.
    pub(super) fn hear(&self, signal: &Message) {
        let header = signal.header();
        let body = signal.body();
        match header.member().map(zbus::names::MemberName::as_str) {
            Some("PropertiesChanged") => {
                let Some(object) = header.path() else { return };
                let changed: Result<(&str, HashMap<&str, Value<'_>>, Vec<&str>), _> =
                    body.deserialize();
                if let Ok((interface, changed, _)) = changed {
                    self.tell(object.as_str(), |standing| {
                        standing.take(interface, |name| changed.get(name));
                    });
                }
            }
            Some("UnitRemoved") => {
                if let Ok((name, _)) = body.deserialize::<(&str, zbus::zvariant::ObjectPath<'_>)>()
                {
                    self.tell(&name::object(name), |standing| standing.phase = Phase::Gone);
                }
            }
            Some("JobRemoved") => {
                if let Ok((_, job, name, result)) =
                    body.deserialize::<(u32, zbus::zvariant::ObjectPath<'_>, &str, &str)>()
                {
                    let job = (job.to_string(), result.to_owned());
                    self.tell(&name::object(name), |standing| {
                        standing.jobs.truncate(JOBS - 1);
                        standing.jobs.push_front(job);
                        // A unit that has a job is there: what was removed before
                        // was another one of its name, of which nothing more is
                        // said if it starts at once (`PropertiesChanged` follows
                        // `UnitNew` only with the next change).
                        if standing.phase == Phase::Gone {
                            standing.phase = Phase::Alive;
                        }
                    });
                }
            }
            _ => {}
        }
    }
}

impl Standing {
    /// How `job` ended, if it has.
    pub(super) fn result_of(&self, job: &str) -> Option<&str> {
        let ended = self.jobs.iter().find(|(own, _)| own == job);
        ended.map(|(_, result)| result.as_str())
    }

    /// Takes over the properties of `interface` that there are.
    pub(super) fn take<'v>(
        &mut self,
        interface: &str,
        property: impl Fn(&str) -> Option<&'v Value<'v>>,
    ) {
        let number = |name| match property(name) {
            Some(Value::I32(number)) => Some(*number),
            _ => None,
        };
        let word = |name| match property(name) {
            Some(Value::Str(word)) => Some(word.as_str()),
            _ => None,
        };
        match interface {
            SERVICE => {
                if let Some(result) = word("Result") {
                    result.clone_into(&mut self.result);
                }
                self.code = number("ExecMainCode").unwrap_or(self.code);
                self.status = number("ExecMainStatus").unwrap_or(self.status);
            }
            UNIT => {
                if let Some(active) = word("ActiveState") {
                    self.phase = match active {
                        "deactivating" => Phase::Ending,
                        "inactive" | "failed" => Phase::Ended,
                        _ => Phase::Alive,
                    };
                }
            }
            _ => {}
        }
    }

    /// How its main process ended, for a person.
    pub(super) fn said(&self) -> String {
        let detail = match (self.result.as_str(), self.code, self.status) {
            ("oom-kill", ..) => {
                "there was no memory left for it, or no more than `limits.memory` allows".to_owned()
            }
            ("timeout", ..) => "it did not end in time".to_owned(),
            (_, 1, status) => match refusal(status) {
                Some(what) => format!("exit status: {status}; {what}, see its journal"),
                None => format!("exit status: {status}"),
            },
            (_, 2 | 3, signal) => format!("signal: {signal}"),
            ("" | "success", ..) => "no more is known".to_owned(),
            (result, ..) => format!("systemd says {result}"),
        };
        format!("the process ended ({detail})")
    }
}

/// What a status says that is systemd's or that of `mcpmux exec-backend`, as a rule
/// (`systemd.exec(5)`, "Process Exit Codes").
fn refusal(status: i32) -> Option<&'static str> {
    Some(match status {
        200 => "CHDIR: its `cwd` cannot be entered",
        203 => "EXEC: its program cannot be executed",
        217 => "USER: no user namespace could be made for its `sandbox`",
        218 => "CAPABILITIES: its `sandbox` takes privileges that are not there",
        226 => "NAMESPACE: its `sandbox` names a folder that is not there, or cannot be made",
        228 => "SECCOMP: the system calls of its `sandbox` cannot be restricted",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(result: &'static str, code: i32, status: i32) -> Standing {
        let values = [
            ("Result", Value::from(result)),
            ("ExecMainCode", code.into()),
            ("ExecMainStatus", status.into()),
        ];
        let mut standing = Standing::default();
        let find = |name: &str| {
            values
                .iter()
                .find(|(own, _)| *own == name)
                .map(|(_, value)| value)
        };
        standing.take(SERVICE, find);
        standing
    }

    #[test]
    fn how_a_process_ended_is_told_in_words() {
        for (standing, words) in [
            (
                service("exit-code", 1, 3),
                "the process ended (exit status: 3)",
            ),
            (
                service("success", 1, 0),
                "the process ended (exit status: 0)",
            ),
            (service("signal", 2, 9), "the process ended (signal: 9)"),
        ] {
            assert_eq!(standing.said(), words);
        }
        assert!(service("oom-kill", 2, 9).said().contains("limits.memory"));
        assert!(service("exit-code", 1, 226).said().contains("sandbox"));
    }

    #[test]
    fn a_unit_is_alive_until_systemd_says_otherwise() {
        let mut standing = Standing::default();
        for (state, phase) in [
            ("activating", Phase::Alive),
            ("active", Phase::Alive),
            ("deactivating", Phase::Ending),
            ("failed", Phase::Ended),
        ] {
            let state = Value::from(state);
            standing.take(UNIT, |name| (name == "ActiveState").then_some(&state));
            assert_eq!(standing.phase, phase);
        }
    }

    fn signal<B: serde::Serialize + zbus::zvariant::DynamicType>(name: &str, body: &B) -> Message {
        let interface = "org.freedesktop.systemd1.Manager";
        Message::signal("/org/freedesktop/systemd1", interface, name)
            .and_then(|signal| signal.build(body))
            .expect("a message")
    }

    #[test]
    fn the_end_of_the_unit_before_is_not_that_of_the_one_that_is_started() {
        let name = "a-b.service";
        let path = |path: &'static str| zbus::zvariant::ObjectPath::try_from(path).expect("a path");
        let removed = || signal("UnitRemoved", &(name, path("/unit")));
        let started = signal("JobRemoved", &(7_u32, path("/job/7"), name, "done"));
        let table = Table::default();
        let standing = table.enter(name);
        // Said before the start, heard after it was asked for.
        table.hear(&removed());
        table.hear(&started);
        assert_eq!(standing.borrow().result_of("/job/7"), Some("done"));
        assert_eq!(standing.borrow().phase, Phase::Alive);
        table.hear(&removed());
        assert_eq!(standing.borrow().phase, Phase::Gone);
    }

    #[test]
    fn a_unit_is_followed_while_it_is_kept() {
        let table = Table::default();
        let standing = table.enter("a-b.service");
        let object = name::object("a-b.service");
        table.tell(&object, |standing| standing.phase = Phase::Gone);
        assert_eq!(standing.borrow().phase, Phase::Gone);
        assert!(table.find("a-b.service").is_some());
        let newer = table.enter("a-b.service");
        table.leave("a-b.service", &standing);
        assert!(table.find("a-b.service").is_some());
        table.leave("a-b.service", &newer);
        table.tell(&object, |standing| standing.phase = Phase::Alive);
        assert_eq!(standing.borrow().phase, Phase::Gone);
        assert!(table.find("a-b.service").is_none());
    }
}
