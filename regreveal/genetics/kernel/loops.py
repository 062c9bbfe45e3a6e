"""Compiled loops over genotypes. Importing this imports numba, so it is done where loops run.

Genotypes are turned into sets of participants, one bit each, and sums over sets are what is asked
for. Each loop takes the rows or columns that are its share, releases Python's lock, and adds in an
order that does not depend on the share: any number of threads gives the same bytes.
"""

import numba
import numpy as np

# Participants whose subset sums are tabulated together, and tables that one word of bits indexes.
TABLE_BITS = 4
TABLES = 8
WORD_BITS = TABLE_BITS * TABLES

# What of the columns stays in a core's second-level cache while all sparse sets pass over it.
TILE_BYTES = 2**20

# Words whose bytes, each 0 or 1, can be added up before a byte is full.
RUN = 255

# Numba checks signed indices for being negative, which keeps loops from being vectorised.
_U = np.uint64

_LOW_BITS = np.uint64(0x0101010101010101)
_HIGH_BITS = np.uint64(0xFCFCFCFCFCFCFCFC)
_EVEN_BYTES = np.uint64(0x00FF00FF00FF00FF)
# Times a word whose bytes are 0 or 1: the topmost byte becomes those eight bits.
_GATHER = np.uint64(0x0102040810204080)

# Times a power of two, the six topmost bits are different for each (a de Bruijn sequence).
_DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
_BIT_OF = np.zeros(64, dtype=np.uint64)
_BIT_OF[(np.left_shift(np.uint64(1), np.arange(64, dtype=np.uint64)) * _DE_BRUIJN) >> 58] = (
    np.arange(64)
)


def compile_loop(**options):
    """Compile without Python's lock, and keep the result on disk where there is a place for it."""

    def compiled(function):
        try:
            return numba.njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:  # Neither the package's folder nor the user's cache can be written.
            return numba.njit(nogil=True, **options)(function)

    return compiled


@compile_loop()
def pack(dosages, first, last, bits, counts):
    """Pack who is heterozygous, a rarer homozygote, or missing, of variants `first` to `last`.

    Parameters
    ----------
    dosages : ndarray of int8, shape (variants, n)
        C-contiguous; 0, 1, 2, and -1 where missing.
    bits : ndarray of uint8, shape (variants, 3, at least n / 8), all zeros
        Takes the sets. Participant i is bit i % 8 of byte i // 8.
    counts : ndarray of int64, shape (variants, 3)
        Takes the numbers of dosages 0, 1 and 2.

    Returns
    -------
    bool
        Whether all dosages were -1, 0, 1 or 2.
    """
    n = dosages.shape[1]
    whole = n // 8
    rest = n - 8 * whole
    last_eight = np.zeros(8, dtype=np.int8)
    runs = (whole + RUN - 1) // RUN
    wrong = _U(0)
    for variant in range(first, last):
        n_het = n_hom = n_missing = 0
        for run in range(runs + (rest > 0)):
            if run < runs:
                start, stop = RUN * run, min(RUN * run + RUN, whole)
                words = dosages[variant, 8 * start : 8 * stop].view(np.uint64)
            else:
                start, stop = whole, whole + 1
                last_eight[:rest] = dosages[variant, 8 * whole :]
                words = last_eight.view(np.uint64)
            het = bits[variant, 0, start:stop]
            hom = bits[variant, 1, start:stop]
            missing = bits[variant, 2, start:stop]
            hets = homs = missings = _U(0)
            for i in range(len(words)):
                word = words[i]
                # The two lowest bits of 0, 1, 2 and -1 are 00, 01, 10 and 11; the others are equal.
                low = word & _LOW_BITS
                high = (word >> _U(1)) & _LOW_BITS
                both = low & high
                wrong |= (word & _HIGH_BITS) ^ (both * _U(0xFC))
                low ^= both
                high ^= both
                hets += low
                homs += high
                missings += both
                het[i] = (low * _GATHER) >> _U(56)
                hom[i] = (high * _GATHER) >> _U(56)
                missing[i] = (both * _GATHER) >> _U(56)
            n_het += _sum_of_bytes(hets)
            n_hom += _sum_of_bytes(homs)
            n_missing += _sum_of_bytes(missings)
        n_ref = n - n_het - n_hom - n_missing
        counts[variant, 0] = n_ref
        counts[variant, 1] = n_het
        counts[variant, 2] = n_hom
        if n_ref < n_hom:
            hom = bits[variant, 1]
            for i in range(whole + (rest > 0)):
                hom[i] = ~(bits[variant, 0, i] | hom[i] | bits[variant, 2, i])
            if rest:
                hom[whole] &= (1 << rest) - 1
    return wrong == 0


