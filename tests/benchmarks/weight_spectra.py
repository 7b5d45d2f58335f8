"""Times what `visualize-weights` measures of an MLP's first layer, beside the same with the processor threads it has.

    python tests/benchmarks/weight_spectra.py [--side 28] [--units 300] [--threads 4]

MKL's products in double precision spin where they have more threads than there are cores. Prints the seconds of
`spectrum` (one thread), of the same with all threads, and of an SVD with one, and how far their values are apart.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor

from a2cli.visualize_weights.weights import matrix_of, spectrum


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", type=int, default=28)
    parser.add_argument("--units", type=int, default=300)
    parser.add_argument("--threads", type=int, default=4)
    arguments = parser.parse_args()
    weight = torch.randn(arguments.units, 3 * arguments.side**2, generator=torch.Generator().manual_seed(0))
    ways: dict[str, tuple[int, Callable[[], Tensor]]] = {
        "spectrum": (arguments.threads, lambda: spectrum(weight)),
        "the same, all threads": (arguments.threads, lambda: spectrum.__wrapped__(weight)),  # type: ignore[attr-defined]
        "SVD, one thread": (1, lambda: torch.linalg.svdvals(matrix_of(weight))),
    }
    found = {}
    for name, (threads, measure) in ways.items():
        torch.set_num_threads(threads)
        began = time.perf_counter()
        found[name] = measure()
        print(f"{name}: {time.perf_counter() - began:.3f} s")
    apart = max(float((one - found["spectrum"]).abs().max()) for one in found.values())
    print(f"singular values are apart by {apart:.1e} at most, of {float(found['spectrum'][0]):.3g}")


if __name__ == "__main__":
    main()
