"""Everything that one tally says, each figure beside what it is and what it is not."""

from __future__ import annotations

from dataclasses import dataclass

from passuntil.counts.intervals import Interval
from passuntil.counts.tally import Tally


@dataclass(frozen=True, slots=True)
class LabelledEstimate:
    """One figure of a report.

    Parameters
    ----------
    name : str
        Such as "unbiased".
    value : float or None
        None where it is not defined.
    interval : Interval or None
        None where it has none.
    label : str
        What the figure is and what it is not.
    """

    name: str
    value: float | None
    interval: Interval | None
    label: str


@dataclass(frozen=True, slots=True)
class TallyReport:
    """All estimates of one tally: take one by its name, as in ``report["unbiased"]``; str() is a table.

    Parameters
    ----------
    tally : Tally
        What they are of.
    lines : tuple of LabelledEstimate
        In the order in which they are printed.
    """

    tally: Tally
    lines: tuple[LabelledEstimate, ...]

    def __getitem__(self, name: str) -> LabelledEstimate:
        for line in self.lines:
            if line.name == name:
                return line
        raise KeyError(name)

    def __str__(self) -> str:
        rows = []
        for line in self.lines:
            value = "-" if line.value is None else f"{line.value:.4g}"
            ends = "" if line.interval is None else f"[{line.interval.low:.3g}, {line.interval.high:.3g}]"
            rows.append(f"{line.name:<10} {value:>10}  {ends:<22} {line.label}")
        return "\n".join(rows)


def tally_report(tally: Tally, level: float = 0.95, *, seed: int = 0) -> TallyReport:
    """Give every estimate of a tally with its interval and its label.

    Parameters
    ----------
    tally : Tally
        The counts.
    level : float, optional
        Confidence level of all intervals, in (0, 1).
    seed : int, optional
        Seed of the clock of `gbas`, at least 0.

    Returns
    -------
    TallyReport
        Lines called unbiased, log, gbas, sequence, mle and paper.

    Raises
    ------
    PassUntilError
        For an impossible level or seed.

    Examples
    --------
    >>> report = tally_report(Tally(97_000, 97, 97_000, 97))
    >>> round(report["unbiased"].value, 5), report["paper"].label
    (0.00099, "the paper's r / K: biased upwards, for comparison only")
    >>> [line.name for line in report.lines]
    ['unbiased', 'log', 'gbas', 'sequence', 'mle', 'paper']
    """
    if tally.extended:
        label = "not free of bias: the run was extended after a look; trust the sequence"
    elif not tally.finished:
        label = "provisional: the run goes on"
    elif tally.r == 1:
        label = "unbiased in name only: r = 1 asks whether the first draw passed"
    else:
        label = f"unbiased ({tally.outcome})"
    exact = tally.interval(level, method="exact")
    sequence = tally.interval(level, method="sequence")
    stopped = tally.outcome == "stopped"
    not_stopped = "not defined: no r-th pass ended the run"
    bounds = bool(tally.floor) or tally.cap is not None
    log_label = not_stopped
    if stopped:
        log_label = f"log p, SD {tally.log_sd() or 0.0:.2f}; " + (
            "unbiased" if not bounds else "unbiased but for the runs that floor or cap ended"
        )
    clock = tally.gamma_estimate(level, seed=seed)
    clock_label = not_stopped
    if clock is not None:
        reach = "may exceed 100%" if clock.epsilon is None else f"within {clock.epsilon:.0%}"
        clock_label = f"gamma clock, seed {seed}: relative error {reach} at level {level:g}"
    return TallyReport(
        tally,
        (
            LabelledEstimate("unbiased", tally.estimate(), exact, label),
            LabelledEstimate("log", tally.log_estimate(), None, log_label),
            LabelledEstimate(
                "gbas",
                None if clock is None else clock.value,
                None if clock is None else clock.interval(),
                clock_label,
            ),
            LabelledEstimate("sequence", None, sequence, "interval that holds at every look at once"),
            LabelledEstimate(
                "mle",
                tally.estimate(method="mle"),
                None,
                "s / n: most likely; biased where passes end the run",
            ),
            LabelledEstimate(
                "paper",
                tally.estimate(method="paper"),
                None,
                "the paper's r / K: biased upwards, for comparison only"
                if tally.r is not None
                else "s / n: the paper's estimate of a fixed number of draws",
            ),
        ),
    )
