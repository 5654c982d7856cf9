"""The recurrent networks of DARTS (Liu, Simonyan & Yang, ICLR 2019), as their code describes them.

An oracle: functions of explicit weights, alphas, masks and states, written with plain tensors.
Words are int64 [T, B]; a state is [B, H]. Weights are a dict:

    embedding [V, H]    also the decoder's weight
    bias [V]            the decoder's
    W0 [2H, 2H]         of [x, h]
    W1, W2 … [H, 2H]    one for each node

Masks are a dict too, each already divided by its keep probability, and absent where nothing is
dropped: word [V, 1], embedded [1, B, H], x [B, H], h [B, H], output [1, B, H].

`ReferenceRNN` makes of the search network what the runtime takes for a supernet.
"""

import torch
from torch import nn

ACTIVATIONS = {
    "none": None,  # weighs nothing into a node, as in the authors' code
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "identity": lambda x: x,
}
CANDIDATES = tuple(ACTIVATIONS)

# The cell that the second order found: for each node its activation and its source; source 0 is s0
# and source 1 the first node.
DARTS_V2 = (
    ("sigmoid", 0), ("relu", 1), ("relu", 1), ("identity", 1),
    ("tanh", 2), ("sigmoid", 5), ("tanh", 3), ("relu", 5),
)  # fmt: skip


def weight_shapes(words, width, nodes):
    shapes = {"embedding": (words, width), "bias": (words,), "W0": (2 * width, 2 * width)}
    return shapes | {f"W{i}": (width, 2 * width) for i in range(1, nodes + 1)}


def edges(nodes):
    """The number of edges into `nodes` nodes, node i having one from s0 and each earlier node."""
    return nodes * (nodes + 1) // 2


class Norm:
    """Batch norm without scale and shift, one for all the states it is used on.

    `mean` and `variance` [H] are running ones: read in evaluation, moved while training.
    """

    def __init__(self, mean, variance, training):
        self.mean, self.variance, self.training = mean, variance, training

    def __call__(self, s):
        mean, variance = self.mean, self.variance
        if self.training:
            count = len(s)
            mean = s.sum(0) / count
            variance = ((s - mean) ** 2).sum(0) / count
            unbiased = variance.detach() * count / (count - 1)
            self.mean = 0.9 * self.mean + 0.1 * mean.detach()
            self.variance = 0.9 * self.variance + 0.1 * unbiased
        return (s - mean) / (variance + 1e-5) ** 0.5


def masked(value, masks, name):
    return value * masks[name] if name in masks else value


def halves(product):
    """The gate σ(c) and h̃ of a product [B, 2H]."""
    width = product.shape[-1] // 2
    return torch.sigmoid(product[:, :width]), product[:, width:]


def first_state(x, h, weights, masks):
    xh = torch.cat([masked(x, masks, "x"), masked(h, masks, "h")], 1)
    gate, candidate = halves(xh @ weights["W0"])
    return h + gate * (torch.tanh(candidate) - h)


def search_cell(x, h, weights, mixture, norm, masks):
    """One step in time, to the new h. `mixture` is the softmax of the alphas [edges, 5]."""
    states = [norm(first_state(x, h, weights, masks))]
    row = 0
    for node in range(1, count_nodes(weights) + 1):
        total = torch.zeros_like(h)
        for s in states:
            gate, candidate = halves(masked(s, masks, "h") @ weights[f"W{node}"])
            for column, activation in enumerate(ACTIVATIONS.values()):
                if activation is not None:
                    moved = s + gate * (activation(candidate) - s)
                    total = total + mixture[row, column] * moved
            row += 1
        states.append(norm(total))
    return sum(states[1:]) / (len(states) - 1)


def final_cell(x, h, weights, genotype, masks):
    """One step in time, to the new h, of the cell with (activation, source) for each node."""
    states = [first_state(x, h, weights, masks)]
    for node, (name, source) in enumerate(genotype, 1):
        s = states[source]
        gate, candidate = halves(masked(s, masks, "h") @ weights[f"W{node}"])
        states.append(s + gate * (ACTIVATIONS[name](candidate) - s))
    return sum(states[1:]) / (len(states) - 1)


def count_nodes(weights):
    return sum(name.startswith("W") for name in weights) - 1


def embed(words, weights, masks):
    """[T, B, H]; the word mask drops whole words of the vocabulary, the other whole features."""
    return masked(masked(weights["embedding"], masks, "word")[words], masks, "embedded")


