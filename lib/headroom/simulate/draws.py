"""Random numbers that depend on names and an index alone: the same in every task, in any order.

A stream is a key; its n-th number is a hash of key and n (SplitMix64: Steele, Lea and Flood 2014),
so that any block of it can be drawn without those before it.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def key_of(*names: str | int) -> int:
    """The 64-bit key of the stream with these names."""
    text = "/".join(str(name) for name in names)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def draw(low: float, high: float, *names: str | int) -> float:
    """One number, uniform between `low` and `high`, that belongs to these names."""
    return low + (high - low) * (key_of(*names) >> 11) * 2.0**-53


def draw_log(low: float, high: float, *names: str | int) -> float:
    """One number whose logarithm is uniform between those of `low` and `high`."""
    return float(np.exp(draw(float(np.log(low)), float(np.log(high)), *names)))


def uniforms(key: int, index: Integers) -> Floats:
    """Numbers `index` of the stream `key`, uniform in (0, 1)."""
    bits = index.astype(np.uint64) * _GOLDEN + np.uint64(key)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    bits = bits ^ (bits >> np.uint64(31))
    numbers: Floats = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return numbers


def normals(key: int, index: Integers) -> Floats:
    """Numbers `index` of the stream `key`, standard normal (Box and Muller 1958)."""
    radius = np.sqrt(-2.0 * np.log(uniforms(key, 2 * index)))
    numbers: Floats = radius * np.cos(2.0 * np.pi * uniforms(key, 2 * index + 1))
    return numbers


def smooth_noise(key: int, seconds: Integers, knot: int) -> Floats:
    """Noise of unit variance at rising times that forgets itself over about `knot` seconds.

    Independent normals at multiples of `knot`, blended smoothly between two of them.
    """
    left = seconds // knot
    first = int(left[0])
    knots = normals(key, np.arange(first, int(left[-1]) + 2))
    part = (seconds - left * knot) / knot
    weight = part * part * (3.0 - 2.0 * part)
    blend = (1.0 - weight) * knots[left - first] + weight * knots[left - first + 1]
    noise: Floats = blend / np.sqrt((1.0 - weight) ** 2 + weight**2)
    return noise
