"""The class of growth of a task, with the figures that it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import Any

from passuntil._text import grid, size_text

#: The classes by the name that the JSON shape has, with the words that a reader sees after "growth".
CLASSES = {
    "scaling_law": "by the law",
    "sub_scaling": "below the law (sub-scaling)",
    "accelerated": "beyond the law (accelerated)",
    "mixed": "now below the law, now beyond it (mixed)",
    "undetermined": "undetermined",
}


@dataclass(frozen=True, slots=True)
class GrowthResult:
    """Class of growth with what it rests on.

    Parameters
    ----------
    label : str
        One of `CLASSES`.
    p_value : float or None
        Of the null that every instance obeys the law, in [0, 1]; below `alpha` it is rejected. None where
        nothing was tested.
    reason : str
        The class's grounds in words.
    alpha : float
        Level of the test, in (0, 1).
    factor : float
        Change of the local exponent over the range of sizes that `power` is about, above 1.
    sizes : int
        Distinct sizes.
    instances : int
        Instances with draws.
    replicates : int
        Of the parametric bootstrap.
    seed : int
        Of the bootstrap.
    tests : dict of str to float
        The p values that `p_value` is made of: "curvature", "sign_change", "disagreement".
    curvature : float, optional
        F'' that all instances share, per unit of log N squared; negative is concave.
    low : float, optional
        Lower end of its interval at level 1 - alpha.
    high : float, optional
        Upper end of its interval at level 1 - alpha.
    exponent : float, optional
        Mean alpha of the law.
    noise : float, optional
        sigma: standard deviation of the models about the law, on F.
    noise_df : float, optional
        Degrees of freedom of `noise`.
    power : float, optional
        Probability to reject, at this design, if the curvature were `effect` in size; in [0, 1].
    effect : float, optional
        Size of F'' at which the local exponent changes by `factor` from the smallest size to the largest.
    concave : int, optional
        Instances whose own curvature is significantly negative at 5%; 2.5% are expected by chance.
    convex : int, optional
        Instances whose own curvature is significantly positive at 5%; 2.5% are expected by chance.
    curve : tuple of (float, float, float), optional
        (size, F, standard error) of the curve that the instances share, the law of a middling instance.
    """

    label: str
    p_value: float | None
    reason: str
    alpha: float
    factor: float
    sizes: int
    instances: int
    replicates: int
    seed: int
    tests: dict[str, float]
    curvature: float | None = None
    low: float | None = None
    high: float | None = None
    exponent: float | None = None
    noise: float | None = None
    noise_df: float = 0.0
    power: float | None = None
    effect: float | None = None
    concave: int = 0
    convex: int = 0
    curve: tuple[tuple[float, float, float], ...] = ()

    def __str__(self) -> str:
        return self.table()

    def table(self) -> str:
        """Return the result as text: the class with its reason, and the shared curve, a line a model.

        Returns
        -------
        str
            Lines without trailing spaces.
        """
        lines = [f"growth: {CLASSES[self.label]}; {self.reason}"]
        if self.curve:
            lines += grid(
                ("size", "F = log(-log p)", "standard error", "middling pass probability"),
                [(size_text(n), f"{f:.3f}", f"{se:.3f}", f"{exp(-exp(f)):.4g}") for n, f, se in self.curve],
            )
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return the result in the JSON shape: class, p_value and what they rest on; no NaN.

        Returns
        -------
        dict
            Plain JSON values.
        """
        return {
            "class": self.label,
            "p_value": self.p_value,
            "reason": self.reason,
            "alpha": self.alpha,
            "tests": dict(self.tests),
            "curvature": self.curvature,
            "curvature_low": self.low,
            "curvature_high": self.high,
            "level": 1.0 - self.alpha,
            "exponent": self.exponent,
            "noise": self.noise,
            "power": self.power,
            "effect": self.effect,
            "factor": self.factor,
            "concave_instances": self.concave,
            "convex_instances": self.convex,
            "instances": self.instances,
            "sizes": self.sizes,
            "replicates": self.replicates,
            "seed": self.seed,
            "curve": [
                {"n_params": int(n) if n.is_integer() else n, "f": f, "se": se} for n, f, se in self.curve
            ],
        }
