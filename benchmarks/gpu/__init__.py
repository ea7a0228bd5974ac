"""Everything that needs a GPU, in one command: ``python -m benchmarks.gpu``.

The command makes a list of named measurements, cheapest and most wanted first, and writes each to
its record as soon as it is done. It skips those that this code has recorded already, so that a
few minutes of a GPU now and then fill the gaps. Nothing needs a network. Every measurement first
compares results with a CPU or a reference, and reports no speed if they differ.

``--device cpu --tiny --out DIR`` makes all of them in small, to prove that they work.
"""
