//! Which of a backend's lists are meant.

use std::ops::BitOrAssign;

use crate::{backend::Unasked, protocol::method};

/// A set of lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Lists {
    /// The tools.
    pub(crate) tools: bool,
    /// The prompts.
    pub(crate) prompts: bool,
    /// The resources and their templates.
    pub(crate) resources: bool,
}

impl Lists {
    /// Every list.
    pub(crate) const ALL: Self = Self {
        tools: true,
        prompts: true,
        resources: true,
    };

    /// The lists that may be other ones after `message`.
    pub(crate) fn stale_after(message: &Unasked) -> Self {
        let mut lists = Self::default();
        match message {
            Unasked::Stale => lists = Self::ALL,
            Unasked::Notification(message) => match message.method() {
                Some(method::TOOLS_CHANGED) => lists.tools = true,
                Some(method::PROMPTS_CHANGED) => lists.prompts = true,
                Some(method::RESOURCES_CHANGED) => lists.resources = true,
                // What changed before a subscription was acknowledged was not said.
                Some(method::ACKNOWLEDGED) => lists = Self::ALL,
                _ => {}
            },
        }
        lists
    }

    /// The lists that `message` says are other ones.
    pub(crate) fn told_by(message: &Unasked) -> Self {
        match message {
            Unasked::Notification(told) if told.method() != Some(method::ACKNOWLEDGED) => {
                Self::stale_after(message)
            }
            _ => Self::default(),
        }
    }

    /// Whether it is none.
    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }
}

impl BitOrAssign for Lists {
    fn bitor_assign(&mut self, other: Self) {
        self.tools |= other.tools;
        self.prompts |= other.prompts;
        self.resources |= other.resources;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Message;

    #[test]
    fn a_change_makes_its_own_list_stale_and_a_new_stream_all() {
        let after = |method| {
            Lists::stale_after(&Unasked::Notification(Message::notification(method, "{}")))
        };
        let mut both = after(method::TOOLS_CHANGED);
        both |= after(method::RESOURCES_CHANGED);
        assert_eq!(
            both,
            Lists {
                prompts: false,
                ..Lists::ALL
            }
        );
        assert!(after("notifications/message").is_empty());
        assert_eq!(after(method::ACKNOWLEDGED), Lists::ALL);
        assert_eq!(Lists::stale_after(&Unasked::Stale), Lists::ALL);
    }
}
