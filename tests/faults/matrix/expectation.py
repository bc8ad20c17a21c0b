"""How a run may end under a fault, as the table says it."""

from world.wrong import DamageMissed, FalseSuccess, WrongEnd

# sysexits(3), as far as a job may use them.
CODES = {64, 65, 69, 73, 74, 75, 77, 78}


class Expectation:
    """`succeeds`, `fails`, `fails:73,74`, `detected:65`, `either`, `either:74`, `dies` (by the signal, or it was done)."""

    def __init__(self, text):
        self.text = text
        word, _, codes = text.partition(":")
        if word not in ("succeeds", "fails", "detected", "either", "dies"):
            raise ValueError(f"no such expectation: {text}")
        self.word = word
        self.codes = {int(code) for code in codes.split(",")} if codes else CODES

    def judge(self, outcome):
        """Raises when it ended otherwise. A run that the fault has not met must succeed."""
        ended = outcome.exit
        if ended == 127 and "error while loading shared libraries" in outcome.said:
            # The fault met the loader: not a line of the program has run.
            return
        allowed = {
            "succeeds": {0}, "fails": self.codes, "detected": self.codes, "either": self.codes | {0},
            "dies": {-9, -15, -1, 0} | (self.codes if self.codes is not CODES else set()),
        }[self.word] if outcome.struck else {0}
        if ended in allowed:
            return
        if ended == 0:
            raise (DamageMissed if self.word == "detected" else FalseSuccess)("it says that it succeeded")
        raise WrongEnd(f"ended with {ended}")
