"""Many trials by joblib's workers, and the ledger of which have ended, for comparisons and ablations."""
