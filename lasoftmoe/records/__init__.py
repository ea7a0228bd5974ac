"""Results that the paper reports, and recorded runs of ours."""
