"""The tables of a memory, and how older memories are brought up to date.

One SQLite database (version 3, WAL) is the only store of record. Times are integer nanoseconds of
media time; vectors are int8 codes with a scale (see `vectors`); labels and boxes are packed (see
`rows`); texts are indexed by FTS5 tables whose content is the row itself, so no text is stored twice.

    stream ─┬─ observation ─┬ vector        one row for each `Observation` that was written
            │               └ sentence      vectors of the parts of long texts
            ├─ event                        contiguous stretches of 4-60 s; one may be open
            ├─ track                        visits of things
            ├─ familiarity                  "seen before?", for each hour
            ├─ word_filter                  words of each minute, when its texts fade
            └─ gap                          what was lost, or forgotten
    label ─── label_vector                  every name that was ever seen or heard
    encoder                                 the spaces that vectors live in
    entity ─┬─ alias                        what was taught by name
            └─ template                     how it looks and sounds
    consent                                 to templates of faces and voices
    fact, note ── note_link                 what was said to be so, and conclusions
    faded, revision                         what demotion made coarser (see `demotion`)
    forgotten                               observations that were erased one by one: only their numbers
    episode ── episode_vector               consecutive events of 5-15 min, summed up (see `episodes`)
    pin                                     what is never made coarser
    centre                                  where the coarse codes of a space are counted from (see `coarse_codes`)

`PRAGMA user_version` counts the migrations that were applied, `PRAGMA application_id` says whose file it
is. Numbers are never used twice, so a cache cannot mistake one row for another. A migration is never
edited once released: a new one is appended.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from reverie.types import Modality

APPLICATION_ID = 0x72767269  # "rvri"

MODALITY_CODES = {
    Modality.VISION: 0,
    Modality.OBJECTS: 1,
    Modality.WRITING: 2,
    Modality.SPEECH: 3,
    Modality.SOUND: 4,
}
MODALITIES = {code: modality for modality, code in MODALITY_CODES.items()}
EVERY_MODALITY = f"modality IN ({','.join(map(str, MODALITIES))})"  # lets a span of all senses use `observation_time`
TEXT_MODALITIES = (Modality.WRITING, Modality.SPEECH, Modality.SOUND)

# Reasons of the gaps that `Memory.forget` leaves behind: the span itself, and, where a picture that stood
# before it went too, the time for which there is no picture now.
FORGOTTEN, FORGOTTEN_PICTURES = "forgotten", "forgotten pictures"
CAME_LATE = "before it came late"  # between two runs of which the earlier one came after the later one
LEAPT = "its clock leapt"  # by more than SegmentationConfig.jump_s
A_LOSS = (
    f"(end_ns - start_ns >= ? OR reason IN ('{FORGOTTEN}', '{FORGOTTEN_PICTURES}'))"  # no picture stands through it
)

_TABLES = """
CREATE TABLE memory (
    erasures INTEGER NOT NULL              -- grows when rows go, so that caches know
) STRICT;
INSERT INTO memory VALUES (0);

CREATE TABLE stream (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    uri TEXT NOT NULL,
    live INTEGER NOT NULL,
    has_video INTEGER NOT NULL,
    has_audio INTEGER NOT NULL,
    duration_ns INTEGER,
    wall_anchor_ns INTEGER,
    started_ns INTEGER NOT NULL,           -- wall clock of the first write
    watched_start_ns INTEGER,              -- start of the earliest observation
    watched_end_ns INTEGER,                -- end of what was watched so far
    committed_ns INTEGER,                  -- the highest watermark: all before it is here
    ended INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE observation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- commit order
    stream INTEGER NOT NULL REFERENCES stream,
    modality INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    confidence REAL NOT NULL,
    starts_shot INTEGER NOT NULL,
    late INTEGER NOT NULL,                 -- came out of order: kept, but took no part in segmentation
    surprise REAL,                         -- 1 - cosine to the event's running centroid, pictures only
    text TEXT NOT NULL,
    words TEXT,                            -- JSON [[text, start, end, score]...], times from start_ns
    labels BLOB,
    boxes BLOB,
    picture TEXT,                          -- name of the kept JPEG
    UNIQUE (stream, modality, seq)
) STRICT;
CREATE INDEX observation_time ON observation (stream, modality, start_ns);
CREATE INDEX observation_picture ON observation (stream, start_ns) WHERE picture IS NOT NULL;

CREATE TABLE encoder (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    width INTEGER NOT NULL
) STRICT;

