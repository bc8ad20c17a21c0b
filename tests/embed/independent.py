"""Compares NEXUS's vectors with an independent forward pass: numpy in 64 bits, tokens by Hugging Face's own Python package.

usage: independent.py VECTORS MODEL   (the example `vectors` of nexus-embed, and the folder of all-MiniLM-L6-v2)

Uses the published model with random Unicode texts, and small models with random weights in the configurations of
sentence-transformers: WordPiece and Unigram tokenizers, each pooling, prompts, maximal lengths, lower case.
"""

import json
import math
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

import numpy
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

WIDTH = 384
# The error function at every ten-thousandth. Interpolation between them is right to nine digits, and fast.
PLACES = numpy.linspace(-6, 6, 120_001)
VALUES = numpy.array([math.erf(place) for place in PLACES])


def erf(numbers):
    return numpy.interp(numbers, PLACES, VALUES)


def normalised(vector):
    return vector / numpy.linalg.norm(vector)


class Model:
    """What sentence-transformers computes with a folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.config = self.json("config.json")
        data = (self.folder / "model.safetensors").read_bytes()
        (length,) = struct.unpack_from("<Q", data)
        self.tensors = {}
        for name, said in json.loads(data[8 : 8 + length]).items():
            if name != "__metadata__" and said["dtype"] == "F32":
                start, end = (8 + length + offset for offset in said["data_offsets"])
                numbers = numpy.frombuffer(data[start:end], "<f4").reshape(said["shape"])
                self.tensors[name] = numbers if "word_embeddings" in name else numbers.astype(float)
        self.tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        sentence = self.json("sentence_bert_config.json")
        self.tokenizer.enable_truncation(sentence["max_seq_length"])
        self.is_lower_case = sentence["do_lower_case"]
        pooling = self.json("1_Pooling/config.json")
        # Without a pooling mode, the mean is the default.
        (self.pooling,) = [name for name, value in pooling.items() if value is True] or ["pooling_mode_mean_tokens"]
        self.prompts = self.json("config_sentence_transformers.json").get("prompts", {})

    def json(self, name):
        path = self.folder / name
        return json.loads(path.read_text()) if path.exists() else {}

    def dense(self, name, rows):
        return rows @ self.tensors[name + ".weight"].T + self.tensors[name + ".bias"]

    def norm(self, name, rows):
        centred = rows - rows.mean(axis=1, keepdims=True)
        scaled = centred / numpy.sqrt((centred**2).mean(axis=1, keepdims=True) + self.config["layer_norm_eps"])
        return scaled * self.tensors[name + ".weight"] + self.tensors[name + ".bias"]

    def states(self, ids):
        word, position, kind = (self.tensors[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type"))
        x = self.norm("embeddings.LayerNorm", word[ids].astype(float) + position[: len(ids)] + kind[0])
        heads = self.config["num_attention_heads"]
        for layer in range(self.config["num_hidden_layers"]):
            place = f"encoder.layer.{layer}."
            q, k, v = (self.dense(place + "attention.self." + name, x).reshape(len(ids), heads, -1).transpose(1, 0, 2) for name in ("query", "key", "value"))
            scores = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[2])
            shares = numpy.exp(scores - scores.max(axis=2, keepdims=True))
            shares /= shares.sum(axis=2, keepdims=True)
            context = (shares @ v).transpose(1, 0, 2).reshape(len(ids), -1)
            x = self.norm(place + "attention.output.LayerNorm", x + self.dense(place + "attention.output.dense", context))
            wide = self.dense(place + "intermediate.dense", x)
            wide = 0.5 * wide * (1 + erf(wide / math.sqrt(2)))
            x = self.norm(place + "output.LayerNorm", x + self.dense(place + "output.dense", wide))
        return x

    def vector(self, kind, text):
        text = self.prompts.get(kind, "") + text
        states = self.states(self.tokenizer.encode(text.lower() if self.is_lower_case else text).ids)
        if self.pooling == "pooling_mode_cls_token":
            return normalised(states[0])
        if self.pooling == "pooling_mode_max_tokens":
            return normalised(states.max(axis=0))
        return normalised(states.mean(axis=0))


def write_random(folder, numbers, tokenizer, pooling, length, lower, prompts):
    """Writes a small model with random weights."""
    (folder / "1_Pooling").mkdir(parents=True)
    config = {"model_type": "bert", "vocab_size": tokenizer.get_vocab_size(), "hidden_size": WIDTH, "num_hidden_layers": 3,
              "num_attention_heads": numbers.choice([6, 8, 12, 16]), "intermediate_size": numbers.choice([32, 100, 256]), "hidden_act": "gelu",
              "max_position_embeddings": 140, "type_vocab_size": 2, "layer_norm_eps": 1e-12}
    shapes = {"embeddings.word_embeddings.weight": (config["vocab_size"], WIDTH), "embeddings.position_embeddings.weight": (140, WIDTH),
              "embeddings.token_type_embeddings.weight": (2, WIDTH)}
    norms = ["embeddings.LayerNorm"]
    inner = config["intermediate_size"]
    for layer in range(config["num_hidden_layers"]):
        place = f"encoder.layer.{layer}."
        for name, outputs, inputs in [("attention.self.query", WIDTH, WIDTH), ("attention.self.key", WIDTH, WIDTH), ("attention.self.value", WIDTH, WIDTH),
                                      ("attention.output.dense", WIDTH, WIDTH), ("intermediate.dense", inner, WIDTH), ("output.dense", WIDTH, inner)]:
            shapes[place + name + ".weight"] = (outputs, inputs)
            shapes[place + name + ".bias"] = (outputs,)
        norms += [place + "attention.output.LayerNorm", place + "output.LayerNorm"]
    generator = numpy.random.default_rng(numbers.getrandbits(32))
    tensors = {name: generator.normal(0, 0.08, shape) for name, shape in shapes.items()}
    for name in norms:
        tensors[name + ".weight"] = generator.normal(1, 0.2, WIDTH)
        tensors[name + ".bias"] = generator.normal(0, 0.2, WIDTH)
    header, data = {}, b""
    for name, tensor in tensors.items():
        raw = tensor.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    tokenizer.enable_padding(length=16)
    tokenizer.enable_truncation(12)
    tokenizer.save(str(folder / "tokenizer.json"))
    for name, value in {"config.json": config, "sentence_bert_config.json": {"max_seq_length": length, "do_lower_case": lower},
                        "1_Pooling/config.json": {"word_embedding_dimension": WIDTH, pooling: True},
                        "modules.json": [{"path": "", "type": "sentence_transformers.models.Transformer"}, {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}],
                        "config_sentence_transformers.json": {"prompts": prompts}}.items():
        (folder / name).write_text(json.dumps(value))


def word_piece(corpus, lowercase):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(corpus, trainers.WordPieceTrainer(vocab_size=600, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
    ids = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=ids)
    return tokenizer


def unigram(corpus):
    """Returns a tokenizer like XLM-RoBERTa's."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace("\u0000", "")])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")])
    tokenizer.train_from_iterator(corpus, trainers.UnigramTrainer(vocab_size=500, unk_token="<unk>", special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], show_progress=False))
    ids = [(name, tokenizer.token_to_id(name)) for name in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=ids)
    return tokenizer


