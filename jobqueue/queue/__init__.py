"""What a user says: enqueue, retry, cancel, purge; and the settings and handlers that go with it."""
