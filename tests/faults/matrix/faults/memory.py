"""Too little memory: the address space is limited, so that asking for more fails (prlimit). The kernel's own killer for
want of memory sends SIGKILL, which the signal rows send at every moment."""


def limit(job, row, case):
    """`argument` gives the least and the most, in MiB."""
    least, most = map(int, row.argument.split("-"))
    size = case.rng.randint(least << 20, most << 20)
    return job.start(["prlimit", f"--as={size}", "--"]).end(f"an address space of {size >> 10} KiB")
