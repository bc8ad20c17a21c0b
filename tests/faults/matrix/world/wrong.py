"""What can be wrong after a case. The summary counts each kind."""


class Wrong(Exception):
    """Something that must hold does not."""

    kind = "other promises broken"


class FalseSuccess(Wrong):
    """It says that it succeeded, or a set has its final name, and it is not so."""

    kind = "false successes"


class ProvenSetLost(Wrong):
    """A set that a restore had proven is gone or changed."""

    kind = "proven sets lost"


class SetLost(Wrong):
    """A set that should have stayed is gone or changed."""

    kind = "other sets lost"


class DamageMissed(Wrong):
    """Something damaged was taken for whole."""

    kind = "damage not detected"


class AlertLost(Wrong):
    """The owner has not heard of something, and nothing in the queue will tell."""

    kind = "alerts lost"


class ToldTwice(Wrong):
    """The owner has heard the same thing twice though the first time was confirmed."""

    kind = "alerts sent twice"


class WrongEnd(Wrong):
    """It ended otherwise than the table says."""

    kind = "unexpected exits"


class Leftover(Wrong):
    """A process, a session, a lock, a container, a directory or a database was left."""

    kind = "leftovers"


class NotConverged(Wrong):
    """The next run, undisturbed, does not put everything right."""

    kind = "next run did not converge"


KINDS = [FalseSuccess, ProvenSetLost, SetLost, DamageMissed, AlertLost, ToldTwice, WrongEnd, Leftover, NotConverged, Wrong]
