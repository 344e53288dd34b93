"""Proxy tasks: which measurable tasks foretell one that small models cannot show yet (arXiv 2412.07111).

So far: the two-way normalisation of a models x tasks score matrix.
"""

from proxy.normalisation import ProxyError, two_way

__all__ = ["ProxyError", "two_way"]
