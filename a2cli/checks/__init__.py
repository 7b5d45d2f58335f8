"""Settings that cannot act together, found before anything is trained without torch; and what a command would do."""