CREATE TABLE vector (
    observation INTEGER PRIMARY KEY REFERENCES observation,
    encoder INTEGER NOT NULL REFERENCES encoder,
    scale REAL NOT NULL,
    code BLOB NOT NULL
) STRICT;

CREATE TABLE label (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,                    -- class, colour, sound, object
    UNIQUE (name, kind)
) STRICT;

CREATE TABLE label_vector (
    label INTEGER NOT NULL REFERENCES label,
    encoder INTEGER NOT NULL REFERENCES encoder,
    scale REAL NOT NULL,
    code BLOB NOT NULL,
    PRIMARY KEY (label, encoder)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream INTEGER NOT NULL REFERENCES stream,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,               -- of an open event: where it had come to when it was written
    open INTEGER NOT NULL,
    cause TEXT NOT NULL,                   -- why it starts: see segmentation.Cause
    previous INTEGER NOT NULL,             -- id of the last observation that came before it began
    carries INTEGER NOT NULL,              -- it began without a picture: the one that was showing goes on
    labels BLOB,
    picture TEXT,
    UNIQUE (stream, start_ns)
) STRICT;

CREATE TABLE track (
    stream INTEGER NOT NULL REFERENCES stream,
    track INTEGER NOT NULL,
    name TEXT NOT NULL,                    -- by vote
    votes TEXT NOT NULL,                   -- JSON {name: number of frames}
    start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    score REAL NOT NULL,
    box TEXT NOT NULL,                     -- JSON [x0, y0, x1, y1] of the best frame
    picture TEXT,
    PRIMARY KEY (stream, track)
) STRICT;
CREATE INDEX track_name ON track (name, start_ns);

CREATE TABLE gap (
    stream INTEGER NOT NULL REFERENCES stream,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    reason TEXT NOT NULL,
    num_dropped INTEGER NOT NULL,
    PRIMARY KEY (stream, start_ns, end_ns, reason)
) STRICT, WITHOUT ROWID;

CREATE VIRTUAL TABLE observation_text USING fts5(
    text, content='observation', content_rowid='id', tokenize='porter unicode61');
INSERT INTO observation_text (observation_text, rank) VALUES ('automerge', 0);    -- see `lexical.merge_some`
INSERT INTO observation_text (observation_text, rank) VALUES ('crisismerge', 64);
CREATE VIRTUAL TABLE label_text USING fts5(
    name, content='label', content_rowid='id', tokenize='porter unicode61');
"""

_SENTENCES = """
CREATE TABLE sentence (
    observation INTEGER NOT NULL REFERENCES observation,
    part INTEGER NOT NULL,
    encoder INTEGER NOT NULL REFERENCES encoder,
    scale REAL NOT NULL,
    code BLOB NOT NULL,
    PRIMARY KEY (observation, part)
) STRICT, WITHOUT ROWID;
"""

_LEVELS = """
ALTER TABLE event ADD COLUMN level INTEGER NOT NULL DEFAULT 0;     -- see demotion
ALTER TABLE event ADD COLUMN surprise REAL NOT NULL DEFAULT 0;     -- the highest of its moments
UPDATE event SET surprise = coalesce((SELECT max(o.surprise) FROM observation o WHERE o.stream = event.stream
    AND o.modality = 0 AND o.start_ns >= event.start_ns AND o.start_ns < event.end_ns), 0) WHERE NOT open;
