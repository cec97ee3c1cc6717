//! What a store lets in: only what somebody who is allowed to has signed.

use lab_lineage::Lineage;
use lab_objects::Store;
use lab_remote::Gate;
use lab_schema::{Aliases, Evaluation, ObjectId, Signature, Signed, Subject};

use crate::allowed::Allowed;
use crate::error::{Result, TrustError};
use crate::judge::judge;

/// Runs and attestations have to be signed by somebody who is allowed to.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Who is allowed to.
    pub allowed: Allowed,
    /// The time of asking, in milliseconds since 1970-01-01T00:00:00Z.
    pub now_ms: fn() -> u64,
}

impl Policy {
    /// Whether somebody who is allowed to has signed this. Signatures by keys that nobody allowed has
    /// are not looked into: they may be many.
    fn is_signed(&self, store: &Store, lineage: &Lineage, of: Signed) -> Result<bool> {
        for id in lineage.signatures_of(of)? {
            let signature: Signature = store.load(id)?;
            if signature.of() == of
                && self.allowed.has(signature.parts().key)
                && judge(&signature, &self.allowed, (self.now_ms)()).is_good()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Gate for Policy {
    fn refuses(
        &self,
        store: &Store,
        lineage: &Lineage,
        id: ObjectId,
    ) -> lab_lineage::Result<Option<String>> {
        let of = match id {
            ObjectId::Run(id) => Signed::Run(id),
            ObjectId::Attestation(id) => Signed::Attestation(id),
            // It brings along what it is of, whoever made it.
            ObjectId::Signature(id) => store.load::<Signature>(id)?.of(),
            // So do aliases.
            ObjectId::Aliases(id) => match store.load::<Aliases>(id)?.of {
                Subject::Run(id) => Signed::Run(id),
                Subject::Blob(_) | Subject::Tree(_) => return Ok(None),
            },
            // So do evaluations.
            ObjectId::Evaluation(id) => Signed::Run(store.load::<Evaluation>(id)?.run()),
            // Bytes say nothing, and a recipe does not say that it was followed.
            ObjectId::Blob(_) | ObjectId::Tree(_) | ObjectId::Recipe(_) => return Ok(None),
        };
        match self.is_signed(store, lineage, of) {
            Ok(true) => Ok(None),
            // Said to whoever pushes, on whatever machine: so it says what to do.
            Ok(false) => Ok(Some(format!(
                "no allowed signer has signed it (`lab sign {}` does)",
                ObjectId::from(of).short()
            ))),
            Err(TrustError::Lineage(error)) => Err(error),
            Err(TrustError::Objects(error)) => Err(error.into()),
            Err(error) => Ok(Some(error.to_string())),
        }
    }
}
