"""Compiled loops of the permutation tail. Importing this imports numba, as `loops` does."""

import numpy as np

from regreveal.genetics.kernel.loops import compile_loop


@compile_loop(fastmath=True)
def _exchanged(sums, weight, old, new):
    # Trace, were a person's row to take another's place with this weight.
    total = 0.0
    for column in range(len(weight)):
        own, step = sums[column], weight[column]
        for d in range(len(old)):
            value = own[d] + step * (new[d] - old[d])
            total += value * value
    return total


@compile_loop(fastmath=True)
def _exchange(sums, weight, old, new):
    for column in range(len(weight)):
        for d in range(len(old)):
            sums[column, d] += weight[column] * (new[d] - old[d])


@compile_loop()
def simulate(latents, weights, shares, exchanges, kept, sought, equal, generator, traces):
    """Simulate chains of permutations, level by level, until one's limit is what is sought.

    Parameters
    ----------
    latents : ndarray of float32, shape (n, k)
    weights : ndarray, shape (people, q)
    shares : ndarray, shape (people,)
        Cumulative shares by which people are picked, the last one exactly 1.
    exchanges : int
        Attempted between levels.
    kept : int
        Chains beyond each level's limit.
    sought : float
    equal : float
        Traces whose ratio is above this count as equal.
    generator : numpy.random.Generator
    traces : ndarray, shape (levels, chains)
        Takes the traces.

    Returns
    -------
    int
        Levels that were filled.
    """
    n, k = latents.shape
    carriers, q = weights.shape
    chains = traces.shape[1]
    people = np.empty((chains, carriers), dtype=np.int32)
    sums = np.zeros((chains, q, k))
    current = np.empty(chains)
    # Where in the list of carriers a person is; -1 for those who are not.
    place = np.full(n, -1, dtype=np.int32)
    everyone = np.arange(n).astype(np.int32)
    weight = np.empty(q)
    nothing = np.zeros(k, dtype=np.float32)
    # Where in the shares the search for a number between 0 and 1 starts.
    guide = np.searchsorted(shares, np.arange(carriers) / carriers)
    for chain in range(chains):
        for carrier in range(carriers):
            other = carrier + int(generator.random() * (n - carrier))
            person = everyone[other]
            everyone[other] = everyone[carrier]
            everyone[carrier] = person
            people[chain, carrier] = person
            _exchange(sums[chain], weights[carrier], nothing, latents[person])
        current[chain] = np.square(sums[chain]).sum()
    for level in range(len(traces)):
        traces[level] = current
        order = np.argsort(-current)
        limit = current[order[kept]] / equal
        # Those beyond the limit only, or shares would be too large by one in `kept`.
        starts = np.sum(current > limit)
        if limit >= sought or starts == 0 or level == len(traces) - 1:
            return level + 1
        for rank in range(starts, chains):
            chain, start = order[rank], order[rank % starts]
            people[chain] = people[start]
            sums[chain] = sums[start]
            current[chain] = current[start]
        for chain in range(chains):
            for carrier in range(carriers):
                place[people[chain, carrier]] = carrier
            for _ in range(exchanges):
                # People are picked as often as they weigh, so that all groups move alike.
                drawn = generator.random()
                carrier = guide[int(drawn * len(guide))]
                while shares[carrier] < drawn:
                    carrier += 1
                old, new = people[chain, carrier], int(generator.random() * n)
                other = place[new]
                for column in range(q):
                    weight[column] = weights[carrier, column]
                    if other >= 0:
                        weight[column] -= weights[other, column]
                trace = _exchanged(sums[chain], weight, latents[old], latents[new])
                if trace <= limit:
                    continue
                _exchange(sums[chain], weight, latents[old], latents[new])
                current[chain] = trace
                people[chain, carrier] = new
                place[new] = carrier
                place[old] = other
                if other >= 0:
                    people[chain, other] = old
            for carrier in range(carriers):
                place[people[chain, carrier]] = -1
    return len(traces)
