//! The kinds of object, their ids, and what each points at.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::Hash;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::alias::{Aliases, Subject};
use crate::attestation::Attestation;
use crate::codec;
use crate::content::ContentId;
use crate::error::SchemaError;
use crate::evaluation::Evaluation;
use crate::hash::{
    AliasesId, AttestationId, BlobHasher, BlobId, Digest, EvaluationId, RecipeId, RunId,
    SignatureId, TreeId,
};
use crate::kind::Kind;
use crate::recipe::Recipe;
use crate::run::Run;
use crate::signature::{Signature, Signed};
use crate::tree::{Node, Tree};

impl Kind {
    /// The BLAKE3 key-derivation context of the kind. Blobs have none: theirs is plain BLAKE3.
    pub const fn context(self) -> Option<&'static str> {
        match self {
            Kind::Blob => None,
            Kind::Tree => Some("lab 2026-11-24 tree"),
            Kind::Recipe => Some("lab 2026-11-24 recipe"),
            Kind::Run => Some("lab 2026-11-24 run"),
            Kind::Attestation => Some("lab 2026-11-24 attestation"),
            Kind::Signature => Some("lab 2026-11-24 signature"),
            Kind::Aliases => Some("lab 2026-11-24 aliases"),
            Kind::Evaluation => Some("lab 2026-11-24 evaluation"),
        }
    }

    /// A hasher for the bytes of an object of this kind.
    pub fn hasher(self) -> BlobHasher {
        self.context().map_or_else(BlobHasher::new, BlobHasher::with_context)
    }

    /// The digest of an object of this kind with these bytes.
    pub fn digest(self, bytes: &[u8]) -> Digest {
        match self.context() {
            None => BlobId::of(bytes).digest(),
            Some(context) => Digest::derive(context, bytes),
        }
    }
}

/// The id of any object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectId {
    /// Of a blob.
    Blob(BlobId),
    /// Of a tree.
    Tree(TreeId),
    /// Of a recipe.
    Recipe(RecipeId),
    /// Of a run.
    Run(RunId),
    /// Of an attestation.
    Attestation(AttestationId),
    /// Of a signature.
    Signature(SignatureId),
    /// Of a table of aliases.
    Aliases(AliasesId),
    /// Of an evaluation.
    Evaluation(EvaluationId),
}

impl ObjectId {
    /// The id of an object of this kind with this digest. Nothing is checked.
    pub const fn new(kind: Kind, digest: Digest) -> Self {
        match kind {
            Kind::Blob => ObjectId::Blob(BlobId::from_digest(digest)),
            Kind::Tree => ObjectId::Tree(TreeId::from_digest(digest)),
            Kind::Recipe => ObjectId::Recipe(RecipeId::from_digest(digest)),
            Kind::Run => ObjectId::Run(RunId::from_digest(digest)),
            Kind::Attestation => ObjectId::Attestation(AttestationId::from_digest(digest)),
            Kind::Signature => ObjectId::Signature(SignatureId::from_digest(digest)),
            Kind::Aliases => ObjectId::Aliases(AliasesId::from_digest(digest)),
            Kind::Evaluation => ObjectId::Evaluation(EvaluationId::from_digest(digest)),
        }
    }

    /// The kind of object.
    pub const fn kind(&self) -> Kind {
        match self {
            ObjectId::Blob(_) => Kind::Blob,
            ObjectId::Tree(_) => Kind::Tree,
            ObjectId::Recipe(_) => Kind::Recipe,
            ObjectId::Run(_) => Kind::Run,
            ObjectId::Attestation(_) => Kind::Attestation,
            ObjectId::Signature(_) => Kind::Signature,
            ObjectId::Aliases(_) => Kind::Aliases,
            ObjectId::Evaluation(_) => Kind::Evaluation,
        }
    }

    /// The digest without its type.
    pub const fn digest(&self) -> Digest {
        match self {
            ObjectId::Blob(id) => id.digest(),
            ObjectId::Tree(id) => id.digest(),
            ObjectId::Recipe(id) => id.digest(),
            ObjectId::Run(id) => id.digest(),
            ObjectId::Attestation(id) => id.digest(),
            ObjectId::Signature(id) => id.digest(),
            ObjectId::Aliases(id) => id.digest(),
            ObjectId::Evaluation(id) => id.digest(),
        }
    }

    /// The id as content, if it is that of a blob or a tree.
    pub const fn content(&self) -> Option<ContentId> {
        match self {
            ObjectId::Blob(id) => Some(ContentId::Blob(*id)),
            ObjectId::Tree(id) => Some(ContentId::Tree(*id)),
            _ => None,
        }
    }

    /// The first 12 hexadecimal digits, for people.
    pub fn short(&self) -> String {
        self.digest().short()
    }
}

impl fmt::Display for ObjectId {
    /// The kind and all 64 digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.digest())
    }
}

macro_rules! from_id {
    ($($id:ident $variant:ident),*) => {$(
        impl From<$id> for ObjectId {
            fn from(id: $id) -> ObjectId {
                ObjectId::$variant(id)
            }
        }
    )*};
}

from_id!(
    BlobId Blob, TreeId Tree, RecipeId Recipe, RunId Run, AttestationId Attestation,
    SignatureId Signature, AliasesId Aliases, EvaluationId Evaluation
);

impl From<Signed> for ObjectId {
    fn from(signed: Signed) -> ObjectId {
        match signed {
            Signed::Run(id) => ObjectId::Run(id),
            Signed::Attestation(id) => ObjectId::Attestation(id),
        }
    }
}

