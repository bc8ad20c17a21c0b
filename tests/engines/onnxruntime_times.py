"""Times ONNX Runtime like src/main.rs times the others, and prints the same line.

usage: onnxruntime_times.py FILE THREADS
"""

import statistics
import sys
import time

import numpy
import onnxruntime

file, threads = sys.argv[1], int(sys.argv[2])


def milliseconds(work):
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e3


def text_of(tokens):
    ids = numpy.full((1, tokens), 2773, dtype=numpy.int64)
    ids[0, 0], ids[0, -1] = 101, 102
    return {"ids": ids}


def session():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


loading = milliseconds(session)
engine = session()
halves = []
for tokens, rounds in ((9, 200), (20, 200), (64, 50), (256, 20)):
    text = text_of(tokens)
    halves.append(statistics.median(milliseconds(lambda: engine.run(None, text)) for _ in range(rounds)))
with open("/proc/self/status") as status:
    resident = next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmRSS"))
vector = engine.run(None, text_of(9))[0][0].sum(axis=0)
vector /= numpy.linalg.norm(vector)
print(f"onnxruntime {loading:.0f}", *(f"{half:.1f}" for half in halves), resident, f"{vector[0]:.4f} {vector[383]:.4f}")
