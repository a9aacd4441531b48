-- One row for each commit, and one for each refused operation that was a conflict.
CREATE TABLE IF NOT EXISTS commits (graph TEXT, version UBIGINT, hash TEXT, time TIMESTAMP, author TEXT, command TEXT,
  outcome TEXT, events UINTEGER, PRIMARY KEY (graph, version));
CREATE TABLE IF NOT EXISTS conflicts (graph TEXT, operation TEXT, time TIMESTAMP, author TEXT, command TEXT, code TEXT,
  PRIMARY KEY (graph, operation));
-- Behind the last commit that is in the table.
CREATE TABLE IF NOT EXISTS progress (position TEXT);
