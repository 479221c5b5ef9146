//! What a client does to use a feature, and what is noted of it: the same acts
//! directly and through mcpmux.

pub(crate) mod calls;
pub(crate) mod changes;
pub(crate) mod extensions;
pub(crate) mod lists;
pub(crate) mod questions;
pub(crate) mod tasks;
