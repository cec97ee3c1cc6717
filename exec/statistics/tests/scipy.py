"""Makes scipy.json: what SciPy and statsmodels say of many scores.

    python -m venv venv && venv/bin/pip install scipy statsmodels && venv/bin/python -P scipy.py > scipy.json

`-P` keeps this file from being taken for SciPy itself. Run once, with the versions that are noted in it. Where neither has what is needed, the number is computed here in
another way than in Rust: p of permutations of decimal scores in fractions, of many whole scores by counting sums, the
interval of P(A > B) by Brent's method.
"""
import itertools
import json
import math
import sys
import warnings
from fractions import Fraction

import numpy
import scipy
import statsmodels
from scipy import optimize, special, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestIndPower

rng = numpy.random.default_rng(20261130)


def beta():
    cases = []
    for a, b in [(0.5, 0.5), (0.5, 3), (1, 1), (2, 3.5), (7.25, 0.5), (15, 15), (16, 14.5), (120, 0.5), (1000, 0.5), (33, 400), (5000.5, 0.5),
                 (2e4, 3e4), (1e6, 1.001e6)]:
        center, spread = a / (a + b), math.sqrt(a * b / (a + b + 1)) / (a + b)
        for x in [center - 3 * spread, center - spread / 2, center, center + spread, center + 4 * spread, 2**-20, 0.25, 1 - 2**-20]:
            # A multiple of 2^-40, so that 1 - x is exact.
            x = round(x * 2**40) / 2**40
            if 0 < x < 1:
                lower, upper = special.betainc(a, b, x), special.betaincc(a, b, x)
                if lower > 1e-290 and upper > 1e-290:
                    cases.append(dict(a=a, b=b, x=x, y=1 - x, lower=lower, upper=upper))
    return cases


def coin():
    return [dict(k=k, n=n, cdf=stats.binom.cdf(k, n, 0.5), pmf=stats.binom.pmf(k, n, 0.5))
            for k, n in [(0, 1), (0, 5), (1, 5), (2, 5), (5, 5), (3, 12), (6, 12), (40, 100), (50, 100), (11, 17), (480, 1000), (700, 2000),
                         (49_700, 100_000), (499_000, 1_000_000)]]


def normal():
    return [dict(z=z, cdf=stats.norm.cdf(z)) for z in [-30.0, -8.5, -3.0, -1.96, -1.0, -0.1, 0.0, 0.3, 1.0, 1.645, 2.5, 6.0, 9.0]]


def normal_quantile():
    return [dict(tail=q, z=stats.norm.isf(q)) for q in [0.45, 0.3, 0.25, 0.2, 0.1, 0.05, 0.025, 0.01, 0.005, 0.001, 0.00025, 1e-9]]


DEGREES = [1, 1.37, 2, 3, 4.5, 7, 12.34, 18, 38, 100, 998, 19_998]


def student():
    return [dict(t=t, degrees=v, above=stats.t.sf(t, v))
            for v in DEGREES for t in [-6.5, -2.0, -0.3, 0.01, 0.1, 0.9, 1.96, 2.776, 5.0, 12.0, 40.0]
            if stats.t.sf(t, v) > 1e-290]


def student_quantile():
    return [dict(tail=q, degrees=v, t=stats.t.isf(q, v)) for v in DEGREES for q in [0.45, 0.25, 0.1, 0.05, 0.025, 0.005, 0.0005, 0.00025]]


def noncentral():
    cases = []
    for v in [1, 1.5, 2, 3, 5.5, 8, 18, 38, 99, 400, 1998]:
        for t in [-2.0, 0.5, 2.1, 4.0, 12.7]:
            for shift in [-1.0, 0.7, 2.0, 3.5, 6.0, 14.0]:
                above = stats.nct.sf(t, v, shift)
                if 1e-4 < above < 1:
                    cases.append(dict(t=t, degrees=v, shift=shift, above=above))
    return cases


def power():
    design, cases = TTestIndPower(), []
    for n, m in [(2, 2), (4, 4), (5, 5), (4, 9), (10, 10), (20, 20), (15, 30), (200, 150), (3, 1000)]:
        for level in [0.05, 0.01, 0.1]:
            for wanted in [0.8, 0.95]:
                # statsmodels' own root is not always one, and stops early; its power is what is compared.
                found = lambda d: design.power(d, n, level, ratio=m / n) - wanted
                effect = 0.01
                while found(effect) < 0:
                    effect *= 1.1
                if math.isnan(found(effect)):
                    print(f"no power for {n} {m} {level} {wanted} {effect}", file=sys.stderr)
                    continue
                effect = optimize.brentq(found, effect / 1.1, effect, xtol=1e-14, rtol=1e-14)
                cases.append(dict(n=n, m=m, level=level, wanted=wanted, effect=effect, power_at_half=design.power(effect / 2, n, level, ratio=m / n)))
    return cases


