"""The tables of the store of paid replies (`replies.py`), and the way from an older version."""

from __future__ import annotations

VERSION = 2
"""Of the tables; stands in the file as `user_version`. A store of version 1 is brought up to date
where it is opened."""

MAX_TOKENS = 10_000_000
"""No call reads or writes more; larger counts are mistakes of a server."""

JOBS = """
CREATE TABLE jobs (
    job TEXT PRIMARY KEY,
    calls INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX calls_open ON calls (job) WHERE settled = 0;
"""
"""New in version 2, with the column `owner` of `calls`."""

TABLES = f"""
CREATE TABLE replies (
    key TEXT PRIMARY KEY,
    request TEXT NOT NULL,
    raw TEXT NOT NULL,
    bought REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE failures (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    reason TEXT NOT NULL,
    raw TEXT,
    at REAL NOT NULL
);
CREATE TABLE calls (
    id INTEGER PRIMARY KEY,
    job TEXT NOT NULL,
    key TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    settled INTEGER NOT NULL,
    owner TEXT NOT NULL DEFAULT ''
);
CREATE TABLE claims (
    key TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    until REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX failures_of ON failures (key);
CREATE INDEX calls_of ON calls (job);
{JOBS}"""

FROM_VERSION_1 = f"""
ALTER TABLE calls ADD COLUMN owner TEXT NOT NULL DEFAULT '';
UPDATE calls SET input_tokens = min(max(input_tokens, 0), {MAX_TOKENS}),
                 output_tokens = min(max(output_tokens, 0), {MAX_TOKENS});
{JOBS}
INSERT INTO jobs
    SELECT job, count(*), sum(input_tokens), sum(output_tokens) FROM calls GROUP BY job;
"""
"""Version 1 believed every count of a server; counts below 0 would take a job's limit away for
ever."""
