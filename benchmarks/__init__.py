"""Speed of the MoE layers: ``python -m benchmarks.moe`` prints ratios that carry over to others."""
