"""How long incident disease takes: statsmodels' PHReg, which we use, against lifelines."""

import argparse
import time

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter
from scipy.stats import norm

from regreveal.phenome.phewas.cox import cox_tests


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=10_000, help="In a half.")
    parser.add_argument("--covariates", type=int, default=8)
    parser.add_argument("--rates", type=float, nargs="+", default=[0.0003, 0.003, 0.02])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    generator = np.random.default_rng(arguments.seed)
    n = arguments.people
    design = generator.standard_normal((n, arguments.covariates + 1))
    print("events  PHReg      lifelines  ratio  |Δbeta|  |Δ standard error|  |Δp|")
    for rate in arguments.rates:
        onset = generator.exponential(1 / (rate * np.exp(0.3 * design[:, 0])))
        end = generator.uniform(4, 8, n)
        event = onset < end
        years = np.ceil(np.minimum(onset, end) * 365.25) / 365.25
        started = time.perf_counter()
        ours = cox_tests([(years, event, design)])
        seconds = time.perf_counter() - started
        frame = pd.DataFrame(design).rename(columns=str).assign(years=years, event=event)
        last = str(arguments.covariates)
        started = time.perf_counter()
        precise = {"fit_options": {"precision": 1e-12}}
        full = CoxPHFitter().fit(frame, "years", "event", **precise)
        null = CoxPHFitter().fit(frame.drop(columns=last), "years", "event", **precise)
        slow = time.perf_counter() - started
        ratio = np.sqrt(2 * max(full.log_likelihood_ - null.log_likelihood_, 0))
        print(
            f"{event.sum():6}  {seconds:7.2f} s  {slow:7.2f} s  {slow / seconds:5.1f}  "
            f"{abs(ours.coefficient[0] - full.params_[last]):7.1e}  "
            f"{abs(ours.standard_error[0] - full.standard_errors_[last]):18.1e}  "
            f"{abs(2 * norm.sf(abs(ours.z[0])) - 2 * norm.sf(ratio)):.1e}"
        )


if __name__ == "__main__":
    main()
