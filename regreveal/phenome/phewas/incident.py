"""Who got a disease after the visit, and when."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from regreveal.phenome.phecodes.status import PhecodeStatus
from regreveal.phenome.phewas.cox import cox_scan
from regreveal.phenome.phewas.scan import MINIMUM_CASES, describe
from regreveal.phenome.phewas.split_half import SplitSpace

DAYS_A_YEAR = 365.25


@dataclass(frozen=True)
class FollowUp:
    """Participants from their visit on.

    Parameters
    ----------
    table : PhecodeStatus
        With timing "incident".
    status : DataFrame, shape (n, phecodes)
        1 where the first record came within follow-up, 0 where none did, NaN for who is not at
        risk.
    start, end : Series of datetime64
    """

    table: PhecodeStatus
    status: pd.DataFrame
    start: pd.Series
    end: pd.Series

    def years(self, phecode: str) -> np.ndarray:
        """Give the years to the first record, or else to the end of follow-up: (n,)."""
        first = self.table.first_date(phecode)
        case = self.status[phecode] == 1
        return ((first.where(case, self.end) - self.start).dt.days / DAYS_A_YEAR).to_numpy()


def follow_up(table: PhecodeStatus, start: pd.Series, end: pd.Series) -> FollowUp:
    """Follow participants up.

    Parameters
    ----------
    table : PhecodeStatus
        With timing "incident".
    start, end : Series of datetime64
        Indexed as the table. Whose follow-up ends by its start is not at risk; a record after the
        end does not count.

    Returns
    -------
    FollowUp
    """
    status = table.status.copy()
    for phecode in status.columns[(status == 1).any()]:
        late = (status[phecode] == 1) & (table.first_date(phecode) > end)
        status.loc[late, phecode] = 0.0
    status[(end <= start).to_numpy()] = np.nan
    return FollowUp(table, status, start, end)


def incident_phewas(
    space: SplitSpace, followed: FollowUp, minimum_cases: int = MINIMUM_CASES
) -> pd.DataFrame:
    """Test every phecode that came after the visit.

    Returns
    -------
    DataFrame
        As `regreveal.phenome.phewas.scan.phewas`, with hazard_ratio in the place of odds_ratio, and
        after n_excluded, of those, n_earlier, who had it at the visit, and n_not_followed_up; and
        `person_years` at risk.
    """
    status = followed.status
    tests = cox_scan(space, status, followed.years, minimum_cases)
    table = describe(tests, status, followed.table.info)
    table = table.rename(columns={"odds_ratio": "hazard_ratio"})
    earlier = followed.table.counts["earlier"].reindex(status.columns)
    not_followed = followed.table.status.notna() & status.isna()
    at_risk = status.notna()
    years = [followed.years(code)[at_risk[code]].sum() for code in status.columns]
    place = table.columns.get_loc("n_excluded") + 1
    table.insert(place, "n_earlier", earlier.to_numpy())
    table.insert(place + 1, "n_not_followed_up", not_followed.sum().to_numpy())
    table.insert(place + 2, "person_years", np.round(years, 1))
    return table
