"""Data sets, one a file, and what turns them into batches."""