CREATE TABLE faded (                       -- stretches of which coarser forms are kept: all of it counts as known
    stream INTEGER NOT NULL REFERENCES stream,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    PRIMARY KEY (stream, start_ns)
) STRICT, WITHOUT ROWID;
CREATE TABLE revision (                    -- the latest demotions, so that caches re-read no more than these
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream INTEGER NOT NULL,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL
) STRICT;
CREATE INDEX observation_picture_name ON observation (picture) WHERE picture IS NOT NULL;
CREATE INDEX track_picture_name ON track (picture) WHERE picture IS NOT NULL;
CREATE INDEX event_picture_name ON event (picture) WHERE picture IS NOT NULL;
CREATE INDEX track_end ON track (stream, end_ns);
"""

_FORGOTTEN = """
CREATE TABLE forgotten (                   -- sent again, these stay away; of a forgotten span its gap says so
    stream INTEGER NOT NULL REFERENCES stream,
    modality INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (stream, modality, seq)
) STRICT, WITHOUT ROWID;
"""

_ANCHORS = """
ALTER TABLE encoder ADD COLUMN of_texts INTEGER NOT NULL DEFAULT 0;  -- the memory embeds texts with it
ALTER TABLE encoder ADD COLUMN anchor_set TEXT;                      -- whose vectors these are: see anchors
ALTER TABLE encoder ADD COLUMN anchors BLOB;
UPDATE encoder SET of_texts = 1 WHERE id IN (SELECT encoder FROM label_vector UNION SELECT encoder FROM sentence);
"""

_CONSOLIDATION = """
ALTER TABLE memory ADD COLUMN consolidated_ns INTEGER NOT NULL DEFAULT 0;  -- stream time watched by the last one
ALTER TABLE stream ADD COLUMN place TEXT NOT NULL DEFAULT '';
ALTER TABLE event ADD COLUMN strength INTEGER NOT NULL DEFAULT 1;  -- S of retention: 1 more with every recall
ALTER TABLE event ADD COLUMN recalled_ns INTEGER;                  -- wall time of the last recall
ALTER TABLE event ADD COLUMN repeats INTEGER NOT NULL DEFAULT 0;   -- near-duplicates that it took in
CREATE TABLE pin (
    stream INTEGER NOT NULL REFERENCES stream,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    PRIMARY KEY (stream, start_ns)
) STRICT, WITHOUT ROWID;
CREATE TABLE centre (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    encoder INTEGER NOT NULL REFERENCES encoder,
    num_vectors INTEGER NOT NULL,          -- that it is the mean of
    value BLOB NOT NULL                    -- float32
) STRICT;
ALTER TABLE vector ADD COLUMN centre INTEGER REFERENCES centre;    -- NULL: int8 codes; else coarse codes around it
ALTER TABLE sentence ADD COLUMN centre INTEGER REFERENCES centre;
CREATE TABLE episode (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream INTEGER NOT NULL REFERENCES stream,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    num_events INTEGER NOT NULL,           -- when it was built
    surprise REAL NOT NULL,
    text TEXT NOT NULL,                    -- sentences word for word
    labels BLOB,
    UNIQUE (stream, start_ns)
) STRICT;
CREATE TABLE episode_vector (
    episode INTEGER NOT NULL REFERENCES episode,
    modality INTEGER NOT NULL,
    encoder INTEGER NOT NULL REFERENCES encoder,
    scale REAL NOT NULL,
    code BLOB NOT NULL,
    PRIMARY KEY (episode, modality, encoder)
) STRICT, WITHOUT ROWID;
ALTER TABLE event ADD COLUMN episode INTEGER REFERENCES episode;   -- NULL: in none yet
CREATE INDEX event_episode ON event (episode);
CREATE INDEX event_loose ON event (stream, start_ns) WHERE episode IS NULL;
"""

_FAMILIARITY = """
CREATE TABLE familiarity (                 -- codes of the distinct moments of an hour (see familiarity)
    stream INTEGER NOT NULL REFERENCES stream,
    hour INTEGER NOT NULL,                 -- of media time: start_ns / 3600 s
    modality INTEGER NOT NULL,
    encoder INTEGER NOT NULL REFERENCES encoder,
    codes BLOB NOT NULL,
    PRIMARY KEY (stream, hour, modality, encoder)
) STRICT;
"""

_WORD_FILTERS = """
ALTER TABLE memory ADD COLUMN word_salt BLOB;   -- keys the hashes of words
UPDATE memory SET word_salt = randomblob(16);
CREATE TABLE word_filter (
    stream INTEGER NOT NULL REFERENCES stream,
    block INTEGER NOT NULL,                -- of media time: start_ns / 3840 s
    num_filters INTEGER NOT NULL,          -- for equal parts of the block, a power of two
    bits BLOB NOT NULL,                    -- of one after the other, packed by zlib
    PRIMARY KEY (stream, block)
) STRICT;                                  -- with rowids: rows of up to 2 kB would spill to pages of their own
"""

_SEMANTIC = """
CREATE TABLE fact (                        -- one statement each; what is valid when is computed: see facts
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream INTEGER NOT NULL REFERENCES stream,
    modality INTEGER NOT NULL,
    start_ns INTEGER NOT NULL,             -- of the evidence
    end_ns INTEGER NOT NULL,
    subject TEXT NOT NULL,
    predicate TEXT NOT NULL,
    object TEXT NOT NULL,
    key TEXT NOT NULL,                     -- the subject as it is looked up
    quote TEXT NOT NULL,                   -- the sentence of the evidence
    learned_ns INTEGER NOT NULL            -- wall clock
) STRICT;
CREATE INDEX fact_key ON fact (key, predicate);
CREATE INDEX fact_time ON fact (stream, start_ns);

