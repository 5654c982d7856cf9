"""Primitive operations of supernets and their gradients, as plain functions of tensors.

They build no graph for autograd: a caller runs them without gradients and composes the backward
itself. Every result equals the library's up to rounding; where a form was measured to be faster on
a CPU, it is used there. `benchmarks/kernels.py` prints both times.
"""
