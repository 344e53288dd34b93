"""Figures printed in arXiv 2412.07111 (tables 4 to 10), for the golden tests and benchmarks."""

TASKS = ("C3", "CMNLI", "OCNLI", "CHID", "RTE", "CMMLU")

#: Table 4: percent scores of the random noise group (A B C) and the data variability group (D E F G H).
NOISE_GROUP = {
    "C3": (31.18, 30.36, 32.26),
    "CMNLI": (31.78, 32.99, 32.05),
    "OCNLI": (21.48, 23.43, 23.63),
    "CHID": (43.83, 44.68, 46.52),
    "RTE": (48.38, 45.85, 46.36),
    "CMMLU": (25.20, 24.82, 25.05),
}
DATA_GROUP = {
    "C3": (35.73, 46.47, 37.97, 26.40, 40.93),
    "CMNLI": (41.00, 45.32, 34.32, 40.27, 32.57),
    "OCNLI": (30.00, 36.05, 30.18, 46.05, 33.30),
    "CHID": (52.20, 71.98, 50.15, 51.46, 48.01),
    "RTE": (46.38, 53.50, 46.86, 51.56, 46.01),
    "CMMLU": (24.75, 26.13, 25.31, 25.44, 24.53),
}
#: Table 5 as printed: variance of the noise group, of the data group, and their ratio.
PRINTED_VARIANCES = {
    "C3": (0.91, 51.97, 57.23),
    "CMNLI": (0.40, 1.18, 2.94),
    "OCNLI": (8.23, 7.20, 0.88),
    "CHID": (11.27, 577.55, 51.43),
    "RTE": (1.71, 8.37, 4.90),
    "CMMLU": (0.04, 3.49, 10.79),
}
#: Tables 6 and 8: percent scores of seven checkpoints on TASKS, and the proxy score printed for each.
CHECKPOINTS = {
    "A, earlier": ((51.34, 32.71, 36.57, 80.82, 49.46, 25.46), 48.03),
    "NA, earlier": ((50.68, 33.07, 36.47, 78.52, 52.35, 25.44), 47.77),
    "A, later": ((50.58, 32.53, 36.80, 81.62, 49.10, 25.13), 47.91),
    "NA, later": ((49.04, 32.57, 36.80, 79.47, 53.43, 25.43), 47.69),
    "PPL": ((47.62, 32.98, 29.97, 74.48, 47.65, 24.73), 45.01),
    "Filter": ((48.33, 33.00, 30.03, 74.68, 48.01, 25.35), 45.40),
    "Diversity": ((46.19, 33.59, 35.13, 75.52, 49.46, 24.71), 45.57),
}
#: Table 10: the runs, their T-eval scores, and what each method made of them. Perplexity: lower is better.
RUNS = ("PPL", "Filter", "Diversity", "A", "NA")
T_EVAL = (15.47, 17.43, 17.02, 23.86, 22.76)
METHODS = {
    "perplexity": ((3.55, 3.98, 4.03, 3.57, 3.48), -1, 4),
    "strategy 1": ((38.43, 38.87, 38.93, 40.45, 40.69), 1, 2),
    "strategy 2": ((28.65, 29.46, 27.72, 28.00, 30.03), 1, 4),
    "strategy 3": ((45.01, 45.40, 45.57, 47.91, 47.69), 1, 1),
}
