-- The lineage, indexed. Derived from the objects and disposable: a change here takes a new
-- FORMAT in index.rs, and every older file is then rebuilt.
--
-- Ids are the 32 bytes of the digest. A "content" is 33 bytes: 0 (blob) or 1 (tree), then the
-- digest. No foreign keys: objects arrive in any order, and some never do.

-- Packs whose objects have been taken in.
CREATE TABLE pack (
    number INTEGER PRIMARY KEY,
    id     BLOB NOT NULL UNIQUE
);

-- Which pack holds which structured object. What no pack holds is forgotten.
CREATE TABLE held (
    pack INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    id   BLOB NOT NULL,
    PRIMARY KEY (pack, kind, id)
) WITHOUT ROWID;
CREATE INDEX held_by_object ON held (kind, id);

-- Objects that are held and could not be read. Tried again at every refresh.
CREATE TABLE damaged (
    kind INTEGER NOT NULL,
    id   BLOB NOT NULL,
    why  TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;

CREATE TABLE recipe (
    id BLOB PRIMARY KEY
) WITHOUT ROWID;

-- What a recipe reads. The code tree has the empty slot, which no input can have.
CREATE TABLE reads (
    recipe  BLOB NOT NULL,
    slot    TEXT NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (recipe, slot)
) WITHOUT ROWID;
CREATE INDEX reads_by_content ON reads (content, recipe, slot);

CREATE TABLE run (
    id         BLOB PRIMARY KEY,
    recipe     BLOB NOT NULL,
    started_ms INTEGER NOT NULL,
    success    INTEGER NOT NULL,
    complete   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX run_by_recipe ON run (recipe, started_ms, id);
CREATE INDEX run_by_start ON run (started_ms, id);

-- What a run left.
CREATE TABLE makes (
    run     BLOB NOT NULL,
    slot    TEXT NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (run, slot)
) WITHOUT ROWID;
CREATE INDEX makes_by_content ON makes (content, run, slot);

CREATE TABLE metric (
    run   BLOB NOT NULL,
    key   TEXT NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (run, key)
) WITHOUT ROWID;
CREATE INDEX metric_by_key ON metric (key, value);

-- Parameters: of a recipe, which was given them, or of a run, in whose words and files they were
-- found. A value is in the syntax of TOML's inline values.
CREATE TABLE param (
    owner BLOB NOT NULL,
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (owner, key)
) WITHOUT ROWID;
CREATE INDEX param_by_key ON param (key, value);

CREATE TABLE attestation (
    id         BLOB PRIMARY KEY,
    run        BLOB NOT NULL,
    started_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX attestation_by_run ON attestation (run, started_ms, id);

-- Signatures by what they are of: a kind, as in `held`, and an id.
CREATE TABLE signature (
    id        BLOB PRIMARY KEY,
    kind      INTEGER NOT NULL,
    object    BLOB NOT NULL,
    signed_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX signature_by_object ON signature (kind, object, signed_ms, id);

-- Trees that runs left, and the trees inside those, each taken apart once.
CREATE TABLE tree (
    id BLOB PRIMARY KEY
) WITHOUT ROWID;

-- Their direct entries; both columns are contents.
CREATE TABLE entry (
    tree  BLOB NOT NULL,
    child BLOB NOT NULL,
    PRIMARY KEY (tree, child)
) WITHOUT ROWID;
CREATE INDEX entry_by_child ON entry (child, tree);