def unroll(cell, embedded, state):
    """The outputs [T, B, H] of a cell from (x, h) to the new h; the last is the new state."""
    outputs = []
    for x in embedded:
        state = cell(x, state)
        outputs.append(state)
    return torch.stack(outputs)


def decode(outputs, weights, masks):
    """What the decoder reads [T, B, H] and its logits [T, B, V]."""
    dropped = masked(outputs, masks, "output")
    return dropped, dropped @ weights["embedding"].T + weights["bias"]


def search_network(words, state, weights, alphas, norm, masks=None):
    """Logits, new state, outputs of the recurrence and what the decoder read."""
    masks = masks or {}
    mixture = torch.softmax(alphas, -1)
    embedded = embed(words, weights, masks)
    outputs = unroll(lambda x, h: search_cell(x, h, weights, mixture, norm, masks), embedded, state)
    dropped, logits = decode(outputs, weights, masks)
    return logits, outputs[-1], outputs, dropped


def final_network(words, state, weights, genotype, masks=None):
    """Logits, new state, outputs of the recurrence and what the decoder read."""
    masks = masks or {}
    embedded = embed(words, weights, masks)
    outputs = unroll(lambda x, h: final_cell(x, h, weights, genotype, masks), embedded, state)
    dropped, logits = decode(outputs, weights, masks)
    return logits, outputs[-1], outputs, dropped


def derive(alphas, nodes=8):
    """For each node its strongest edge with that edge's strongest activation other than none."""
    mixture = torch.softmax(alphas, -1)[:, 1:].tolist()
    genotype, row = [], 0
    for node in range(1, nodes + 1):
        rows = mixture[row : row + node]
        source = max(range(node), key=lambda j: max(rows[j]))
        best = max(range(len(rows[source])), key=lambda k: rows[source][k])
        genotype.append((CANDIDATES[1 + best], source))
        row += node
    return tuple(genotype)


class ReferenceRNN(nn.Module):
    """The search network as a module, called as `net(words, state)`.

    `dropouts` maps names of masks to drop probabilities; the masks are drawn anew in each pass.
    """

    def __init__(self, words, width, nodes=8, dropouts=None):
        super().__init__()
        self.model = ReferenceModel(words, width, nodes, dropouts or {})
        self.alphas = nn.Parameter(1e-3 * torch.randn(edges(nodes), len(CANDIDATES)))

    def arch_parameters(self):
        yield self.alphas

    def weight_parameters(self):
        return self.model.parameters()

    def init_hidden(self, batch):
        return self.model.decoder.weight.new_zeros(batch, self.model.decoder.in_features)

    def forward(self, words, state=None):
        state = self.init_hidden(words.shape[1]) if state is None else state
        return self.model(words, state, self.alphas)


class ReferenceModel(nn.Module):
    recurrence, readout = "recurrent", "decoder"

    def __init__(self, words, width, nodes, dropouts):
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.recurrent = ReferenceRecurrence(width, nodes)
        self.decoder = nn.Linear(width, words)
        self.decoder.weight = self.embedding.weight
        self.dropouts = dropouts

    def forward(self, words, state, alphas):
        masks = self.draw(words.shape[1]) if self.training else {}
        weights = {"embedding": self.embedding.weight}
        outputs, state = self.recurrent(embed(words, weights, masks), state, alphas, masks)
        return self.decoder(masked(outputs, masks, "output")), state

    def draw(self, batch):
        words, width = self.embedding.weight.shape
        shapes = {
            "word": (words, 1), "embedded": (1, batch, width), "x": (batch, width),
            "h": (batch, width), "output": (1, batch, width),
        }  # fmt: skip
        like = self.embedding.weight
        return {
            name: (torch.rand(shapes[name], device=like.device) >= p).to(like) / (1 - p)
            for name, p in self.dropouts.items()
        }


class ReferenceRecurrence(nn.Module):
    def __init__(self, width, nodes):
        super().__init__()
        for name, shape in weight_shapes(0, width, nodes).items():
            if name.startswith("W"):
                self.register_parameter(name, nn.Parameter(torch.randn(shape) / shape[0] ** 0.5))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))

    def forward(self, embedded, state, alphas, masks):
        weights, mixture = dict(self.named_parameters()), torch.softmax(alphas, -1)
        norm = Norm(self.mean, self.variance, self.training)
        outputs = unroll(
            lambda x, h: search_cell(x, h, weights, mixture, norm, masks), embedded, state
        )
        if self.training:
            self.mean.copy_(norm.mean)
            self.variance.copy_(norm.variance)
        return outputs, outputs[-1]
