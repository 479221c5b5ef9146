//! What mcpmux is not: the checks that fail, and why that is as it should be.
//! They are run all the same, so that this table is true.

/// A scenario that mcpmux is not made for.
pub(crate) struct Inapplicable {
    /// The scenario.
    pub(crate) scenario: &'static str,
    /// The ids of the checks that fail; none, if none can pass either.
    pub(crate) checks: &'static [&'static str],
    /// Why.
    pub(crate) why: &'static str,
}

/// All of them.
const TABLE: &[Inapplicable] = &[
    Inapplicable {
        scenario: "sep-2640-client-no-prefetch",
        checks: &[],
        why: SKILLS,
    },
    Inapplicable {
        scenario: "sep-2640-client-verify-digest",
        checks: &[],
        why: SKILLS,
    },
    Inapplicable {
        scenario: "sep-2640-client-verify-size",
        checks: &[],
        why: SKILLS,
    },
    Inapplicable {
        scenario: "sep-2640-client-verify-frontmatter",
        checks: &[],
        why: SKILLS,
    },
];

const SKILLS: &str = "a host reads and verifies skills; mcpmux passes them on";

/// What there is for a scenario.
pub(crate) fn of(scenario: &str) -> Option<&'static Inapplicable> {
    TABLE.iter().find(|entry| entry.scenario == scenario)
}
