"""One function per user task; the only place that joins files to methods."""
