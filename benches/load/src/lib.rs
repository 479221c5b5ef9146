//! The benchmark of mcpmux, as parts: the peers it is measured with and the
//! instruments it is measured by. `benches/README.md` says what is measured
//! and how to read it.
//!
//! The peers are a [`backend`] and a [`relay`]; both know nothing of the rest.
//! The instruments are built on each other in this order: [`wire`] and
//! [`request`] make calls, [`load`] makes many and times them, [`process`] and
//! [`usage`] run the programs and read what they cost, [`target`] and
//! [`stage`] put them in a line, [`scenario`] and [`rounds`] say what is
//! measured when, [`sessions`] looks at many idle clients, [`faults`] are bad
//! company for backends that work, [`soak`] uses all of it for a long time, [`aims`] and [`report`] what came of it.

pub mod activation;
pub mod aims;
pub mod backend;
pub mod binaries;
pub mod daemon;
pub mod faults;
pub mod load;
pub mod memory;
pub mod nginx;
pub mod process;
pub mod relay;
pub mod report;
pub mod request;
pub mod rounds;
pub mod scenario;
pub mod sessions;
pub mod soak;
pub mod stage;
pub mod target;
pub mod usage;
pub mod wire;
