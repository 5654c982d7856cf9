"""The networks of DARTS (Liu, Simonyan & Yang, ICLR 2019), as the paper and its code describe them.

An oracle: plain torch, a module per candidate, nothing shared, nothing fused. Parameters register
in the order in which the paper's program makes them.
"""

import torch
import torch.nn.functional as F
from torch import nn

CANDIDATES = (
    "none", "max_pool_3x3", "avg_pool_3x3", "skip_connect",
    "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5",
)  # fmt: skip

# The cell that the second order found: (candidate, source) pairs, two for each node; sources 0 and
# 1 are the cell's inputs, 2 is the first node.
DARTS_V2 = {
    "normal": (
        ("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("sep_conv_3x3", 1),
        ("sep_conv_3x3", 1), ("skip_connect", 0), ("skip_connect", 0), ("dil_conv_3x3", 2),
    ),
    "reduce": (
        ("max_pool_3x3", 0), ("max_pool_3x3", 1), ("skip_connect", 2), ("max_pool_3x3", 1),
        ("max_pool_3x3", 0), ("skip_connect", 2), ("skip_connect", 2), ("max_pool_3x3", 1),
    ),
}  # fmt: skip


class Zero(nn.Module):
    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return x[:, :, :: self.stride, :: self.stride] * 0.0


class FactorisedReduce(nn.Module):
    def __init__(self, inputs, outputs, affine):
        super().__init__()
        self.even = nn.Conv2d(inputs, outputs // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(inputs, outputs // 2, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(outputs, affine=affine)

    def forward(self, x):
        x = x.relu()
        return self.norm(torch.cat([self.even(x), self.odd(x[:, :, 1:, 1:])], 1))


def relu_conv_norm(inputs, outputs, affine):
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs, affine=affine),
    )


def depthwise_separable(C, kernel, stride, dilation, affine):
    padding = dilation * (kernel - 1) // 2
    return [
        nn.ReLU(),
        nn.Conv2d(C, C, kernel, stride, padding, dilation, groups=C, bias=False),
        nn.Conv2d(C, C, 1, bias=False),
        nn.BatchNorm2d(C, affine=affine),
    ]


def candidate(name, C, stride, search):
    """`search` chooses the search network's form: norms without scale, and norms after pools."""
    affine = not search
    if name == "none":
        return Zero(stride)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorisedReduce(C, C, affine)
    if name in ("max_pool_3x3", "avg_pool_3x3"):
        if name == "max_pool_3x3":
            pool = nn.MaxPool2d(3, stride, 1)
        else:
            pool = nn.AvgPool2d(3, stride, 1, count_include_pad=False)
        return nn.Sequential(pool, nn.BatchNorm2d(C, affine=False)) if search else pool
    kernel = int(name[-1])
    if name.startswith("dil_conv"):
        return nn.Sequential(*depthwise_separable(C, kernel, stride, 2, affine))
    return nn.Sequential(
        *depthwise_separable(C, kernel, stride, 1, affine),
        *depthwise_separable(C, kernel, 1, 1, affine),
    )


class MixedOperation(nn.Module):
    def __init__(self, C, stride):
        super().__init__()
        self.candidates = nn.ModuleList(candidate(name, C, stride, True) for name in CANDIDATES)

    def forward(self, x, weights):
        return sum(w * op(x) for w, op in zip(weights, self.candidates, strict=True))


def preprocessing(before, last, C, reduced_before, affine):
    a = FactorisedReduce(before, C, affine) if reduced_before else relu_conv_norm(before, C, affine)
    return a, relu_conv_norm(last, C, affine)


class SearchCell(nn.Module):
    def __init__(self, before, last, C, reduces, reduced_before):
        super().__init__()
        self.a, self.b = preprocessing(before, last, C, reduced_before, affine=False)
        self.edges = nn.ModuleList(
            MixedOperation(C, 2 if reduces and source < 2 else 1)
            for node in range(4)
            for source in range(2 + node)
        )

    def forward(self, before, last, weights):
        states = [self.a(before), self.b(last)]
        edge = 0
        for _ in range(4):
            terms = []
            for state in states:
                terms.append(self.edges[edge](state, weights[edge]))
                edge += 1
            states.append(sum(terms))
        return torch.cat(states[2:], 1)


