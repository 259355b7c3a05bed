"""`python -m jobqueue` is the command `jobqueue`."""

from __future__ import annotations

from jobqueue.cli import main

if __name__ == "__main__":
    main()
