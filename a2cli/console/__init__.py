"""All that is printed: tables, progress, error lines, streams that may be closed."""
