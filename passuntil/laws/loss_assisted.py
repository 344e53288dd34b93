"""Forecasts by way of the loss on the reference answer (arXiv 2310.03262, appendix E.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from passuntil._arrays import Floats
from passuntil._checks import confidence, positive, whole
from passuntil.errors import PassUntilError
from passuntil.laws._cells import ROOTS, check_shares, sizes_of
from passuntil.laws._series import LEAST_P, MOST_P, forecast_with_scatter, lines, log_log, shrunken_lines
from passuntil.laws.dataset_ols import Forecast
from passuntil.laws.loss_law import profile

#: -log PU = a L + b;  log(-log PU) = a log L + b;  log(-log PU) = a L + b.
FORMS = ("linear", "log_log", "log_linear")
LEAST_NLL = 1e-12
#: Exponents tried for a loss with a floor of its own.
ALPHAS: Floats = np.geomspace(0.02, 3.0, 60)


@dataclass(frozen=True, slots=True)
class Relation:
    """One form of the relation between the loss of an answer and its pass probability, fitted."""

    form: str
    slope: float
    level: float

    def pass_probability(self, nll: Floats) -> Floats:
        """Pass probability at summed answer losses `nll` (nats), within [0, 1]."""
        if self.form == "linear":
            return np.asarray(np.exp(-np.maximum(self.slope * nll + self.level, 0.0)))
        x = np.log(np.maximum(nll, LEAST_NLL)) if self.form == "log_log" else nll
        return np.asarray(np.exp(-np.exp(np.clip(self.slope * x + self.level, -60.0, 6.4))))


class LossAssisted(BaseEstimator):
    """A relation between answer loss and pass probability, and each instance's loss carried to larger models.

    1. On easy instances (a pass probability between 0 and 1 at `least_points` sizes) the relation is fitted
       to all their cells, in the three forms of `FORMS` (the paper's own are not known).
    2. Each instance's log loss is a line in log N. shrink=True: the lines lean on each other as far as their
       scatter says (`shrunken_lines`), and the mean over what stays uncertain of them is taken; a mean over
       lines that are each fitted alone bends towards 1/2. floor=True (without shrinking): the loss is c
       N^-alpha + L0 instead.
    3. Predicted loss gives predicted pass probability. instances="all": for every instance; "hard": for those
       that are not easy, the easy ones on their own lines of log(-log PU), as in the paper.

    The form is chosen by leaving out one size at a time, predicting its task mean from the rest, and taking
    the least squared error on the scale of F. The target never enters. The interval is the t interval of a
    new model from the residuals of the task mean, widened by the forms' disagreement.

    Attributes after `fit`: `relation_`, `relations_` (by form), `form_`, `form_errors_` (by form: root mean
    square of the left-out sizes' errors in F), `easy_`, `residuals_`.

    >>> sizes = np.array([0.1, 0.2, 0.5, 1.0])
    >>> nll = np.multiply.outer([2.0, 3.0, 9.0], sizes**-0.3)
    >>> law = LossAssisted().fit(sizes, np.exp(-nll), nll)
    >>> bool(abs(law.forecast(2.0).mean - np.exp(-np.array([2, 3, 9]) * 2**-0.3).mean()) < 1e-6)
    True
    """

    name = "loss_assisted"

    def __init__(
        self,
        *,
        form: str | None = None,
        instances: str = "all",
        shrink: bool = True,
        floor: bool = False,
        least_points: int = 3,
    ) -> None:
        self.form = form
        self.instances = instances
        self.shrink = shrink
        self.floor = floor
        self.least_points = least_points

    def fit(self, n_params: ArrayLike, pass_probability: ArrayLike, nll: ArrayLike) -> Self:
        """Fit to sizes (n,), pass probabilities (m, n) in [0, 1] and summed answer losses (m, n) in nats.

        Raises PassUntilError: fewer than three sizes, a missing or negative loss, no easy instance, an
        unknown form.
        """
        least = whole("least_points", self.least_points, least=2)
        if self.form is not None and self.form not in FORMS:
            raise PassUntilError(f"form must be one of {', '.join(FORMS)}, or None, not {self.form!r}")
        if self.instances not in ("all", "hard"):
            raise PassUntilError(f"instances must be 'all' or 'hard', not {self.instances!r}")
        sizes = sizes_of(n_params)
        values = check_shares(sizes, pass_probability)
        losses = np.asarray(nll, dtype=np.float64)
        if losses.shape != values.shape:
            raise PassUntilError(f"nll has shape {losses.shape} and pass_probability {values.shape}")
        if not (np.isfinite(losses) & (losses >= 0)).all():
            raise PassUntilError(
                "nll must be finite and at least 0 in every cell; leave out instances without"
            )
        inner = (values > 0) & (values < 1)
        self.easy_ = np.array([np.unique(sizes[row]).size >= least for row in inner])
        if not self.easy_.any():
            raise PassUntilError(
                f"no instance has a pass probability between 0 and 1 at {least} sizes, so the relation "
                "between loss and pass probability cannot be fitted; draw more"
            )
        data = _Data(sizes, values, np.maximum(losses, LEAST_NLL), inner & self.easy_[:, None])
        everything = np.ones(sizes.size, dtype=bool)
        self.relations_ = {form: _relate(form, data, everything) for form in FORMS}
        self.form_errors_ = self._leave_one_out(data)
        self.form_ = self.form or min(FORMS, key=lambda form: (self.form_errors_[form], FORMS.index(form)))
        self.relation_ = self.relations_[self.form_]
        self._data = data
        fitted = self.predict(sizes).mean(axis=0)
        self.residuals_ = log_log(np.nanmean(values, axis=0)) - log_log(fitted)
        return self

    def predict(self, n_params: ArrayLike) -> Floats:
        """Pass probability of each instance at each size, shape (m,) + that of the sizes."""
        self._fitted()
        sizes = np.asarray(n_params, dtype=np.float64)
        if not (np.isfinite(sizes) & (sizes > 0)).all():
            raise PassUntilError(f"n_params must be finite and above 0, not {n_params!r}")
        everything = np.ones(self._data.sizes.size, dtype=bool)
        there = self._carry(self._data, everything, np.atleast_1d(sizes), self.relation_)
        return there.reshape((there.shape[0], *sizes.shape))

    def forecast(self, n_params: float, *, level: float = 0.9) -> Forecast:
        """Task mean of one new model of that size, with its interval."""
        self._fitted()
        size, level = positive("n_params", n_params), confidence(level)
        everything = np.ones(self._data.sizes.size, dtype=bool)
        by_form = {
            form: self._carry(self._data, everything, np.array([size]), relation).mean()
            for form, relation in self.relations_.items()
        }
        mean = float(by_form[self.form_])
        # Squares weighted by how well each form did where it could be checked.
        weight = {form: 1.0 / (self.form_errors_[form] ** 2 + 1e-6) for form in FORMS}
        f = {form: float(log_log(value)) for form, value in by_form.items()}
        spread = sum(weight[form] * (f[form] - f[self.form_]) ** 2 for form in FORMS) / sum(weight.values())
        logs = np.log(self._data.sizes)
        return forecast_with_scatter(
            logs, self.residuals_, size, mean, level, of_forms=float(np.sqrt(spread))
        )

    def _leave_one_out(self, data: _Data) -> dict[str, float]:
        errors: dict[str, list[float]] = {form: [] for form in FORMS}
        for size in np.unique(data.sizes):
            rest = data.sizes != size
            if np.unique(data.sizes[rest]).size < 2 or not data.easy[:, rest].any():
                continue
            measured = log_log(np.nanmean(data.values[:, ~rest], axis=0))
            for form in FORMS:
                relation = _relate(form, data, rest)
                there = self._carry(data, rest, data.sizes[~rest], relation).mean(axis=0)
                errors[form] += (measured - log_log(there)).tolist()
        return {form: float(np.sqrt(np.mean(np.square(found)))) for form, found in errors.items()}

    def _carry(self, data: _Data, used: Any, sizes: Floats, relation: Relation) -> Floats:
        """Pass probabilities (m, sizes) from the models in `used`."""
        x, losses = np.log(data.sizes[used]), data.losses[:, used]
        z = np.log(sizes)
        if self.floor and not self.shrink and np.unique(x).size > 3:
            best = profile(data.sizes[used], losses, ALPHAS)
            at = best.rss.argmin(0)
            rows = np.arange(losses.shape[0])
            alphas = best.alphas[at][:, None]
            nll = best.c[at, rows][:, None] * (sizes / best.unit) ** -alphas + best.floor[at, rows][:, None]
            there = relation.pass_probability(nll)
        elif self.shrink and np.unique(x).size > 2:
            mean, variance = shrunken_lines(x, np.log(losses), z)
            there = np.zeros_like(mean)
            for node, share in zip(*ROOTS, strict=True):
                log_nll = np.clip(mean + np.sqrt(2.0 * variance) * node, -60.0, 60.0)
                there = there + share / np.sqrt(np.pi) * relation.pass_probability(np.exp(log_nll))
        else:
            level, slope = lines(x, np.log(losses), np.ones_like(losses))
            there = relation.pass_probability(
                np.exp(np.clip(level[:, None] + slope[:, None] * z, -60.0, 60.0))
            )
        if self.instances == "hard":
            inner = data.easy[:, used].astype(np.float64)
            level, slope = lines(x, log_log(np.nan_to_num(data.values[:, used])), inner)
            own = np.exp(-np.exp(np.clip(level[:, None] + slope[:, None] * z, -60.0, 6.4)))
            there = np.where(np.isfinite(own), own, there)
        return np.asarray(there)

    def _fitted(self) -> None:
        if not hasattr(self, "relation_"):
            raise NotFittedError("This LossAssisted is not fitted yet; call fit first.")


@dataclass(frozen=True, slots=True)
class _Data:
    """Sizes (n,), pass probabilities, losses and the cells that fit the relation (m, n)."""

    sizes: Floats
    values: Floats
    losses: Floats
    easy: Any


def _relate(form: str, data: _Data, used: Any) -> Relation:
    cells = data.easy & used[None, :]
    nll, p = data.losses[cells], np.clip(data.values[cells], LEAST_P, MOST_P)
    x = np.log(nll) if form == "log_log" else nll
    y = -np.log(p) if form == "linear" else np.log(-np.log(p))
    off = x - x.mean()
    spread = float((off * off).sum())
    slope = float((off * y).sum()) / spread if spread > 0 else 0.0
    return Relation(form, slope, float(y.mean()) - slope * float(x.mean()))
