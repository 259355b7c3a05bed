"""The worker: claims jobs, runs their handlers, and stores what came of them."""
