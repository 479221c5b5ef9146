//! Exit codes, after sysexits(3).

/// The command line is wrong (`EX_USAGE`).
pub(super) const USAGE: u8 = 64;
/// There is nothing to talk to (`EX_UNAVAILABLE`).
pub(super) const UNAVAILABLE: u8 = 69;
/// Not permitted (`EX_NOPERM`).
pub(super) const NOT_PERMITTED: u8 = 77;
/// The configuration is wrong (`EX_CONFIG`).
pub(super) const CONFIG: u8 = 78;