@compile_loop()
def _sum_of_bytes(word):
    pairs = (word & _EVEN_BYTES) + ((word >> _U(8)) & _EVEN_BYTES)
    return np.int64((pairs * _U(0x0001000100010001)) >> _U(48))


@compile_loop()
def list_members(sets, rows, begins, people):
    """List the participants of each set, in order.

    Parameters
    ----------
    sets : ndarray of uint64, shape (sets, n / 64)
    rows : ndarray of int, shape (rows,)
        Which of the sets.
    begins : ndarray of int, shape (rows,)
        Where in `people` each row's participants begin.
    people : ndarray of uint32
        Takes the participants.
    """
    for i in range(len(rows)):
        row = sets[rows[i]]
        place = begins[i]
        for j in range(len(row)):
            word = row[j]
            while word:
                rest = word & (word - _U(1))
                people[place] = 64 * j + _BIT_OF[((word ^ rest) * _DE_BRUIJN) >> _U(58)]
                place += 1
                word = rest


@compile_loop()
def add_sparse(columns, people, begins, ends, rows, sums):
    """Add the columns' rows of each set's participants to its sums, for sets with few of them.

    Parameters
    ----------
    columns : ndarray, shape (n, width)
    people : ndarray of uint32
        As of `list_members`.
    begins, ends : ndarray of int, shape (rows,)
        Where in `people` each row's participants begin and end.
    rows : ndarray of int, shape (rows,)
        Which row of `sums` is each set's.
    sums : ndarray, shape (sets, width)
    """
    width = columns.shape[1]
    tile = TILE_BYTES // (columns.itemsize * width)
    places = begins.copy()
    for start in range(0, len(columns), tile):
        for row in range(len(rows)):
            i, end = places[row], ends[row]
            total = sums[rows[row]]
            # Four at a time: the sum is read and written a quarter as often.
            while i + 3 < end and people[i + 3] < start + tile:
                a, b = _U(people[i]), _U(people[i + 1])
                c, d = _U(people[i + 2]), _U(people[i + 3])
                for j in range(width):
                    total[j] += (columns[a, j] + columns[b, j]) + (columns[c, j] + columns[d, j])
                i += 4
            while i < end and people[i] < start + tile:
                a = _U(people[i])
                for j in range(width):
                    total[j] += columns[a, j]
                i += 1
            places[row] = i


@compile_loop()
def add_dense(columns, words, rows, sums):
    """Add the columns' rows of each set's participants to its sums, for sets with many of them.

    Of every four participants the sums of all sixteen subsets are made once, for all sets; a set
    then adds one row for four participants. Matrix products over indicators by tables are known as
    the method of four Russians.

    Parameters
    ----------
    columns : ndarray, shape (n, width)
    words : ndarray of uint32, shape (n / 32, rows)
        Each set's bits, 32 participants a word.
    rows : ndarray of int, shape (rows,)
        Which row of `sums` is each set's.
    sums : ndarray, shape (sets, width)

    References
    ----------
    Arlazarov et al. (1970), Dokl. Akad. Nauk SSSR 194:487.
    """
    width = columns.shape[1]
    tables = np.zeros((TABLES, 2**TABLE_BITS, width), dtype=columns.dtype)
    mask = _U(2**TABLE_BITS - 1)
    for tile in range(words.shape[0]):
        for table in range(TABLES):
            for bit in range(TABLE_BITS):
                person = _U(tile * WORD_BITS + table * TABLE_BITS + bit)
                for subset in range(1 << bit):
                    larger = _U((1 << bit) + subset)
                    for j in range(width):
                        tables[table, larger, j] = tables[table, subset, j] + columns[person, j]
        for i in range(rows.shape[0]):
            word = _U(words[tile, i])
            if word:
                a, b = word & mask, (word >> _U(4)) & mask
                c, d = (word >> _U(8)) & mask, (word >> _U(12)) & mask
                e, f = (word >> _U(16)) & mask, (word >> _U(20)) & mask
                g, h = (word >> _U(24)) & mask, word >> _U(28)
                total = sums[rows[i]]
                for j in range(width):
                    total[j] += (
                        (tables[0, a, j] + tables[1, b, j]) + (tables[2, c, j] + tables[3, d, j])
                    ) + ((tables[4, e, j] + tables[5, f, j]) + (tables[6, g, j] + tables[7, h, j]))