def runs():
    design = TTestIndPower()
    return [dict(effect=d, level=level, wanted=wanted, runs=math.ceil(design.solve_power(effect_size=d, alpha=level, power=wanted)))
            for d in [0.065, 0.2, 0.5, 0.8, 1, 1.5, 2] for level in [0.05, 0.01] for wanted in [0.8, 0.9]]


def permutation(a, b, statistic, kind):
    result = stats.permutation_test((a, b), statistic, permutation_type=kind, n_resamples=numpy.inf, vectorized=True)
    # Two-sided as SciPy has it is twice the smaller side; here it is the share of |statistic|.
    size = abs(result.statistic)
    null = numpy.abs(result.null_distribution)
    return float(numpy.mean(null >= size * (1 - 1e-9))), float(result.pvalue)


def difference(x, y, axis=-1):
    return numpy.mean(x, axis=axis) - numpy.mean(y, axis=axis)


def welch_t(x, y, axis=-1):
    return stats.ttest_ind(x, y, equal_var=False, axis=axis).statistic


def superiority_interval(p, n, m, level):
    reach = stats.t.isf(level / 2, n + m - 2)
    common = (n + m) / 2 - 1
    variance = lambda x: x * (1 - x) * (1 + common * ((1 - x) / (2 - x) + x / (1 + x))) / (n * m)
    off = lambda x: (p - x) ** 2 - reach**2 * variance(x)
    tiny = 1e-9
    low = 0.0 if p == 0 else optimize.brentq(off, 0 + (tiny if p < 1 else 0), p - (0 if p < 1 else tiny), xtol=1e-15, rtol=1e-14)
    high = 1.0 if p == 1 else optimize.brentq(off, p + (0 if p > 0 else tiny), 1 - (tiny if p > 0 else 0), xtol=1e-15, rtol=1e-14)
    return low, high


def arms():
    cases = []

    def case(name, a, b):
        a, b = numpy.asarray(a, dtype=float), numpy.asarray(b, dtype=float)
        n, m = len(a), len(b)
        out = dict(name=name, a=a.tolist(), b=b.tolist())
        welch = stats.ttest_ind(a, b, equal_var=False)
        if numpy.isfinite(welch.statistic):
            out["t"], out["p"], out["degrees"] = float(welch.statistic), float(welch.pvalue), float(welch.df)
            for level in [0.05, 0.1, 0.01]:
                ends = welch.confidence_interval(1 - level)
                out[f"interval_{level}"] = [float(ends.low), float(ends.high)]
            scale = abs(a.mean() - b.mean()) + a.std() + b.std()
            out["margins"] = [float(scale * share) for share in [0.3, 1, 3]]
            out["equivalence"] = [max(float(stats.ttest_ind(a + margin, b, equal_var=False, alternative="greater").pvalue),
                                      float(stats.ttest_ind(a - margin, b, equal_var=False, alternative="less").pvalue)) for margin in out["margins"]]
        u = float(stats.mannwhitneyu(a, b).statistic)
        out["superiority"] = u / (n * m)
        out["superiority_interval"] = list(superiority_interval(u / (n * m), n, m, 0.05))
        number = math.comb(n + m, n)
        out["arrangements"] = number
        if number <= 200_000:
            share, of_scipy = permutation(a, b, difference, "independent")
            out["permutation"] = share
            # Where both sides of the distribution are alike, the two definitions of two-sided agree.
            if n == m:
                assert abs(share - of_scipy) < 1e-12, (name, share, of_scipy)
            if n != m and number <= 40_000 and "constant" not in name and "ties" not in name:
                out["studentised"] = permutation(a, b, welch_t, "independent")[0]
        if n == m:
            paired = stats.ttest_rel(a, b)
            if numpy.isfinite(paired.statistic):
                ends = paired.confidence_interval(0.95)
                out["paired_t"], out["paired_p"] = float(paired.statistic), float(paired.pvalue)
                out["paired_interval"] = [float(ends.low), float(ends.high)]
            if n <= 13:
                share, of_scipy = permutation(a, b, difference, "samples")
                assert abs(share - of_scipy) < 1e-12, (name, share, of_scipy)
                out["sign_flip"] = share
            if n >= 4 and numpy.ptp(a) > 0 and numpy.ptp(b) > 0:
                r = stats.pearsonr(a, b)
                if abs(r.statistic) < 1 - 1e-12:
                    ends = r.confidence_interval(0.95)
                    out["r"], out["r_interval"] = float(r.statistic), [float(ends.low), float(ends.high)]
        cases.append(out)

    for n, m in [(2, 2), (2, 5), (3, 3), (4, 4), (4, 6), (5, 5), (6, 3), (6, 6), (7, 9), (8, 8), (9, 9), (12, 4), (13, 13), (20, 20), (25, 30), (30, 30)]:
        case(f"normal {n} {m}", rng.normal(0.5, 1, n), rng.normal(0, 1, m))
        case(f"skewed {n} {m}", rng.lognormal(0, 1, n), rng.lognormal(0.5, 1, m))
        case(f"spreads {n} {m}", rng.normal(0, 3, n), rng.normal(1, 1, m))
        case(f"failing {n} {m}", *(numpy.where(rng.random(k) < 0.3, 0.1, 0.9) + rng.normal(0, 0.01, k) for k in (n, m)))
        case(f"ties {n} {m}", rng.integers(0, 4, n), rng.integers(1, 5, m))
    case("close to one", 0.97 + rng.normal(0, 1e-4, 7), 0.9701 + rng.normal(0, 1e-4, 7))
    case("far from zero", 1e6 + rng.normal(0, 1, 6), 1e6 + rng.normal(1, 1, 8))
    for scale in [1e-70, 1e-30, 1e30, 1e70]:
        case(f"scale {scale}", scale * rng.normal(1, 1, 5), scale * rng.normal(0, 1, 7))
        case(f"scale {scale} even", scale * rng.normal(1, 1, 6), scale * rng.normal(0, 1, 6))
    case("one constant", [3, 3, 3, 3], rng.normal(3.5, 1, 6))
    case("one constant, even", [3, 3, 3, 3, 3], rng.normal(3.5, 1, 5))
    case("both constant", [1, 1, 1, 1], [2, 2, 2, 2])
    case("apart", [10, 11, 12, 13, 14], [1, 2, 3, 4, 5])
    case("the same", [1, 2, 3, 4, 5], [1, 2, 3, 4, 5])
    return cases


