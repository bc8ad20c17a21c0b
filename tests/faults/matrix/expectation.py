"""How a run may end under a fault, from the table."""

from world.wrong import DamageMissed, FalseSuccess, WrongEnd

# The codes of sysexits(3) that a job may use.
CODES = {64, 65, 69, 73, 74, 75, 77, 78}


class Expectation:
    """One of `succeeds`, `fails`, `fails:73,74`, `detected:65`, `either`, `either:74`, `dies` (by the signal, unless it had ended)."""

    def __init__(self, text):
        self.text = text
        word, _, codes = text.partition(":")
        if word not in ("succeeds", "fails", "detected", "either", "dies"):
            raise ValueError(f"no such expectation: {text}")
        self.word = word
        self.codes = {int(code) for code in codes.split(",")} if codes else CODES

    def judge(self, outcome):
        """Raises if the run ended otherwise. A run that the fault has not hit must succeed."""
        ended = outcome.exit
        if ended == 127 and "error while loading shared libraries" in outcome.said:
            # The fault hit the loader, before the program ran.
            return
        allowed = {
            "succeeds": {0}, "fails": self.codes, "detected": self.codes, "either": self.codes | {0},
            "dies": {-9, -15, -2, -1, 0} | (self.codes if self.codes is not CODES else set()),
        }[self.word] if outcome.struck else {0}
        if ended in allowed:
            return
        if ended == 0:
            raise (DamageMissed if self.word == "detected" else FalseSuccess)("it reported success")
        raise WrongEnd(f"ended with {ended}")
