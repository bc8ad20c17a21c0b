"""Converts the model of a folder (BERT in safetensors) to an ONNX file, and to a second one with dynamic 8-bit quantization.

usage: onnx_of.py FOLDER FILE FILE_OF_8_BIT
"""

import json
import math
import pathlib
import struct
import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

HEADS, OF_A_HEAD, ALL = 12, 32, 384


def weights_of(folder):
    """Returns each tensor by name (safetensors: the header's length, the header, the numbers)."""
    raw = (folder / "model.safetensors").read_bytes()
    (length,) = struct.unpack_from("<Q", raw)
    weights = {}
    for name, tensor in json.loads(raw[8 : 8 + length]).items():
        if tensor.get("dtype") == "F32":
            begin, end = tensor["data_offsets"]
            weights[name] = numpy.frombuffer(raw[8 + length + begin : 8 + length + end], "<f4").reshape(tensor["shape"])
    return weights


class Graph:
    def __init__(self, weights):
        self.weights, self.constants, self.nodes = weights, {}, []

    def constant(self, name, array):
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(numpy.ascontiguousarray(array), name)
        return name

    def whole(self, *numbers):
        return self.constant(f"whole {numbers}", numpy.array(numbers, dtype=numpy.int64))

    def number(self, number):
        return self.constant(f"number {number}", numpy.array(number, dtype=numpy.float32))

    def weight(self, name, turned=False):
        return self.constant(name, self.weights[name].T if turned else self.weights[name])

    def node(self, kind, *inputs, **settings):
        output = f"{kind} {len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **settings))
        return output

    def linear(self, x, name):
        return self.node("Add", self.node("MatMul", x, self.weight(f"{name}.weight", turned=True)), self.weight(f"{name}.bias"))

    def normalised(self, x, name):
        return self.node("LayerNormalization", x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias"), axis=-1, epsilon=1e-12)

    def gelu(self, x):
        bell = self.node("Add", self.node("Erf", self.node("Mul", x, self.number(1 / math.sqrt(2)))), self.number(1.0))
        return self.node("Mul", self.node("Mul", x, self.number(0.5)), bell)

    def embeddings(self, ids):
        length = self.node("Gather", self.node("Shape", ids), self.whole(1))
        places = self.node("Slice", self.weight("embeddings.position_embeddings.weight"), self.whole(0), length, self.whole(0))
        first_type = self.constant("type 0", self.weights["embeddings.token_type_embeddings.weight"][0])
        words = self.node("Gather", self.weight("embeddings.word_embeddings.weight"), ids)
        return self.normalised(self.node("Add", self.node("Add", words, places), first_type), "embeddings.LayerNorm")

    def attention(self, x, layer):
        def of_heads(name, order):
            split = self.node("Reshape", self.linear(x, f"{layer}.attention.self.{name}"), self.whole(0, 0, HEADS, OF_A_HEAD))
            return self.node("Transpose", split, perm=order)

        queries, keys, values = of_heads("query", [0, 2, 1, 3]), of_heads("key", [0, 2, 3, 1]), of_heads("value", [0, 2, 1, 3])
        scores = self.node("Mul", self.node("MatMul", queries, keys), self.number(1 / math.sqrt(OF_A_HEAD)))
        seen = self.node("MatMul", self.node("Softmax", scores, axis=-1), values)
        together = self.node("Reshape", self.node("Transpose", seen, perm=[0, 2, 1, 3]), self.whole(0, 0, ALL))
        return self.linear(together, f"{layer}.attention.output.dense")

    def layer(self, x, layer):
        x = self.normalised(self.node("Add", x, self.attention(x, layer)), f"{layer}.attention.output.LayerNorm")
        wide = self.gelu(self.linear(x, f"{layer}.intermediate.dense"))
        return self.normalised(self.node("Add", x, self.linear(wide, f"{layer}.output.dense")), f"{layer}.output.LayerNorm")

    def model(self, output):
        ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["texts", "tokens"])
        numbers = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["texts", "tokens", ALL])
        graph = helper.make_graph(self.nodes, "bert", [ids], [numbers], list(self.constants.values()))
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def main(folder, file, file_of_8_bit):
    folder = pathlib.Path(folder)
    layers = json.loads((folder / "config.json").read_text())["num_hidden_layers"]
    graph = Graph(weights_of(folder))
    x = graph.embeddings("ids")
    for number in range(layers):
        x = graph.layer(x, f"encoder.layer.{number}")
    onnx.save(graph.model(x), file)
    quantize_dynamic(file, file_of_8_bit, weight_type=QuantType.QInt8, per_channel=True)


main(*sys.argv[1:])