impl From<ContentId> for ObjectId {
    fn from(id: ContentId) -> ObjectId {
        match id {
            ContentId::Blob(id) => ObjectId::Blob(id),
            ContentId::Tree(id) => ObjectId::Tree(id),
        }
    }
}

impl From<Subject> for ObjectId {
    fn from(subject: Subject) -> ObjectId {
        ObjectId::new(subject.kind(), subject.digest())
    }
}

/// An object with structure: every kind but the blob.
pub trait Object: Sized + Clone + Serialize + DeserializeOwned {
    /// Its id.
    type Id: Copy + Ord + Hash + fmt::Display + Into<ObjectId>;

    /// Its kind.
    const KIND: Kind;

    /// The version that this program writes, and the highest that it reads.
    const VERSION: u64 = 1;

    /// Puts the type on a digest.
    fn id_of(digest: Digest) -> Self::Id;

    /// What it points at, in a fixed order, possibly more than once.
    fn links(&self) -> Vec<ObjectId>;

    /// Its one byte string.
    fn encode(&self) -> Vec<u8> {
        codec::encode(Self::KIND, Self::VERSION, self)
    }

    /// Reads canonical bytes; refuses all others.
    fn decode(bytes: &[u8]) -> Result<Self, SchemaError> {
        codec::decode(Self::KIND, Self::VERSION, bytes)
    }

    /// Its id.
    fn id(&self) -> Self::Id {
        Self::id_of(Self::KIND.digest(&self.encode()))
    }
}

impl Object for Tree {
    type Id = TreeId;
    const KIND: Kind = Kind::Tree;

    fn id_of(digest: Digest) -> TreeId {
        TreeId::from_digest(digest)
    }

    fn links(&self) -> Vec<ObjectId> {
        self.entries().iter().filter_map(|e| Node::content(&e.node)).map(ObjectId::from).collect()
    }
}

impl Object for Recipe {
    type Id = RecipeId;
    const KIND: Kind = Kind::Recipe;

    fn id_of(digest: Digest) -> RecipeId {
        RecipeId::from_digest(digest)
    }

    fn links(&self) -> Vec<ObjectId> {
        let read = self.inputs().values().chain(self.outside().values());
        let trees = self.code().into_iter().chain(self.environment()).map(ObjectId::from);
        read.copied().map(ObjectId::from).chain(trees).collect()
    }
}

impl Object for Run {
    type Id = RunId;
    const KIND: Kind = Kind::Run;

    fn id_of(digest: Digest) -> RunId {
        RunId::from_digest(digest)
    }

    fn links(&self) -> Vec<ObjectId> {
        let outputs = self.outcome.outputs.values().copied().map(ObjectId::from);
        let logs = self.outcome.logs.values().copied().map(ObjectId::from);
        let observed = self.outcome.observed.map(ObjectId::from);
        let runs: BTreeSet<RunId> =
            self.makers.values().flatten().copied().chain(self.parent).collect();
        let parts = outputs.chain(logs).chain(observed).chain(runs.into_iter().map(ObjectId::from));
        std::iter::once(self.recipe.into()).chain(parts).collect()
    }
}

impl Object for Attestation {
    type Id = AttestationId;
    const KIND: Kind = Kind::Attestation;

    fn id_of(digest: Digest) -> AttestationId {
        AttestationId::from_digest(digest)
    }

    /// Only the run: outputs of a re-execution that differ are evidence by hash, and are not kept.
    fn links(&self) -> Vec<ObjectId> {
        vec![self.run.into()]
    }
}

impl Object for Signature {
    type Id = SignatureId;
    const KIND: Kind = Kind::Signature;

    fn id_of(digest: Digest) -> SignatureId {
        SignatureId::from_digest(digest)
    }

    fn links(&self) -> Vec<ObjectId> {
        vec![self.of().into()]
    }
}

impl Object for Aliases {
    type Id = AliasesId;
    const KIND: Kind = Kind::Aliases;

    fn id_of(digest: Digest) -> AliasesId {
        AliasesId::from_digest(digest)
    }

    /// What is known by other digests, and the table; not what else the table names, which is part of
    /// the former.
    fn links(&self) -> Vec<ObjectId> {
        vec![self.of.into(), self.table.into()]
    }
}

impl Object for Evaluation {
    type Id = EvaluationId;
    const KIND: Kind = Kind::Evaluation;

    fn id_of(digest: Digest) -> EvaluationId {
        EvaluationId::from_digest(digest)
    }

    fn links(&self) -> Vec<ObjectId> {
        vec![self.run().into()]
    }
}

/// What an object with these bytes points at; refuses bytes that are not canonical.
pub fn links(kind: Kind, bytes: &[u8]) -> Result<Vec<ObjectId>, SchemaError> {
    match kind {
        Kind::Blob => Ok(Vec::new()),
        Kind::Tree => Tree::decode(bytes).map(|o| o.links()),
        Kind::Recipe => Recipe::decode(bytes).map(|o| o.links()),
        Kind::Run => Run::decode(bytes).map(|o| o.links()),
        Kind::Attestation => Attestation::decode(bytes).map(|o| o.links()),
        Kind::Signature => Signature::decode(bytes).map(|o| o.links()),
        Kind::Aliases => Aliases::decode(bytes).map(|o| o.links()),
        Kind::Evaluation => Evaluation::decode(bytes).map(|o| o.links()),
    }
}