def decimals():
    """Scores with few digits, whose sums are ties in decimals and not in binary fractions."""
    cases = []
    given = []
    for n, m, digits in [(3, 3, 1), (4, 4, 2), (5, 5, 2), (4, 6, 2), (6, 6, 1), (6, 6, 3), (3, 7, 2), (5, 5, 4), (5, 7, 3), (4, 8, 4), (3, 9, 1)]:
        for _ in range(3):
            step = 10**digits
            base = 0 if digits < 3 else (step * 9) // 10
            given.append((n, m, step, [int(x) for x in base + rng.integers(1, step - base if digits == 1 else min(step - base, 12), n + m)]))
    # 1, 5, 6 and 2, 3, 7 have the same sum and the same sum of squares, so also t is a tie.
    for base in [900, 910, 700, 330, 123, 970]:
        given.append((3, 3 + base % 7, 1000, [base + x for x in [1, 5, 6, 2, 3, 7] + [int(x) for x in rng.integers(0, 9, base % 7)]]))
    for n, m, step, whole in given:
        exact = [Fraction(x, step) for x in whole]
        total = sum(exact)
        reach = abs(sum(exact[:n]) / n - sum(exact[n:]) / m)
        # d^2 and the variance of d, of which d^2 / variance is t^2.
        squares = sum(x * x for x in exact)

        def parts(chosen):
            s, q = sum(chosen), sum(x * x for x in chosen)
            variance = (q - s * s / n) / (n * (n - 1)) + (squares - q - (total - s) ** 2 / m) / (m * (m - 1))
            return (s / n - (total - s) / m) ** 2, variance

        observed = parts(exact[:n])
        hits = studentised = number = 0
        for chosen in itertools.combinations(exact, n):
            s = sum(chosen)
            number += 1
            hits += abs(s / n - (total - s) / m) >= reach
            d, variance = parts(chosen)
            studentised += d * observed[1] >= observed[0] * variance
        # Of pairs, all signs.
        flips = None
        if n == m:
            d = [x - y for x, y in zip(exact[:n], exact[n:])]
            flips = sum(abs(sum(x * s for x, s in zip(d, signs))) >= abs(sum(d)) for signs in itertools.product([1, -1], repeat=n)) / 2**n
        floats = [x / step for x in whole]
        share = permutation(numpy.array(floats[:n]), numpy.array(floats[n:]), difference, "independent")[1]
        if n == m and abs(share - hits / number) > 1e-12:
            print(f"SciPy misses ties of {floats}: {share}, not {hits / number}", file=sys.stderr)
        cases.append(dict(a=floats[:n], b=floats[n:], permutation=hits / number, studentised=studentised / number, sign_flip=flips))
    return cases