CREATE TABLE entity (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    key TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,                    -- thing, face, voice
    taught_ns INTEGER NOT NULL             -- wall clock
) STRICT;
CREATE TABLE alias (
    key TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    entity INTEGER NOT NULL REFERENCES entity
) STRICT, WITHOUT ROWID;
CREATE TABLE template (                    -- a look or a sound of an entity
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    entity INTEGER NOT NULL REFERENCES entity,
    sense TEXT NOT NULL,                   -- look, sound
    stream INTEGER REFERENCES stream,      -- where it was shown; NULL: a file of the user's
    start_ns INTEGER,
    end_ns INTEGER,
    encoder INTEGER NOT NULL REFERENCES encoder,
    scale REAL NOT NULL,
    code BLOB NOT NULL
) STRICT;
CREATE TABLE consent (                     -- to templates of faces or of voices
    kind TEXT PRIMARY KEY,
    allowed_ns INTEGER NOT NULL,           -- wall clock
    given_by TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE note (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream INTEGER NOT NULL REFERENCES stream,
    start_ns INTEGER NOT NULL,             -- what it is about
    end_ns INTEGER NOT NULL,
    text TEXT NOT NULL,
    keywords TEXT NOT NULL,                -- JSON
    made_ns INTEGER NOT NULL,              -- wall clock
    encoder INTEGER NOT NULL REFERENCES encoder,
    scale REAL NOT NULL,
    code BLOB NOT NULL
) STRICT;
CREATE TABLE note_link (                   -- both ways: a < b
    a INTEGER NOT NULL REFERENCES note,
    b INTEGER NOT NULL REFERENCES note,
    cosine REAL NOT NULL,
    PRIMARY KEY (a, b)
) STRICT, WITHOUT ROWID;
"""

_ACCESS = """
CREATE INDEX event_run ON event (stream, start_ns) WHERE cause = 'start';
CREATE INDEX track_start ON track (stream, start_ns);
"""

Migration = Callable[[sqlite3.Connection], None]


def _run(connection: sqlite3.Connection, script: str) -> None:
    """Run statements one by one, inside the transaction that is open (`executescript` would commit it)."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""


def _create(connection: sqlite3.Connection) -> None:
    _run(connection, _TABLES)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _add_sentences(connection: sqlite3.Connection) -> None:
    _run(connection, _SENTENCES)


def _add_levels(connection: sqlite3.Connection) -> None:
    _run(connection, _LEVELS)


def _add_forgotten(connection: sqlite3.Connection) -> None:
    _run(connection, _FORGOTTEN)


def _add_anchors(connection: sqlite3.Connection) -> None:
    _run(connection, _ANCHORS)


def _add_consolidation(connection: sqlite3.Connection) -> None:
    _run(connection, _CONSOLIDATION)


def _add_familiarity(connection: sqlite3.Connection) -> None:
    _run(connection, _FAMILIARITY)


def _add_arousal(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE observation ADD COLUMN arousal REAL")


def _add_semantic(connection: sqlite3.Connection) -> None:
    _run(connection, _SEMANTIC)


def _add_word_filters(connection: sqlite3.Connection) -> None:
    _run(connection, _WORD_FILTERS)


def _add_timezone(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE stream ADD COLUMN timezone TEXT NOT NULL DEFAULT ''")


def _add_imagined(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE stream ADD COLUMN imagined INTEGER NOT NULL DEFAULT 0")


def _add_noted(connection: sqlite3.Connection) -> None:
    """`noted_ns`: up to where a reader concluded notes of what was perceived."""
    connection.execute("ALTER TABLE stream ADD COLUMN noted_ns INTEGER")


def _add_access(connection: sqlite3.Connection) -> None:
    _run(connection, _ACCESS)


MIGRATIONS: tuple[Migration, ...] = (
    _create,
    _add_sentences,
    _add_levels,
    _add_consolidation,
    _add_familiarity,
    _add_arousal,
    _add_forgotten,
    _add_semantic,
    _add_anchors,
    _add_word_filters,
    _add_timezone,
    _add_access,
    _add_imagined,
    _add_noted,
)
SCHEMA_VERSION = len(MIGRATIONS)


def migrate(connection: sqlite3.Connection, migrations: tuple[Migration, ...] = MIGRATIONS) -> int:
    """Apply what is missing, all of it in one transaction; return how many were applied."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version >= len(migrations):
        return 0
    connection.execute("BEGIN IMMEDIATE")
    try:
        for migration in migrations[version:]:
            migration(connection)
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return len(migrations) - int(version)
