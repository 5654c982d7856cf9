"""What a search will take, in memory and in time, said before it begins."""

from compiler.estimating.data_sizes import DataSizes
from compiler.estimating.prediction import Estimate, estimate, shortage

__all__ = ["DataSizes", "Estimate", "estimate", "shortage"]
