"""Forecasts by way of the loss on the reference answer (arXiv 2310.03262, appendix E.2)."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from passuntil._arrays import Floats
from passuntil._checks import confidence, positive, whole
from passuntil.errors import PassUntilError
from passuntil.laws._cells import ROOTS
from passuntil.laws._inputs import check_shares, distinct_sizes, new_sizes, require_fit, sizes_of
from passuntil.laws._lines import forecast_with_scatter, lines, log_log, shrunken_lines
from passuntil.laws._profile import profile
from passuntil.laws._relations import FORMS, LEAST_NLL, Measured, Relation, relate
from passuntil.laws.base import Forecast, ScalingLaw

#: Exponents tried for a loss with a floor of its own.
ALPHAS: Floats = np.geomspace(0.02, 3.0, 60)


class LossAssisted(ScalingLaw):
    """A relation between answer loss and pass probability, and each instance's loss carried to larger models.

    Parameters
    ----------
    form : {"linear", "log_log", "log_linear"}, optional
        Of the relation; chosen by leaving out one size at a time where it is left out.
    instances : {"all", "hard"}, optional
        Whose pass probability is predicted from the loss: "all"; or "hard", those that are not easy, the easy
        ones on their own lines of log(-log PU), as in the paper.
    shrink : bool, optional
        Let the lines of the losses lean on each other as far as their scatter says, and take the mean over
        what stays uncertain of them; a mean over lines that are each fitted alone bends towards 1/2.
    floor : bool, optional
        Without `shrink`: the loss of an instance is c N^-alpha + L0 instead of a line in logarithms.
    least_points : int, optional
        Distinct sizes with a pass probability between 0 and 1 that make an instance easy, at least 2.

    Attributes
    ----------
    relations_ : dict of str to Relation
        The relation fitted in every form.
    form_ : str
        The form that is used.
    relation_ : Relation
        The relation in that form.
    form_errors_ : dict of str to float
        By form the root mean square of the left-out sizes' errors in F = log(-log p).
    easy_ : ndarray of bool, shape (m,)
        Which instances are easy.
    residuals_ : ndarray, shape (n,)
        F of the task mean less that of the law.

    Notes
    -----
    1. The relation is fitted to all cells of the easy instances, in three forms, since the paper's own is not
       known, for the summed loss L of the answer::

           -log PU = a L + b,    log(-log PU) = a log L + b,    log(-log PU) = a L + b

    2. Each instance's log loss is a line in log N, carried to the new size.
    3. Predicted loss gives predicted pass probability.

    The form is chosen by predicting the task mean of each size from the rest, and taking the least squared
    error on the scale of F. The target never enters. The interval is the t interval of a new model from the
    residuals of the task mean, widened by the forms' disagreement.

    References
    ----------
    .. [1] Hu et al. (2023), arXiv 2310.03262, appendix E.2.

    Examples
    --------
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
        """Fit to the pass probabilities and losses of m instances on n models.

        Parameters
        ----------
        n_params : array_like of float, shape (n,)
            Sizes above 0, at least three of them distinct.
        pass_probability : array_like of float, shape (m, n)
            In [0, 1], NaN where not measured.
        nll : array_like of float, shape (m, n)
            Loss summed over the reference answer, in nats, at least 0, in every cell.

        Returns
        -------
        LossAssisted
            This law, fitted.

        Raises
        ------
        PassUntilError
            For fewer than three sizes, a missing or negative loss, no easy instance, an unknown form.
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
            raise PassUntilError(
                f"nll must have the shape of pass_probability, {values.shape}, not {losses.shape}"
            )
        if not (np.isfinite(losses) & (losses >= 0)).all():
            raise PassUntilError(
                "nll must be finite and at least 0 in every cell; leave out instances without a loss"
            )
        inner = (values > 0) & (values < 1)
        self.easy_ = distinct_sizes(sizes, inner) >= least
        if not self.easy_.any():
            raise PassUntilError(
                f"no instance has a pass probability between 0 and 1 at {least} sizes, so the relation "
                "between loss and pass probability cannot be fitted; draw more"
            )
        data = Measured(sizes, values, np.maximum(losses, LEAST_NLL), inner & self.easy_[:, None])
        everything = np.ones(sizes.size, dtype=bool)
        self.relations_ = {form: relate(form, data, everything) for form in FORMS}
        self.form_errors_ = self._leave_one_out(data)
        self.form_ = self.form or min(FORMS, key=lambda form: (self.form_errors_[form], FORMS.index(form)))
        self.relation_ = self.relations_[self.form_]
        self._data = data
        fitted = self.predict(sizes).mean(axis=0)
        self.residuals_ = log_log(np.nanmean(values, axis=0)) - log_log(fitted)
        return self

    def predict(self, n_params: ArrayLike) -> Floats:
        """Pass probability of each instance at each size.

        Parameters
        ----------
        n_params : array_like of float
            Sizes above 0.

        Returns
        -------
        ndarray, shape (m, ...)
            In [0, 1], the axes of the sizes after that of the instances.

        Raises
        ------
        PassUntilError
            For a size that is not above 0.
        """
        require_fit(self, "relation_")
        sizes = new_sizes(n_params)
        everything = np.ones(self._data.sizes.size, dtype=bool)
        predicted = self._carry(self._data, everything, np.atleast_1d(sizes), self.relation_)
        return predicted.reshape((predicted.shape[0], *sizes.shape))

    def forecast(self, n_params: float, *, level: float = 0.9) -> Forecast:
        """Task mean of one new model of that size, with its interval.

        Parameters
        ----------
        n_params : float
            Its size, above 0.
        level : float, optional
            Confidence level, in (0, 1).

        Returns
        -------
        Forecast
            The mean over the instances and the bounds.

        Raises
        ------
        PassUntilError
            For another size or level.
        """
        require_fit(self, "relation_")
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

    def _leave_one_out(self, data: Measured) -> dict[str, float]:
        errors: dict[str, list[float]] = {form: [] for form in FORMS}
        for size in np.unique(data.sizes):
            rest = data.sizes != size
            if np.unique(data.sizes[rest]).size < 2 or not data.easy[:, rest].any():
                continue
            measured = log_log(np.nanmean(data.values[:, ~rest], axis=0))
            for form in FORMS:
                relation = relate(form, data, rest)
                predicted = self._carry(data, rest, data.sizes[~rest], relation).mean(axis=0)
                errors[form] += (measured - log_log(predicted)).tolist()
        return {form: float(np.sqrt(np.mean(np.square(left_out)))) for form, left_out in errors.items()}

    def _carry(self, data: Measured, used: Any, sizes: Floats, relation: Relation) -> Floats:
        """Pass probabilities (m, sizes) from the models in `used`."""
        x, losses = np.log(data.sizes[used]), data.losses[:, used]
        z = np.log(sizes)
        if self.floor and not self.shrink and np.unique(x).size > 3:
            best = profile(data.sizes[used], losses, ALPHAS)
            at = best.rss.argmin(0)
            rows = np.arange(losses.shape[0])
            alphas = best.alphas[at][:, None]
            nll = best.c[at, rows][:, None] * (sizes / best.unit) ** -alphas + best.floor[at, rows][:, None]
            predicted = relation.pass_probability(nll)
        elif self.shrink and np.unique(x).size > 2:
            mean, variance = shrunken_lines(x, np.log(losses), z)
            predicted = np.zeros_like(mean)
            for node, share in zip(*ROOTS, strict=True):
                log_nll = np.clip(mean + np.sqrt(2.0 * variance) * node, -60.0, 60.0)
                predicted = predicted + share / np.sqrt(np.pi) * relation.pass_probability(np.exp(log_nll))
        else:
            level, slope = lines(x, np.log(losses), np.ones_like(losses))
            predicted = relation.pass_probability(
                np.exp(np.clip(level[:, None] + slope[:, None] * z, -60.0, 60.0))
            )
        if self.instances == "hard":
            inner = data.easy[:, used].astype(np.float64)
            level, slope = lines(x, log_log(np.nan_to_num(data.values[:, used])), inner)
            own = np.exp(-np.exp(np.clip(level[:, None] + slope[:, None] * z, -60.0, 6.4)))
            predicted = np.where(np.isfinite(own), own, predicted)
        return np.asarray(predicted)