class FinalCell(nn.Module):
    def __init__(self, genes, before, last, C, reduces, reduced_before):
        super().__init__()
        self.a, self.b = preprocessing(before, last, C, reduced_before, affine=True)
        self.sources = [source for _, source in genes]
        self.ops = nn.ModuleList(
            candidate(name, C, 2 if reduces and source < 2 else 1, False) for name, source in genes
        )

    def forward(self, before, last):
        states = [self.a(before), self.b(last)]
        for node in range(4):
            first, second = 2 * node, 2 * node + 1
            states.append(
                self.ops[first](states[self.sources[first]])
                + self.ops[second](states[self.sources[second]])
            )
        return torch.cat(states[2:], 1)


class AuxiliaryHead(nn.Module):
    """For an 8×8 input."""

    def __init__(self, inputs, classes):
        super().__init__()
        self.features = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d(5, stride=3, padding=0, count_include_pad=False),
            nn.Conv2d(inputs, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            nn.BatchNorm2d(768),
            nn.ReLU(),
        )
        self.linear = nn.Linear(768, classes)

    def forward(self, x):
        return self.linear(self.features(x).flatten(1))


class Skeleton(nn.Module):
    """What both networks have around the cells."""

    def __init__(self, C, N, channels):
        super().__init__()
        self.reductions = (N // 3, 2 * N // 3)
        self.stem = nn.Sequential(
            nn.Conv2d(channels, 3 * C, 3, padding=1, bias=False), nn.BatchNorm2d(3 * C)
        )
        self.cells = nn.ModuleList()
        before, last, reduced_before = 3 * C, 3 * C, False
        for i in range(N):
            reduces = i in self.reductions
            C = 2 * C if reduces else C
            self.cells.append(self.cell(before, last, C, reduces, reduced_before))
            before, last, reduced_before = last, 4 * C, reduces
        self.width = last

    def cell(self, before, last, C, reduces, reduced_before):
        raise NotImplementedError


class SearchNetwork(Skeleton):
    def __init__(self, C=16, N=8, channels=3, classes=10):
        super().__init__(C, N, channels)
        self.linear = nn.Linear(self.width, classes)

    def cell(self, *shape):
        return SearchCell(*shape)

    def forward(self, images, weights):
        """`weights` maps "normal" and "reduce" to mixing weights [14 edges, 8 candidates]."""
        before = last = self.stem(images)
        for i, cell in enumerate(self.cells):
            mixing = weights["reduce" if i in self.reductions else "normal"]
            before, last = last, cell(before, last, mixing)
        return self.linear(F.adaptive_avg_pool2d(last, 1).flatten(1))


class FinalNetwork(Skeleton):
    """Without drop-path. In training, with an auxiliary head, returns (logits, their logits)."""

    def __init__(self, genotype=None, C=36, N=20, channels=3, classes=10, auxiliary=False):
        self.genotype = DARTS_V2 if genotype is None else genotype
        super().__init__(C, N, channels)
        self.head = None
        if auxiliary:
            self.head = AuxiliaryHead(16 * C, classes)
        self.linear = nn.Linear(self.width, classes)

    def cell(self, before, last, C, reduces, reduced_before):
        genes = self.genotype["reduce" if reduces else "normal"]
        return FinalCell(genes, before, last, C, reduces, reduced_before)

    def forward(self, images):
        before = last = self.stem(images)
        auxiliary = None
        for i, cell in enumerate(self.cells):
            before, last = last, cell(before, last)
            if self.head is not None and self.training and i == self.reductions[1]:
                auxiliary = self.head(last)
        logits = self.linear(F.adaptive_avg_pool2d(last, 1).flatten(1))
        return logits if auxiliary is None else (logits, auxiliary)


def derive(alphas):
    """(candidate, source) pairs of one cell kind from its alphas [14 edges, 8 candidates].

    An edge is as strong as its strongest candidate other than none; each node keeps its two
    strongest edges, in the order of their sources here (the paper's code lists the stronger first).
    """
    strengths = alphas.softmax(-1)[:, 1:]
    genes, start = [], 0
    for node in range(4):
        rows = strengths[start : start + 2 + node]
        start += 2 + node
        kept = sorted(range(len(rows)), key=lambda edge: -rows[edge].max().item())[:2]
        genes += [(CANDIDATES[1 + rows[edge].argmax().item()], edge) for edge in sorted(kept)]
    return tuple(genes)
