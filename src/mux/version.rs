//! Which state of the lists clients have been told of: a number for each list
//! that has a notification of its own.

use serde::{Deserialize, Serialize};

use crate::{
    backend::Lists,
    protocol::{Message, method},
};

/// The numbers of the lists that clients are shown; each grows with its list's
/// changes, and none is had twice, by whatever role.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Versions {
    /// Of the tools.
    pub(crate) tools: u64,
    /// Of the prompts.
    pub(crate) prompts: u64,
    /// Of the resources and their templates.
    pub(crate) resources: u64,
}

/// The lists that are other ones than before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Changed {
    /// The tools.
    pub(crate) tools: bool,
    /// The prompts.
    pub(crate) prompts: bool,
    /// The resources or their templates.
    pub(crate) resources: bool,
}

impl Versions {
    /// What is another one in `self` than it was in `before`.
    pub(crate) fn since(self, before: Self) -> Changed {
        Changed {
            tools: self.tools != before.tools,
            prompts: self.prompts != before.prompts,
            resources: self.resources != before.resources,
        }
    }

    /// The numbers before the last change of what `changed` says.
    pub(crate) fn before(self, changed: Changed) -> Self {
        Self {
            tools: self.tools.wrapping_sub(u64::from(changed.tools)),
            prompts: self.prompts.wrapping_sub(u64::from(changed.prompts)),
            resources: self.resources.wrapping_sub(u64::from(changed.resources)),
        }
    }

    /// What has `changed` has this number from now on, which nothing had before.
    pub(crate) fn turn(&mut self, changed: Changed, number: u64) {
        let lists = [
            (changed.tools, &mut self.tools),
            (changed.prompts, &mut self.prompts),
            (changed.resources, &mut self.resources),
        ];
        for (_, list) in lists.into_iter().filter(|(changed, _)| *changed) {
            *list = number;
        }
    }
}

impl Changed {
    /// Every list.
    pub(crate) const ALL: Self = Self {
        tools: true,
        prompts: true,
        resources: true,
    };

    /// Whether any list has changed.
    pub(crate) fn any(self) -> bool {
        self != Self::default()
    }

    /// Those, and what a backend has told.
    pub(crate) fn or(self, told: Lists) -> Self {
        Self {
            tools: self.tools || told.tools,
            prompts: self.prompts || told.prompts,
            resources: self.resources || told.resources,
        }
    }

    /// Those of both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            tools: self.tools && other.tools,
            prompts: self.prompts && other.prompts,
            resources: self.resources && other.resources,
        }
    }

    /// The methods of the notifications that tell of it.
    pub(crate) fn methods(self) -> impl Iterator<Item = &'static str> {
        [
            (self.tools, method::TOOLS_CHANGED),
            (self.prompts, method::PROMPTS_CHANGED),
            (self.resources, method::RESOURCES_CHANGED),
        ]
        .into_iter()
        .filter_map(|(changed, method)| changed.then_some(method))
    }

    /// The notifications that tell of it, with `params` (JSON text).
    pub(crate) fn notifications(self, params: &str) -> impl Iterator<Item = Message> {
        self.methods()
            .map(move |method| Message::notification(method, params))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_what_has_changed() {
        let before = Versions::default();
        let mut now = before;
        assert!(!now.since(before).any());
        let changed = Changed {
            prompts: true,
            ..Changed::default()
        };
        now.turn(changed, 1);
        assert_eq!(now.since(before), changed);
        assert_eq!(before.since(before.before(changed)), changed);
        let methods: Vec<_> = changed.methods().collect();
        assert_eq!(methods, ["notifications/prompts/list_changed"]);
    }
}