def counted():
    """Whole scores, too many to go through all arrangements: the sums are counted instead."""
    cases = []
    for n, m, high in [(10, 10, 30), (15, 15, 100), (20, 20, 50), (20, 20, 400), (17, 23, 60), (12, 28, 200)]:
        a, b = (rng.integers(0, high, n) + high // 8).tolist(), rng.integers(0, high, m).tolist()
        by_size = [{0: 1}] + [{} for _ in range(n)]
        for x in a + b:
            for size in range(n, 0, -1):
                for s, ways in by_size[size - 1].items():
                    by_size[size][s + x] = by_size[size].get(s + x, 0) + ways
        total, reach = sum(a + b), abs(sum(a) * m - sum(b) * n)
        hits = sum(ways for s, ways in by_size[n].items() if abs(s * m - (total - s) * n) >= reach)
        case = dict(a=a, b=b, permutation=hits / math.comb(n + m, n))
        if n == m:
            signed = {0: 1}
            for x, y in zip(a, b):
                following = {}
                for s, ways in signed.items():
                    for d in (x - y, y - x):
                        following[s + d] = following.get(s + d, 0) + ways
                signed = following
            case["sign_flip"] = sum(ways for s, ways in signed.items() if abs(s) >= abs(sum(a) - sum(b))) / 2**n
        cases.append(case)
    # And pairs that are more than runs of an arm usually are.
    for n in [25, 33, 39, 40]:
        a, b = rng.integers(0, 90, n).tolist(), (rng.integers(0, 90, n) + 9).tolist()
        signed = {0: 1}
        for x, y in zip(a, b):
            following = {}
            for s, ways in signed.items():
                for d in (x - y, y - x):
                    following[s + d] = following.get(s + d, 0) + ways
            signed = following
        share = sum(ways for s, ways in signed.items() if abs(s) >= abs(sum(a) - sum(b))) / 2**n
        cases.append(dict(a=a, b=b, sign_flip=share))
    return cases


def drawn():
    """So many that arrangements are drawn, by SciPy too."""
    cases = []
    for n, m in [(21, 21), (30, 30), (50, 40), (12, 30), (100, 100), (60, 600)]:
        for shift in [0.2, 0.6]:
            a, b = rng.lognormal(0, 0.5, n) + shift * math.sqrt(40 / (n + m)), rng.lognormal(0, 0.7, m)
            out = dict(a=a.tolist(), b=b.tolist())
            statistic = difference if n == m else welch_t
            test = stats.permutation_test((a, b), statistic, permutation_type="independent", n_resamples=100_000, vectorized=True, batch=2_000, rng=rng)
            out["p"] = (1 + int(numpy.sum(numpy.abs(test.null_distribution) >= abs(test.statistic)))) / 100_001
            if n == m:
                test = stats.permutation_test((a, b), difference, permutation_type="samples", n_resamples=100_000, vectorized=True, batch=2_000, rng=rng)
                out["sign_flip"] = (1 + int(numpy.sum(numpy.abs(test.null_distribution) >= abs(test.statistic)))) / 100_001
            cases.append(out)
    return cases


def adjusted():
    cases = []
    for count in [1, 2, 3, 3, 4, 5, 6, 8, 10, 25]:
        p = numpy.round(rng.random(count) ** 3, 3)
        cases.append(dict(p=p.tolist(), holm=multipletests(p, method="holm")[1].tolist()))
    return cases


def discordant():
    cases = []
    for b, c in [(0, 0), (0, 1), (1, 0), (0, 6), (3, 3), (5, 9), (12, 30), (40, 41), (100, 140), (1000, 1100), (20_000, 20_500), (0, 900)]:
        exact = stats.binomtest(b, b + c, 0.5).pvalue if b + c else 1.0
        assert math.isclose(exact, mcnemar([[7, b], [c, 5]], exact=True).pvalue, rel_tol=1e-9), (b, c)
        half = stats.binom.pmf(min(b, c), b + c, 0.5)
        cases.append(dict(b=b, c=c, exact=float(exact), mid=float(min(1, 2 * stats.binom.cdf(min(b, c), b + c, 0.5) - half))))
    return cases


def folds():
    cases = []
    for count, train, test in [(2, 50, 50), (3, 200, 100), (5, 80, 20), (5, 800, 200), (10, 900, 100), (10, 90, 10), (20, 95, 5), (30, 700, 300), (15, 1, 1), (10, 1, 9)]:
        d = rng.normal(0.3, 1, count)
        error = math.sqrt((1 / count + test / train) * d.var(ddof=1))
        t = d.mean() / error
        ends = stats.t.interval(0.95, count - 1, d.mean(), error)
        cases.append(dict(differences=d.tolist(), train=train, test=test, t=float(t), p=float(2 * stats.t.sf(abs(t), count - 1)), interval=[float(x) for x in ends]))
    return cases


def bootstrap():
    cases = []
    for n, kind in [(8, "normal"), (12, "skewed"), (20, "normal"), (40, "skewed"), (60, "right"), (100, "right"), (100, "normal"), (400, "right"), (500, "skewed"), (1001, "right")]:
        if kind == "right":
            a, b = (rng.random(n) < 0.8).astype(float), (rng.random(n) < 0.7).astype(float)
        elif kind == "skewed":
            a, b = rng.lognormal(0, 1, n), rng.lognormal(0, 1, n)
        else:
            a = rng.normal(0.5, 1, n)
            b = a * 0.5 + rng.normal(0, 1, n)
        draws = 1_000 if n > 1_000 else 20_000
        test = stats.bootstrap((a - b,), numpy.mean, n_resamples=20_000, method="percentile", batch=draws, rng=rng)
        ends = test.confidence_interval
        # Studentised, in NumPy.
        d, ts = a - b, []
        if n <= 1000:
            for _ in range(20):
                drawn = d[rng.integers(0, n, (1_000, n))]
                with numpy.errstate(all="ignore"):
                    ts.append((drawn.mean(1) - d.mean()) / (drawn.std(1, ddof=1) / math.sqrt(n)))
            low, high = numpy.quantile(numpy.concatenate(ts), [0.025, 0.975])
            error = d.std(ddof=1) / math.sqrt(n)
            studentised = [float(d.mean() - high * error), float(d.mean() - low * error)]
        else:
            studentised = None
        cases.append(dict(name=f"{kind} {n}", a=a.tolist(), b=b.tolist(), difference=float(d.mean()), percentile=[float(ends.low), float(ends.high)], studentised=studentised))
    return cases


def summary():
    """Mean, standard deviation and Student's interval of one arm. Draws of their own, so that the cases above stay what they are."""
    own = numpy.random.default_rng(20261201)
    cases = []

    def case(name, scores):
        scores = numpy.asarray(scores, dtype=float)
        out = dict(name=name, scores=scores.tolist(), mean=float(scores.mean()), deviation=float(scores.std(ddof=1)))
        for level in [0.5, 0.8, 0.9, 0.95, 0.99, 0.999]:
            out[f"interval_{level}"] = [float(x) for x in stats.t.interval(level, len(scores) - 1, scores.mean(), stats.sem(scores))]
        cases.append(out)

    for n in [2, 3, 4, 5, 6, 8, 10, 16, 20, 50, 300]:
        case(f"normal {n}", own.normal(0.5, 1, n))
        case(f"accuracies {n}", numpy.round(0.9 + own.normal(0, 0.01, n), 4))
        case(f"skewed {n}", own.lognormal(0, 1, n))
    case("far from zero", 1e6 + own.normal(0, 1, 6))
    case("close to one", 0.97 + own.normal(0, 1e-4, 7))
    for scale in [1e-70, 1e70]:
        case(f"scale {scale}", scale * own.normal(1, 1, 5))
    return cases


warnings.simplefilter("ignore")
kinds = [beta, coin, normal, normal_quantile, student, student_quantile, noncentral, power, runs, arms, decimals, counted, drawn, adjusted, discordant, folds, bootstrap, summary]
out = dict(versions=dict(python=sys.version.split()[0], numpy=numpy.__version__, scipy=scipy.__version__, statsmodels=statsmodels.__version__))
for kind in kinds:
    out[kind.__name__] = kind()
# One case a line, so that changes can be read.
number = lambda x: float(x) if isinstance(x, (numpy.floating, numpy.integer)) else x
parts = [f'"versions": {json.dumps(out.pop("versions"))}']
for kind, cases in out.items():
    lines = ",\n".join(json.dumps(case, default=number, allow_nan=False) for case in cases)
    parts.append(f'"{kind}": [\n{lines}\n]')
print("{" + ",\n".join(parts) + "}")