@compile_loop()
def fill_indicators(dosages, rarer, means, first, last, out):
    """Fill in indicators of heterozygotes and rarer homozygotes, their means where missing.

    Parameters
    ----------
    dosages : ndarray of int8, shape (variants, n)
    rarer : ndarray of int8, shape (variants,)
        Dosage of the rarer homozygotes, 0 or 2.
    means : ndarray of float64, shape (variants, 2)
    first, last : int
        Variants; `first` goes to row 0 of `out`.
    out : ndarray, shape (at least last - first, 2, n)
    """
    for variant in range(first, last):
        het_mean, hom_mean = means[variant]
        for i in range(dosages.shape[1]):
            dosage = dosages[variant, i]
            missing = dosage < 0
            out[variant - first, 0, i] = het_mean if missing else dosage == 1
            out[variant - first, 1, i] = hom_mean if missing else dosage == rarer[variant]


@compile_loop(fastmath={"reassoc"})
def summarise(dosages, first, last, nearest, sums):
    """Count and sum the fractional dosages of variants `first` to `last`.

    Parameters
    ----------
    dosages : ndarray of float, shape (variants, n)
        0 to 2, and NaN where missing.
    nearest : ndarray of int64, shape (variants, 3)
        Takes how many are nearest to 0, 1 and 2.
    sums : ndarray of float64, shape (variants, 3)
        Takes the sums of dosages and of their squares, and how many are no whole numbers.

    Returns
    -------
    bool
        Whether all dosages were from 0 to 2 or missing.
    """
    none, one = np.int32(0), np.int32(1)
    half, three_halves = dosages.dtype.type(0.5), dosages.dtype.type(1.5)
    least, most = dosages.dtype.type(0), dosages.dtype.type(2)
    right = True
    # Loops are vectorised where all their numbers are of one width.
    for variant in range(first, last):
        row = dosages[variant]
        known = het_or_hom = hom = outside = between = none
        for i in range(len(row)):
            dosage = row[i]
            known += one if dosage == dosage else none
            het_or_hom += one if dosage >= half else none
            hom += one if dosage >= three_halves else none
            outside += one if (dosage < least) | (dosage > most) else none
        for i in range(len(row)):
            distance = row[i] - np.rint(row[i])
            between += one if distance * distance > least else none
        total = squares = 0.0
        for i in range(len(row)):
            dosage = np.float64(row[i])
            dosage = dosage if dosage == dosage else 0.0
            total += dosage
            squares += dosage * dosage
        nearest[variant, 0] = known - het_or_hom
        nearest[variant, 1] = het_or_hom - hom
        nearest[variant, 2] = hom
        sums[variant, 0], sums[variant, 1], sums[variant, 2] = total, squares, between
        right &= outside == 0
    return right


@compile_loop(fastmath={"reassoc"})
def centre(dosages, mean, first, last, out, squares, cubes):
    """Take the mean from dosages, zero where missing, and sum their squares and cubes.

    Parameters
    ----------
    dosages : ndarray, shape (variants, n)
        Negative or NaN where missing.
    mean : ndarray of float64, shape (variants,)
    first, last : int
        Variants; `first` goes to row 0 of `out`.
    out : ndarray, shape (at least last - first, n)
    squares, cubes : ndarray of float64, shape (variants,)
    """
    for variant in range(first, last):
        squared = cubed = 0.0
        for i in range(dosages.shape[1]):
            dosage = dosages[variant, i]
            centred = dosage - mean[variant] if dosage >= 0 else 0.0
            square = centred * centred
            squared += square
            cubed += square * centred
            out[variant - first, i] = centred
        squares[variant], cubes[variant] = squared, cubed


@compile_loop()
def hard_calls(dosages, margin, out):
    """Make dosages within `margin` of a whole number that number, and others -1.

    Returns
    -------
    bool
        Whether all dosages were from 0 to 2 or missing.
    """
    right = True
    for variant in range(dosages.shape[0]):
        outside = 0
        for i in range(dosages.shape[1]):
            dosage = dosages[variant, i]
            nearest = (dosage >= 0.5) + (dosage >= 1.5)
            outside += (dosage < 0) | (dosage > 2)
            out[variant, i] = nearest if abs(dosage - nearest) <= margin else -1
        right &= outside == 0
    return right
