-- The lineage, indexed. Derived from the objects and disposable: a change here takes a new
-- FORMAT in index.rs, and every older file is then rebuilt.
--
-- An id is 32 bytes, and what goes by its id stands in a history often. So objects have numbers
-- here, and of an id that is looked for only the head, its first four bytes, is searched: what is
-- found stands in full in one place and is compared there. No foreign keys: objects arrive in any
-- order, and some never do.

-- Packs whose objects have been taken in.
CREATE TABLE pack (
    number INTEGER PRIMARY KEY,
    id     BLOB NOT NULL UNIQUE
);

-- Structured objects that a pack holds, or that a run, an attestation or a signature is of. Taken:
-- what it says stands in the tables below; else it is only mentioned, or nobody needs to know.
CREATE TABLE object (
    number INTEGER PRIMARY KEY,
    kind   INTEGER NOT NULL,
    id     BLOB NOT NULL,
    taken  INTEGER NOT NULL
);
CREATE TABLE head (
    head   INTEGER NOT NULL,
    object INTEGER NOT NULL,
    PRIMARY KEY (head, object)
) WITHOUT ROWID;

-- Which pack holds which object. What no pack holds is forgotten.
CREATE TABLE held (
    object INTEGER NOT NULL,
    pack   INTEGER NOT NULL,
    PRIMARY KEY (object, pack)
) WITHOUT ROWID;

-- Objects that are held and could not be read. Tried again at every refresh.
CREATE TABLE damaged (
    kind INTEGER NOT NULL,
    id   BLOB NOT NULL,
    why  TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;

-- Names of inputs and outputs, of metrics and parameters, of people.
CREATE TABLE word (
    number INTEGER PRIMARY KEY,
    text   TEXT NOT NULL UNIQUE
);

-- Which contents an object names, in the encoding of links.rs, some in each part: what a recipe reads, what
-- a run left, what lies in a tree. A recipe's code tree has the empty word, which no input can have.
-- Of trees there are those that runs left or read as data, and those inside them.
-- The place of a part is 16777216 times its owner's number, plus its own: rows that follow one another
-- fill their pages.
CREATE TABLE links (
    place INTEGER PRIMARY KEY,
    list  BLOB NOT NULL
);

-- And the way back, from the head of a content to the parts of lists that may name it: of recipes,
-- of runs, of trees.
CREATE TABLE reads (
    head  INTEGER NOT NULL,
    owner INTEGER NOT NULL,
    part  INTEGER NOT NULL,
    PRIMARY KEY (head, owner, part)
) WITHOUT ROWID;
CREATE TABLE makes (
    head  INTEGER NOT NULL,
    owner INTEGER NOT NULL,
    part  INTEGER NOT NULL,
    PRIMARY KEY (head, owner, part)
) WITHOUT ROWID;
CREATE TABLE holds (
    head  INTEGER NOT NULL,
    owner INTEGER NOT NULL,
    part  INTEGER NOT NULL,
    PRIMARY KEY (head, owner, part)
) WITHOUT ROWID;

CREATE TABLE run (
    object     INTEGER PRIMARY KEY,
    recipe     INTEGER NOT NULL,
    started_ms INTEGER NOT NULL,
    success    INTEGER NOT NULL,
    complete   INTEGER NOT NULL,
    who        INTEGER NOT NULL
);
CREATE INDEX run_by_recipe ON run (recipe);
CREATE INDEX run_by_start ON run (started_ms);

-- Who made what a run read, as the run has it: by the name of the input.
CREATE TABLE maker (
    run   INTEGER NOT NULL,
    word  INTEGER NOT NULL,
    maker INTEGER NOT NULL,
    PRIMARY KEY (run, word, maker)
) WITHOUT ROWID;

CREATE TABLE metric (
    name  INTEGER NOT NULL,
    run   INTEGER NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (name, run)
) WITHOUT ROWID;

-- Parameters: of a recipe, which was given them, or of a run, in whose words and files they were
-- found. A value is in the syntax of TOML's inline values.
CREATE TABLE param (
    name  INTEGER NOT NULL,
    value TEXT NOT NULL,
    owner INTEGER NOT NULL,
    PRIMARY KEY (name, value, owner)
) WITHOUT ROWID;

CREATE TABLE attestation (
    object     INTEGER PRIMARY KEY,
    run        INTEGER NOT NULL,
    started_ms INTEGER NOT NULL,
    holds      INTEGER NOT NULL
);
CREATE INDEX attestation_by_run ON attestation (run);

-- Signatures by the object that they are of.
CREATE TABLE signature (
    object    INTEGER PRIMARY KEY,
    of        INTEGER NOT NULL,
    signed_ms INTEGER NOT NULL
);
CREATE INDEX signature_by_object ON signature (of);
