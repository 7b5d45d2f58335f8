"""What became of a report's claims, in words."""

from a2cli.formats import counted, in_percent
from a2cli.replicate.results import ReplicationResults


def replication_verdict(results: ReplicationResults) -> str:
    """Return for each world how many claims were attempted and decided, and which way; and what is fragile."""
    sentences, judged_in = [], {one.world for claim in results.claims for one in claim.judged}
    for world in results.worlds:
        counts = results.counts(world)
        attempted = sum(counts.values()) - counts["not attempted"]
        if not attempted:
            continue
        decided = counts["supported"] + counts["contradicted"]
        of = f"{world}: of" if len(judged_in) > 1 else "Of"
        sentence = (
            f"{of} {counted(attempted, 'claim')} attempted {decided} ({in_percent(decided / attempted)}) are decided: "
            f"{counts['supported']} supported, {counts['contradicted']} contradicted"
        )
        fragile = sum(bool(one.fragile) for claim in results.claims for one in claim.judged if one.world == world)
        sentences.append(sentence + (f"; {fragile} of them fragile." if fragile else "."))
    return " ".join(sentences) or "No claim was attempted."
