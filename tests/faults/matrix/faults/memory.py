"""Too little memory: prlimit limits the address space, so that allocations fail. The kernel's OOM killer sends SIGKILL, which the
signal rows send at every moment."""


def limit(job, row, case):
    """`argument` is the least and the greatest limit, in MiB."""
    least, most = map(int, row.argument.split("-"))
    size = case.rng.randint(least << 20, most << 20)
    return job.start(["prlimit", f"--as={size}", "--"]).end(f"an address space of {size >> 10} KiB")
