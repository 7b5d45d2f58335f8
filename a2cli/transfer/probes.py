"""How well features serve as they are: the standard answers, by scikit-learn's estimators.

N images, D features. Each answer's one setting is chosen on the validation images.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
NEIGHBOURS = (1, 3, 5, 9, 15)
Features = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """Some images' features (N, D) and labels (N,)."""

    features: Features
    labels: Labels


@dataclass(frozen=True)
class Answer:
    """What an estimator with the best setting got right in each part."""

    name: str
    chosen: str
    correct: tuple[int, ...]


def standard_answers(train: Part, val: Part, others: Sequence[Part]) -> Iterator[Answer]:
    """Yield logistic regression's and nearest neighbours' counts of correct answers in train, val and the others.

    Features are scaled to mean 0 and deviation 1 over the training images. Where there are more of them than
    training images, they are turned into the space that those span, in which a penalised linear model has all of its
    solution (the representer theorem, Schölkopf et al. 2001), and which keeps the order of distances.
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # matrices are small: a second thread gains little, and stalls where the core is taken
        is_wide = train.features.shape[1] > len(train.labels)
        scaling = make_pipeline(StandardScaler(), *[PCA(svd_solver="full")] * is_wide).fit(train.features)
        parts = [Part(scaling.transform(part.features), part.labels) for part in (train, val, *others)]
        strengths = {f"C {c:g}": LogisticRegression(C=c, max_iter=2000) for c in STRENGTHS}
        yield _best("logistic regression", strengths, parts)
        counts = [k for k in NEIGHBOURS if k <= len(train.labels)]
        yield _best("nearest neighbours", {f"k {k}": KNeighborsClassifier(n_neighbors=k) for k in counts}, parts)


def _best(name: str, models: Mapping[str, Any], parts: Sequence[Part]) -> Answer:
    """Return the answer of the setting with most correct on validation; of several, the one surest of the truth."""
    train, val, *_ = parts

    def score(setting: str) -> tuple[int, float]:
        model = models[setting]
        with warnings.catch_warnings():  # of one image a class, which is what is being asked about
            warnings.filterwarnings("ignore", "The number of unique classes is greater")
            model.fit(train.features, train.labels)
        probabilities = model.predict_proba(val.features)
        correct = model.classes_[probabilities.argmax(1)] == val.labels
        of_truth = probabilities[np.arange(len(val.labels)), np.searchsorted(model.classes_, val.labels)]
        return int(correct.sum()), float(of_truth.mean())

    best = max(models, key=score)  # the first of equals
    answers = [models[best].predict(part.features) == part.labels for part in parts]
    return Answer(name, best, tuple(int(correct.sum()) for correct in answers))
