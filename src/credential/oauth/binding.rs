//! When the tokens of a login are bound to a key (`DPoP`, RFC 9449), by
//! `auth.dpop`, what the backend asks for, and what its authorization server can
//! do.

use super::{
    discovery::Discovered,
    dpop::{ALGORITHM, Prover},
    login::Login,
    metadata::lists,
    record::Record,
    trouble::Trouble,
};
use crate::config::Dpop;

impl Login {
    /// What the tokens that are asked for now are to be bound to; the key of the
    /// login that is `known` as long as that lasts.
    pub(super) fn prover(
        &self,
        discovered: &Discovered,
        known: Option<&Record>,
    ) -> Result<Option<Prover>, Trouble> {
        let algorithms = discovered
            .server
            .dpop_signing_alg_values_supported
            .as_deref();
        let before = known.and_then(|record| record.dpop.clone());
        let can = lists(algorithms, ALGORITHM);
        let is_bound = match self.settings.dpop {
            Dpop::Off => false,
            Dpop::Auto => {
                let challenge = self.state().challenge.clone();
                let asked = challenge.is_some_and(|challenge| challenge.dpop)
                    || discovered.resource_wants_dpop
                    || before.is_some();
                can && asked
            }
            // One that does not say that it can may do so all the same.
            Dpop::Required if algorithms.is_none() || can => true,
            Dpop::Required => {
                let issuer = &discovered.issuer;
                return Err(format!(
                    "{issuer} takes no proofs of possession by {ALGORITHM}, which auth.dpop requires"
                )
                .into());
            }
        };
        if !is_bound {
            return Ok(None);
        }
        match before {
            Some(prover) => Ok(Some(prover)),
            None => Prover::new()
                .map(Some)
                .map_err(|error| error.to_string().into()),
        }
    }

    /// `record` without tokens that are not bound, if they must be.
    pub(super) fn bound(&self, mut record: Record) -> Record {
        if self.settings.dpop == Dpop::Required {
            record.tokens = record.tokens.filter(|tokens| tokens.bound);
        }
        record
    }
}

#[cfg(test)]
mod tests;
