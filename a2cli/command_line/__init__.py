"""What the commands' functions share: settings resolved, `--dry-run`, and the runs that `--run` means."""
