//! Patterns for names, as the configuration has them.

use std::fmt;

use wildmatch::WildMatch;

/// A pattern for a whole name: `*` is any number of characters, `?` one; every
/// other character is itself, in its case.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern(WildMatch);

impl Eq for Pattern {}

impl Pattern {
    /// The pattern that `text` says.
    pub fn new(text: &str) -> Self {
        Self(WildMatch::new(text))
    }

    /// Whether `name` as a whole is such a one.
    pub fn matches(&self, name: &str) -> bool {
        self.0.matches(name)
    }
}

/// Displays it as it was written, runs of `*` as one.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_stand_for_others_and_nothing_else_does() {
        for (pattern, right, wrong) in [
            ("*", &["", "a", "a/b"][..], &[][..]),
            ("get_*", &["get_", "get_x"], &["Get_x", "xget_"]),
            ("*_all", &["x_all", "_all"], &["x_all_"]),
            ("a?c", &["abc", "aéc"], &["ac", "abbc"]),
            ("a[b].{c,d}", &["a[b].{c,d}"], &["ab.c", "a[b]xc"]),
            ("*a*b*", &["ab", "xaxbx"], &["ba"]),
            ("", &[""], &["a"]),
        ] {
            for name in right {
                assert!(Pattern::new(pattern).matches(name), "{pattern}: {name}");
            }
            for name in wrong {
                assert!(!Pattern::new(pattern).matches(name), "{pattern}: {name}");
            }
        }
    }
}
