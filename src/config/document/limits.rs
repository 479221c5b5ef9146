//! `limits`: how much each caller may ask.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::in_order;
use crate::config::quantity::Size;

/// How much each caller may ask: each user of this machine, holder of a key,
/// subject of a token. Who is told apart by nothing is one caller.
#[derive(Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(transform = in_order::<Self>)]
pub(in crate::config) struct CallerLimits {
    /// Requests a second, of any kind. What comes beyond is answered with 429.
    #[schemars(range(min = 1))]
    pub(in crate::config) rate: Option<u32>,
    /// Requests at once after a pause; as many as `rate` if not set.
    #[schemars(range(min = 1))]
    pub(in crate::config) burst: Option<u32>,
    /// Calls in flight.
    #[schemars(range(min = 1))]
    pub(in crate::config) concurrency: Option<u32>,
    /// Calls a day (UTC), over restarts as well.
    #[schemars(range(min = 1))]
    pub(in crate::config) budget: Option<u64>,
    /// Bytes of calls and their answers a day.
    pub(in crate::config) bytes: Option<Size>,
}
