"""Flat programs: a whole supernet as one region of layers, with every number in place."""