WORDS = "the memory of a machine keeps what people said query passage La memoria guarda lo que dijimos ayer por la mañana cœur Straße ночь 記憶 猫は眠る".split()
RANGES = [(0x20, 0x7E), (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x52F), (0x590, 0x6FF), (0x900, 0x97F), (0x1100, 0x11FF), (0x1E00, 0x1FFF), (0x2000, 0x2BFF),
          (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xF900, 0xFFFD), (0x1F300, 0x1FAFF), (0x0, 0x1F), (0x10000, 0x10FFFF)]


def text_of(numbers, words):
    """Returns random words and characters from many scripts."""
    parts = []
    for _ in range(numbers.randint(0, words)):
        if numbers.random() < 0.5:
            parts.append(numbers.choice(WORDS))
        else:
            low, high = numbers.choice(RANGES)
            parts.append("".join(chr(numbers.randint(low, high)) for _ in range(numbers.randint(1, 6))))
    return numbers.choice([" ", "  ", "\n", ", ", ""]).join(parts)


def compare(program, folder, asked):
    model = Model(folder)
    said = "".join(json.dumps([kind, text]) + "\n" for kind, text in asked)
    out = subprocess.run([program, str(folder)], input=said, capture_output=True, text=True, check=False)
    if out.returncode:
        sys.exit(f"{folder}: {out.stderr}")
    least = 1.0
    for (kind, text), line in zip(asked, out.stdout.splitlines(), strict=True):
        cosine = float(numpy.dot(normalised(numpy.array(json.loads(line))), model.vector(kind, text)))
        if cosine < 0.9999:
            sys.exit(f"{folder}: cosine {cosine} for {kind} {text!r}")
        least = min(least, cosine)
    return least


def main():
    program, published = sys.argv[1:]
    seed = 20261122
    numbers = random.Random(seed)
    texts = [("passage", text_of(numbers, 40)) for _ in range(100)]
    print(f"all-MiniLM-L6-v2, {len(texts)} random Unicode texts: least cosine {compare(program, published, texts):.7f}")
    with tempfile.TemporaryDirectory() as place:
        for number in range(12):
            pooling = ["pooling_mode_mean_tokens", "pooling_mode_cls_token", "pooling_mode_max_tokens", "pooling_mode_mean_sqrt_len_tokens"][number % 4]
            tokenizer = unigram([" ".join(WORDS)] * 3) if number % 3 == 0 else word_piece([" ".join(WORDS)] * 3, lowercase=number % 2 == 0)
            folder = pathlib.Path(place) / f"model-{number}"
            prompts = [{}, {"query": "query: ", "passage": "passage: "}][number % 2]
            write_random(folder, numbers, tokenizer, pooling, 128, number % 5 == 0, prompts)
            # Only texts of one piece: nexus-embed splits longer ones, and the reference truncates them.
            asked, tokens = [], Model(folder).tokenizer
            while len(asked) < 15:
                kind, text = numbers.choice(["query", "passage"]), text_of(numbers, 12)
                if len(tokens.encode(prompts.get(kind, "") + text).ids) < 128:
                    asked.append((kind, text))
            print(f"{folder.name}, {pooling}, {type(tokenizer.model).__name__}: least cosine {compare(program, folder, asked):.7f}")


main()
