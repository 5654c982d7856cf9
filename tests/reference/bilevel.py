"""DARTS's bilevel loop written out by hand: an oracle that shares nothing with the runtime.

SGD with momentum, Adam, the virtual step, the finite difference and the exact product are spelled
out over explicit lists of tensors. A model is a pair of losses, functions of (weights, alphas,
batch); the weight step may have a third one. `lr` may be set anew before each step.
"""

import math

import torch


class ReferenceBilevel:
    """The state of a search: weights, momentum buffers, alphas and Adam's moments."""

    def __init__(
        self, weights, alphas, train_loss, valid_loss, *, lr, momentum, decay, clip,
        alpha_lr, betas, alpha_decay, weight_loss=None, clip_virtual=False,
    ):  # fmt: skip
        self.w = [w.clone() for w in weights]
        self.a = [a.clone() for a in alphas]
        self.train_loss, self.valid_loss = train_loss, valid_loss
        self.weight_loss = weight_loss or train_loss
        self.clip_virtual = clip_virtual
        self.lr, self.momentum, self.decay, self.clip = lr, momentum, decay, clip
        self.alpha_lr, self.betas, self.alpha_decay = alpha_lr, betas, alpha_decay
        self.buffer = [torch.zeros_like(w) for w in weights]
        self.m = [torch.zeros_like(a) for a in alphas]
        self.v = [torch.zeros_like(a) for a in alphas]
        self.steps = 0

    def step(self, train, valid, order, hessian, epsilon):
        """Returns (training loss, validation loss) as each was when its step was taken."""
        if order == 1:
            valid_loss, alpha_gradient = self.first_order(valid)
        else:
            valid_loss, alpha_gradient = self.second_order(train, valid, hessian, epsilon)
        self.adam(alpha_gradient)
        train_loss, gradient = self.gradient(self.weight_loss, train, self.w, self.a, "w")
        gradient, _ = self.clipped(gradient)
        for i, g in enumerate(gradient):
            g = g + self.decay * self.w[i]
            self.buffer[i] = self.momentum * self.buffer[i] + g
            self.w[i] = self.w[i] - self.lr * self.buffer[i]
        return train_loss, valid_loss

    def clipped(self, gradient):
        """The gradient with a norm of at most `clip`, and by what it was multiplied."""
        norm = math.sqrt(sum(float((g * g).sum()) for g in gradient))
        if norm + 1e-6 <= self.clip:
            return gradient, 1.0
        factor = self.clip / (norm + 1e-6)
        return [factor * g for g in gradient], factor

    @staticmethod
    def gradient(loss, batch, weights, alphas, by):
        weights = [w.detach().requires_grad_() for w in weights]
        alphas = [a.detach().requires_grad_() for a in alphas]
        value = loss(weights, alphas, batch)
        wanted = {"w": weights, "a": alphas, "aw": alphas + weights}[by]
        found = torch.autograd.grad(value, wanted, allow_unused=True)
        zeros = [torch.zeros_like(t) for t in wanted]
        return value.item(), [z if g is None else g for g, z in zip(found, zeros, strict=True)]

    def first_order(self, valid):
        return self.gradient(self.valid_loss, valid, self.w, self.a, "a")

    def second_order(self, train, valid, hessian, epsilon):
        _, gradient = self.gradient(self.train_loss, train, self.w, self.a, "w")
        factor = 1.0
        if self.clip_virtual:
            gradient, factor = self.clipped(gradient)
        virtual = [
            w - self.lr * (self.momentum * b + g + self.decay * w)
            for w, b, g in zip(self.w, self.buffer, gradient, strict=True)
        ]
        value, both = self.gradient(self.valid_loss, valid, virtual, self.a, "aw")
        direct, vector = both[: len(self.a)], both[len(self.a) :]
        if self.clip_virtual:
            vector, _ = self.clipped(vector)
        if hessian == "exact":
            product = self.exact(train, vector)
        else:
            product = self.finite(train, vector, epsilon)
        return value, [d - self.lr * factor * p for d, p in zip(direct, product, strict=True)]

    def finite(self, train, vector, epsilon):
        distance = epsilon / math.sqrt(sum(float((v * v).sum()) for v in vector))
        plus = [w + distance * v for w, v in zip(self.w, vector, strict=True)]
        minus = [w - distance * v for w, v in zip(self.w, vector, strict=True)]
        _, up = self.gradient(self.train_loss, train, plus, self.a, "a")
        _, down = self.gradient(self.train_loss, train, minus, self.a, "a")
        return [(p - m) / (2 * distance) for p, m in zip(up, down, strict=True)]

    def exact(self, train, vector):
        """d/dα of (∇w L_train · v), with v held constant."""
        weights = [w.detach().requires_grad_() for w in self.w]
        alphas = [a.detach().requires_grad_() for a in self.a]
        value = self.train_loss(weights, alphas, train)
        gradient = torch.autograd.grad(value, weights, create_graph=True, allow_unused=True)
        inner = sum((g * v).sum() for g, v in zip(gradient, vector, strict=True) if g is not None)
        return torch.autograd.grad(inner, alphas)

    def adam(self, gradient):
        self.steps += 1
        first, second = self.betas
        for i, g in enumerate(gradient):
            g = g + self.alpha_decay * self.a[i]
            self.m[i] = first * self.m[i] + (1 - first) * g
            self.v[i] = second * self.v[i] + (1 - second) * g * g
            mean = self.m[i] / (1 - first**self.steps)
            square = self.v[i] / (1 - second**self.steps)
            self.a[i] = self.a[i] - self.alpha_lr * mean / (square.sqrt() + 1e-8)
