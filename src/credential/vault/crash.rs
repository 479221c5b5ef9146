//! Tests that end a process at each step of a change.

use super::file::Step;

pub(super) fn reached(_: Step) {}
