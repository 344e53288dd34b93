"""What all selectors share: a checked panel, standardised scores, reliabilities, and `fit` and `predict`."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from proxy._arrays import Floats
from proxy.errors import ProxyError

#: Fewer models cannot show a relation.
LEAST_PANEL = 4


def checked_panel(panel: ArrayLike, target: ArrayLike) -> tuple[Floats, Floats]:
    """The models of a panel that have the target, checked.

    Parameters
    ----------
    panel : array_like of float, shape (models, tasks)
        Scores of the panel's models, higher is better.
    target : array_like of float, shape (models,)
        The target's score of each model; NaN where it was not measured.

    Returns
    -------
    panel : numpy.ndarray, shape (known, tasks)
        Scores of the models whose target is known.
    target : numpy.ndarray, shape (known,)
        Their target scores.

    Raises
    ------
    ProxyError
        Where shapes disagree, fewer than 4 models have the target, a score of one of them is missing, or the target
        is the same for all.
    """
    x, y = np.asarray(panel, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise ProxyError(
            f"a panel of shape {x.shape} with targets of shape {y.shape}: give a target score for each model"
        )
    known = np.isfinite(y)
    count = int(known.sum())
    if count < LEAST_PANEL:
        raise ProxyError(
            f"only {count} {'model' if count == 1 else 'models'} of the panel {'has' if count == 1 else 'have'} "
            f"a target score; at least {LEAST_PANEL} are needed: "
            "measure the target on more models, or give the weights yourself"
        )
    x, y = x[known], y[known]
    if not np.isfinite(x).all():
        model, task = np.argwhere(~np.isfinite(x))[0]
        raise ProxyError(f"panel model {model} has no score on task {task}: fill it, or drop the task")
    if np.ptp(y) <= 1e-12 * np.abs(y).max(initial=1.0):
        raise ProxyError(
            f"the target is {y[0]:g} for every model of the panel: nothing relates to a constant; "
            "choose a panel that can do the target, or another target"
        )
    return x, y


def standardised(columns: Floats) -> Floats:
    """Each column with mean 0 and standard deviation 1; a constant column becomes 0.

    Parameters
    ----------
    columns : numpy.ndarray of float, shape (models, columns)
        Scores without gaps.

    Returns
    -------
    numpy.ndarray, shape (models, columns)
        The standardised scores.

    Examples
    --------
    >>> standardised(np.array([[1.0, 5.0], [3.0, 5.0]])).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """
    spread = columns.std(axis=0)
    flat = spread <= 1e-12 * np.abs(columns).max(axis=0, initial=1e-300)
    return np.asarray(np.where(flat, 0.0, (columns - columns.mean(axis=0)) / np.where(flat, 1.0, spread)))


def standardised_column(values: ArrayLike) -> Floats:
    """One column of scores with mean 0 and standard deviation 1; all 0 if it is constant.

    Parameters
    ----------
    values : array_like of float, shape (models,)
        One score a model, without gaps.

    Returns
    -------
    numpy.ndarray, shape (models,)
        The standardised scores.
    """
    return np.asarray(standardised(np.asarray(values, dtype=np.float64)[:, None])[:, 0])


def reliabilities(candidates: Floats, noise: ArrayLike | None) -> Floats:
    """Share of each column's variance over the candidates that is not noise.

    Parameters
    ----------
    candidates : numpy.ndarray of float, shape (models, tasks)
        Scores of the candidates, without gaps.
    noise : array_like of float, shape (tasks,) or (models, tasks), or None
        Standard deviation of a task's score over seeds, or of each score, in the scores' units; NaN where unknown.

    Returns
    -------
    numpy.ndarray, shape (tasks,)
        Reliabilities from 0 to 1; 1 where the noise is unknown, 0 for a constant column.

    Raises
    ------
    ProxyError
        Where the noise fits neither the tasks nor the scores, or holds a number below 0.

    Notes
    -----
    The reliability is h = 1 - mean(noise^2) / var(scores), cut to [0, 1].

    Examples
    --------
    >>> reliabilities(np.array([[0.0, 1.0], [2.0, 1.1]]), [1.0, float("nan")]).tolist()
    [0.5, 1.0]
    """
    if noise is None:
        return np.ones(candidates.shape[1])
    deviation = np.asarray(noise, dtype=np.float64)
    if deviation.shape not in (candidates.shape, candidates.shape[1:]):
        raise ProxyError(
            f"noise of shape {deviation.shape} for scores of shape {candidates.shape}: give a standard deviation "
            "for each task, or for each score"
        )
    if (deviation < 0).any():
        raise ProxyError(f"noise holds {np.nanmin(deviation):g}: a standard deviation is not below 0")
    square = deviation**2
    known = np.isfinite(square)
    counted = known.sum(axis=0) if square.ndim == 2 else known.astype(float)
    average = (
        np.where(known, square, 0.0).sum(axis=0) / np.maximum(counted, 1) if square.ndim == 2 else square
    )
    total = candidates.var(axis=0, ddof=1)
    share = 1 - np.where(counted > 0, average, 0.0) / np.where(total > 0, total, 1.0)
    return np.asarray(np.where(total > 0, np.clip(share, 0.0, 1.0), 0.0))


class Selector:
    """What all selectors share: `fit` on a panel, then `weights_` and `predict`.

    A selector is fitted on models on which the target can be measured, and is then applied to the candidates, on which
    it often cannot. A subclass says in `_weights` how the panel becomes weights.

    Attributes
    ----------
    weights_ : numpy.ndarray, shape (tasks,)
        The weights, their sizes summing to 1.
    fell_back_ : bool
        Whether no task relates to the target, so that equal weights were taken.
    """

    #: What the selector is called in settings and results.
    label: ClassVar[str]
    #: "raw": a weighted mean of scores as they are; "z": of scores standardised over the candidates.
    aggregate: str = "z"
    weights_: Floats
    fell_back_: bool

    def fit(self, panel: ArrayLike, target: ArrayLike, *, reliability: ArrayLike | None = None) -> Self:
        """Fit the weights on a panel of models that have the target.

        Parameters
        ----------
        panel : array_like of float, shape (models, tasks)
            Scores of at least 4 models, higher is better.
        target : array_like of float, shape (models,)
            The target's score of each; a model with NaN is left out.
        reliability : array_like of float, shape (tasks,), optional
            Of each task among the candidates, from 0 to 1 (see `reliabilities`); 1 by default.

        Returns
        -------
        Selector
            This selector, fitted.

        Raises
        ------
        ProxyError
            For a panel that cannot be learned from (see `checked_panel`), or a wrong number of reliabilities.
        """
        x, y = checked_panel(panel, target)
        h = np.ones(x.shape[1]) if reliability is None else np.asarray(reliability, dtype=np.float64)
        if h.shape != x.shape[1:]:
            raise ProxyError(f"{h.size} reliabilities for {x.shape[1]} tasks: give one for each")
        weights = self._weights(x, y, h)
        size = np.abs(weights).sum()
        # No positive relation at all: equal weights.
        self.fell_back_ = not size > 0
        self.weights_ = np.full(weights.size, 1 / weights.size) if self.fell_back_ else weights / size
        return self

    def _weights(self, x: Floats, y: Floats, h: Floats) -> Floats:
        """Weights of any size from a checked panel x, its target y and the tasks' reliabilities h."""
        raise NotImplementedError

    def predict(self, scores: ArrayLike) -> Floats:
        """A score for each candidate by the fitted weights, to rank by.

        Parameters
        ----------
        scores : array_like of float, shape (candidates, tasks)
            Scores on the panel's tasks, in their order.

        Returns
        -------
        numpy.ndarray, shape (candidates,)
            Weighted means, higher is better: of raw scores, or of scores standardised over these candidates.
        """
        x = np.asarray(scores, dtype=np.float64)
        return np.asarray((standardised(x) if self.aggregate == "z" else x) @ self.weights_)
