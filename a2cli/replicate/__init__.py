"""`a2 replicate`: a report's claims, each redone over seeds and judged: supported, contradicted or undecided."""
