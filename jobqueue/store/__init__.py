"""Where jobs lie: the `Store` protocol, the spool (a folder) and an in-memory store under one contract."""
