"""Delays between tries, as a pure function: the caller draws the chance and keeps the count."""


def delay(attempt: int, *, base: float, cap: float, chance: float = 1.0) -> float:
    """Seconds to wait after `attempt` failures (1, 2, …): `base`·2^(attempt-1), at most `cap`.

    `chance` in 0…1 spreads the upper half of the delay, so that many waiters do not return at once;
    1.0 is the whole delay. Never negative; `attempt` below 1 counts as 1.
    """
    whole = min(cap, base * 2.0 ** min(max(attempt, 1) - 1, 32))
    return whole * (0.5 + 0.5 * min(max(chance, 0.0), 1.0))
