"""What was found of weights and maps, in words."""

from collections.abc import Sequence

from a2cli.visualize_weights.results import Look, ViewedNetwork

NOT_FOUND = "no difference was found, which does not mean that nothing was learned"


def weights_verdict(networks: Sequence[ViewedNetwork], looks: Sequence[Look]) -> str:
    """Return what was found of each network's weights, and of the maps of what they look at."""
    sentences = []
    for network in networks:
        if network.layers:
            learned = [layer.layer for layer in network.layers if layer.verdict == "learned"]
            others = [layer.layer for layer in network.layers if layer.verdict != "learned"]
            words = [f"learned: {', '.join(learned)}"] * bool(learned)
            words += [f"like its initialisation: {', '.join(others)} ({NOT_FOUND})"] * bool(others)
            sentences.append(f"{network.name}: {'; '.join(words)}.")
    for look in looks:
        empty = [result.method for result in look.maps if result.says_nothing]
        if empty:
            sentences.append(
                f"{look.image} by {look.network}: maps of random weights look the same by {', '.join(empty)}."
            )
    return " ".join(sentences)
