#!/usr/bin/env python3
"""The minimax polynomials of src/math/, as binary32 bits. Needs mpmath and numpy.

Each fit minimises the largest weighted error  w(x) * (sum c_k x^k - f(x))  over an interval, on a grid, by Lawson's
reweighted least squares. Coefficients are then rounded to binary32 one at a time, lowest order first, and those that remain
are fitted again, so that later coefficients repair what rounding did to earlier ones.
"""

import struct

import numpy as np
from mpmath import mp, mpf

mp.dps = 60
GRID = 1500


def to_f32(x):
    """The nearest binary32 (through binary64: a double rounding would move a coefficient by one unit, which is harmless)."""
    return mpf(struct.unpack("<f", struct.pack("<f", float(x)))[0])


def bits(x):
    return struct.unpack("<I", struct.pack("<f", float(x)))[0]


def grid(lo, hi):
    lo, hi = mpf(lo), mpf(hi)
    return [(lo + hi) / 2 - (hi - lo) / 2 * mp.cos(mp.pi * i / GRID) for i in range(GRID + 1)]


def lawson(target, weight, powers, points):
    """Coefficients for the powers of x in `powers`: least squares, reweighted by its errors until they are level."""
    x = np.array([float(p) for p in points])
    w = np.array([float(v) for v in weight])
    rows = np.stack([x**k for k in powers], axis=1) * w[:, None]
    scale = np.abs(rows).max(axis=0)
    rhs = np.array([float(t * v) for t, v in zip(target, weight)])
    # Of the order of 1, so that the relative precision of the solver serves.
    size = np.abs(rhs).max() or 1.0
    importance = np.full(len(x), 1.0 / len(x))
    best, worst = None, np.inf
    for _ in range(400):
        root = np.sqrt(importance)[:, None]
        solution = np.linalg.lstsq(rows / scale * root, rhs / size * root[:, 0], rcond=None)[0]
        error = np.abs(rows / scale @ solution - rhs / size)
        if error.max() < worst:
            best, worst = solution / scale * size, error.max()
        importance = importance * (error + 1e-3 * error.max())
        importance /= importance.sum()
    return [mpf(c) for c in best], mpf(worst * size)


def fit(name, f, weight, lo, hi, powers, fixed=(), rounding=to_f32):
    """Prints coefficients of x^k for k in powers; `fixed` maps powers to given coefficients."""
    points = grid(lo, hi)
    known = dict(fixed)
    target = [f(x) for x in points]
    weights = [weight(x) for x in points]
    left = list(powers)
    first = None
    while left:
        rest = [t - sum(c * x**k for k, c in known.items()) for t, x in zip(target, points)]
        coefficients, error = lawson(rest, weights, left, points)
        first = first if first is not None else error
        known[left[0]] = rounding(coefficients[0])
        left.pop(0)
    final = max(abs(w * (sum(c * x**k for k, c in known.items()) - t)) for t, w, x in zip(target, weights, points))
    print(f"{name}: on [{mp.nstr(lo, 6)}, {mp.nstr(hi, 6)}]; error 2^{mp.nstr(mp.log(first, 2), 5)}, rounded 2^{mp.nstr(mp.log(final, 2), 5)}")
    for k in powers:
        print(f"    x^{k:<3} 0x{bits(known[k]):08x}  {mp.nstr(known[k], 12)}")
    return known


def constant(name, x):
    print(f"{name}: 0x{bits(to_f32(x)):08x}  {mp.nstr(to_f32(x), 12)}; rest 0x{bits(to_f32(x - to_f32(x))):08x}")


def erfcx(z):
    return mp.exp(z * z) * mp.erfc(z)


def main():
    constant("log2(e)", 1 / mp.log(2))
    constant("ln 2", mp.log(2))
    constant("2 sqrt(2/pi)", 2 * mp.sqrt(2 / mp.pi))
    constant("2 sqrt(2/pi) 0.044715", 2 * mp.sqrt(2 / mp.pi) * mpf("0.044715"))
    fit("exp", mp.exp, lambda r: mp.exp(-r), mpf("-0.34659"), mpf("0.34659"), range(2, 7), {0: 1, 1: 1})
    # ln(1+f) = f + f^2 P(f), the error relative to ln(1+f).
    def ln_rest(f):
        return (mp.log1p(f) - f) / (f * f) if abs(f) > mpf(10) ** -20 else -mpf(1) / 2
    fit("ln", ln_rest, lambda f: abs(f * f / mp.log1p(f)) if f else mpf(10) ** -30, mpf("-0.29290"), mpf("0.41422"), range(0, 9), {})
    # tanh(x) = x + x s P(s), s = x^2.
    def tanh_rest(s):
        x = mp.sqrt(s)
        return (mp.tanh(x) / x - 1) / s if s > mpf(10) ** -20 else -mpf(1) / 3
    def tanh_weight(s):
        x = mp.sqrt(s)
        return s * x / mp.tanh(x) if s > mpf(10) ** -20 else s
    fit("tanh", tanh_rest, lambda s: tanh_weight(s) + mpf(10) ** -30, mpf(0), mpf("0.6") ** 2, range(0, 5))
    # erf(x) = x + x P(s), the error relative to erf(x) / x.
    def erf_rest(s):
        x = mp.sqrt(s)
        return mp.erf(x) / x if s > mpf(10) ** -20 else 2 / mp.sqrt(mp.pi)
    fit("erf", lambda s: erf_rest(s) - 1, lambda s: 1 / erf_rest(s), mpf(0), mpf(1), range(0, 7))
    # erfc(z) = exp(-z^2) P(t) / (z + c), t = (z - c) / (z + c).
    # Phi(-a) = exp(-a^2/2) P(t) / (a + c), t = (a - c) / (a + c); erf uses it from sqrt(2) on, gelu from 0.8.
    # Of the c tried, 2.75 lets the first coefficient round well.
    c = mpf("2.75")
    def tail(t):
        a = c * (1 + t) / (1 - t)
        return erfcx(a / mp.sqrt(2)) * (a + c) / 2
    fit("normal tail", tail, lambda t: 1 / tail(t), (mpf("0.8") - c) / (mpf("0.8") + c), (15 - c) / (15 + c), range(0, 9))
    # Phi(x) = 1/2 + x P(s), the error relative to Phi(-|x|).
    def middle(s):
        x = mp.sqrt(s)
        return (mp.ncdf(x) - mpf(1) / 2) / x if s > mpf(10) ** -20 else 1 / mp.sqrt(2 * mp.pi)
    fit("normal middle", middle, lambda s: (mp.sqrt(s) + mpf(10) ** -20) / mp.ncdf(-mp.sqrt(s)), mpf(0), mpf("0.8") ** 2, range(0, 5))


if __name__ == "__main__":
    main()
