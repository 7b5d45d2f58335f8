"""`a2 runs` and `a2 cache`: runs listed, filtered, exported and removed; what is cached, and what to remove of it."""
