"""The normal numbers that torch draws under a seed, in numpy.

torch's CPU generator is the Mersenne Twister (Matsumoto, Nishimura: Mersenne Twister: A
623-Dimensionally Equidistributed Uniform Pseudo-Random Number Generator, 1998), as numpy's legacy
one is. Its normal numbers come of the transform of Box and Muller (A Note on the Generation of
Random Normal Deviates, 1958), sixteen at a time: numbers 0-7 of a block are the radii and 8-15 the
angles of eight pairs, whose cosines take the first eight places and whose sines the others.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
BLOCK = 16  # numbers that torch transforms at once; below so many it uses another order
_BITS = 24  # of a uniform number: as many as float32 holds


def torch_normal(num: int, length: int, seed: int) -> Floats:
    """`torch.randn(length)`, `num` times after each other, from one generator under a seed.

    Args:
        num: How many vectors, N.
        length: Numbers in each, at least 16.
        seed: 0 or more; torch takes its last 32 bits.

    Returns:
        float32 [N, length], within 1e-6 of torch's, whose logarithms and sines are approximate.
    """
    twister = np.random.RandomState(seed & 0xFFFF_FFFF)
    return np.stack([_normal(twister, length) for _ in range(num)])


def _normal(twister: np.random.RandomState, length: int) -> Floats:
    uniform = _uniform(twister, length)
    whole = length - length % BLOCK
    normal = np.empty(length, np.float32)
    normal[:whole] = _box_muller(uniform[:whole])
    if whole < length:
        # What a last block lacks is not filled up: sixteen new numbers overwrite the end.
        normal[-BLOCK:] = _box_muller(_uniform(twister, BLOCK))
    return normal


def _uniform(twister: np.random.RandomState, num: int) -> Floats:
    raw = np.frombuffer(twister.bytes(4 * num), "<u4") & (2**_BITS - 1)
    uniform: Floats = raw.astype(np.float32) * np.float32(2.0**-_BITS)
    return uniform


def _box_muller(uniform: Floats) -> Floats:
    first, second = np.moveaxis(uniform.reshape(-1, 2, BLOCK // 2), 1, 0)
    radius = np.sqrt(-2 * np.log(1 - first.astype(np.float64)))
    # The product is torch's, rounded as there; its cosine is then exact.
    angle = (np.float32(2 * np.pi) * second).astype(np.float64)
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return pairs.reshape(-1).astype(np.float32)
