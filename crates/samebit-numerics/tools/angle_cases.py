#!/usr/bin/env python3
"""Writes tests/data/angles.txt: hard cases for the tables of sines and cosines, computed by mpmath in 400 bits.

Lines: `angle POSITION FREQUENCY MAGNITUDE COS SIN` (binary64 and binary32 as hex bits) and `power BASE I N FREQUENCY`.
"""

import os
import random
import struct

from mpmath import mp, mpf

mp.prec = 400
rng = random.Random(1)


def nearest(x, bits, emin):
    """x rounded to `bits` bits, ties to even, subnormals kept; exact as an mpf."""
    if x == 0:
        return mpf(0)
    exponent = max(int(mp.floor(mp.log(abs(x), 2))) + 1 - bits, emin)
    return mp.nint(mp.ldexp(x, -exponent)) * mpf(2) ** exponent


def f32(x):
    return struct.unpack("<I", struct.pack("<f", float(nearest(x, 24, -149))))[0]


def f64(x):
    return float(nearest(x, 53, -1074))


def b64(x):
    return f"{struct.unpack('<Q', struct.pack('<d', x))[0]:016x}"


def angle(position, frequency, magnitude=1.0):
    theta, m = mpf(position) * mpf(frequency), mpf(magnitude)
    return f"angle {position} {b64(frequency)} {b64(magnitude)} {f32(mp.cos(theta) * m):08x} {f32(mp.sin(theta) * m):08x}"


def near_quarter_turn(limit):
    """The closest product to a multiple of pi/2 among some tried."""
    def trial():
        position = rng.randrange(1, limit)
        multiple = rng.randrange(1, max(2, int(position * 0.6)))
        frequency = f64(mp.pi / 2 * multiple / position)
        return abs(mpf(position) * mpf(frequency) - multiple * mp.pi / 2), position, frequency
    return min(trial() for _ in range(2000))[1:]


def near_midpoint():
    """A sine or cosine, or its product with a magnitude, next to the middle of two binary32."""
    bits = rng.randrange(0x3A000000, 0x3F7FFFFF)
    low, high = (struct.unpack("<f", struct.pack("<I", b))[0] for b in (bits, bits + 1))
    middle = (mpf(low) + mpf(high)) / 2
    magnitude = rng.choice([1.0, 1.0, 1.3465735902799727])
    inverse = rng.choice([mp.asin, mp.acos])
    position = rng.choice([1, 1, 3, 1000, 131071])
    return position, f64(inverse(middle / magnitude) / position), magnitude


def main():
    lines = []
    for base in (10000.0, 500000.0, 1000000.0, 150000.0, 1e7, 5e6, 2.0, 0.5, 3e38, 10000.5):
        for n in (64, 80, 96, 128, 256):
            for i in sorted({1, n // 4, n // 2 - 1, rng.randrange(n // 2)}):
                exact = struct.unpack("<f", struct.pack("<f", base))[0]
                power = mpf(exact) ** (-mpf(2 * i) / n)
                lines.append(f"power {f32(mpf(exact)):08x} {i} {n} {b64(f64(power))}")
    for _ in range(60):
        lines.append(angle(rng.randrange(1 << rng.randrange(1, 33)), f64(mpf(10000) ** -rng.random())))
    for position in (0, 1, (1 << 31) - 1, 1 << 31, (1 << 32) - 1):
        for frequency in (1.0, 0.1, 1e-4, 3.7, 1e-12, 1e-40):
            lines.append(angle(position, frequency))
    for limit in (100, 10000, 1 << 20, 1 << 31):
        for _ in range(15):
            lines.append(angle(*near_quarter_turn(limit)))
    for _ in range(100):
        lines.append(angle(*near_midpoint()))
    path = os.path.join(os.path.dirname(__file__), "..", "tests", "data", "angles.txt")
    with open(path, "w") as file:
        file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
