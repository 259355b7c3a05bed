"""What a job is and what it may become. Nothing here does I/O, reads a clock or rolls dice."""
